-- :persons text[]
SELECT person FROM person WHERE person = ANY(:persons) AND generation = -1 ORDER BY person FOR UPDATE
