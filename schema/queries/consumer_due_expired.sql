-- :now timestamptz
-- :expires timestamptz
-- :ref text
-- :topic text
-- :partition int4
-- :offset int8
-- :most int8
-- Parked events whose ref nobody has learnt in time, behind the one named; no bodies, for none is read.
SELECT p.ref, p.topic, p.partition, p.record_offset, p.expires, CAST(NULL AS bytea), p.record_hash
FROM parked p
WHERE p.expires <= :now AND p.expires >= :expires
  AND (p.expires, p.ref, p.topic, p.partition, p.record_offset) > (:expires, :ref, :topic, :partition, :offset)
  AND NOT EXISTS (SELECT FROM ref r WHERE r.ref = p.ref AND r.recipient IS NOT NULL)
ORDER BY p.expires, p.ref, p.topic, p.partition, p.record_offset LIMIT :most
