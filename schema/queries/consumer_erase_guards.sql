-- :persons text[]
SELECT p.person, p.merge
FROM unnest(:persons) k (person) JOIN person p ON p.person = k.person AND p.generation = -1
ORDER BY p.person
