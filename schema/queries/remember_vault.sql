-- :after text
-- :most int4
-- In the vault: a stretch of the tombstones.
SELECT subject, body FROM tombstone WHERE subject > :after ORDER BY subject LIMIT :most
