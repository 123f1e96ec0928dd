-- :persons text[]
SELECT person, merge FROM person WHERE person = ANY (:persons) AND generation = -1 ORDER BY person
