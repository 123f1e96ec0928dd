-- :subjects text[]
-- Tombstones whose person this register did not know when they were brought in.
SELECT subject, cut, cause, valid, complete, completed
FROM tombstone WHERE subject = ANY(:subjects) AND person IS NULL
