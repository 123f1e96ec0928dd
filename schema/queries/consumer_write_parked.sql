-- :refs text[]
-- :topics text[]
-- :partitions int4[]
-- :offsets int8[]
-- :expires timestamptz[]
-- :bodies bytea[]
-- :hashes bytea[]
-- A record that is read again is parked already.
INSERT INTO parked (ref, topic, partition, record_offset, expires, body, record_hash)
SELECT n.* FROM unnest(:refs, :topics, :partitions, :offsets, :expires, :bodies, :hashes) n
ON CONFLICT DO NOTHING
