-- :after text
-- :most int4
-- A stretch of the persons that the register knows: each has a guard.
SELECT person FROM person WHERE person > :after AND generation = -1 ORDER BY person LIMIT :most
