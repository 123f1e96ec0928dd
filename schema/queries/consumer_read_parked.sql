-- :refs text[]
-- :most int8
-- A portion of what is parked under each of these refs that nobody knows yet.
SELECT p.ref, p.topic, p.partition, p.record_offset, p.expires, p.body, p.record_hash
FROM ref r, LATERAL (SELECT * FROM parked WHERE parked.ref = r.ref
                     ORDER BY topic, partition, record_offset LIMIT :most) p
WHERE r.ref = ANY(:refs) AND r.recipient IS NULL
ORDER BY p.ref, p.topic, p.partition, p.record_offset
