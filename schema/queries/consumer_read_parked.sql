-- :refs text[]
SELECT ref, topic, partition, record_offset, expires, body, record_hash FROM parked WHERE ref = ANY(:refs)
ORDER BY ref, topic, partition, record_offset
