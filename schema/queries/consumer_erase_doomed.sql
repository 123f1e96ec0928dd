-- :persons text[]
SELECT person, generation, category, cells, transit
FROM doomed WHERE person = ANY (:persons)
ORDER BY person, generation, category
