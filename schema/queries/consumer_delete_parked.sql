-- :refs text[]
-- :topics text[]
-- :partitions int4[]
-- :offsets int8[]
DELETE FROM parked p USING unnest(:refs, :topics, :partitions, :offsets) n (ref, topic, partition, record_offset)
WHERE p.ref = n.ref AND p.topic = n.topic AND p.partition = n.partition AND p.record_offset = n.record_offset
