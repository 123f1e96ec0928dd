-- :after text
-- :most int4
-- A stretch of the persons that the vault has keys of.
SELECT DISTINCT person FROM ring WHERE person > :after ORDER BY person LIMIT :most
