-- :after text
-- :most int4
-- A stretch of the erased, with what their guards know of keys that are gone.
SELECT erased.person, p.merge
FROM (SELECT DISTINCT person FROM tombstone WHERE person > :after ORDER BY person LIMIT :most) erased
LEFT JOIN person p ON p.person = erased.person AND p.generation = -1
ORDER BY erased.person
