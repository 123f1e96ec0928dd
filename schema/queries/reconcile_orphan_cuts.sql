-- :after text
-- :most int4
-- Tombstones of subjects that the register does not know, a stretch of subjects.
SELECT t.subject, t.cut, t.generation, t.cause, array_to_string(t.categories, ',')
FROM (SELECT DISTINCT subject FROM tombstone WHERE person IS NULL AND subject > :after ORDER BY subject LIMIT :most) orphan
JOIN tombstone t ON t.subject = orphan.subject
ORDER BY t.subject, t.cut
