-- :topics text[]
-- :partitions int4[]
-- :offsets int8[]
-- :reasons text[]
-- :details text[]
-- :hashes bytea[]
-- :timestamps timestamptz[]
-- :decided timestamptz[]
-- :policy int4
INSERT INTO dead_letter (topic, partition, record_offset, reason, detail, record_hash, record_timestamp, decided, policy)
SELECT n.*, :policy FROM unnest(:topics, :partitions, :offsets, :reasons, :details, :hashes, :timestamps, :decided) n
ON CONFLICT (topic, partition, record_offset, record_hash) DO NOTHING
