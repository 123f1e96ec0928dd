-- :persons text[]
SELECT d.person, d.generation, d.category, d.cells, d.transit
FROM unnest(:persons) k (person) JOIN doomed d ON d.person = k.person
ORDER BY d.person, d.generation, d.category
