-- :now timestamptz
-- :most int8
SELECT ref, topic, partition, record_offset, expires, record_hash FROM parked WHERE expires <= :now
ORDER BY expires, ref, topic, partition, record_offset LIMIT :most
