-- :topics text[]
-- :partitions int4[]
-- :epochs int8[]
-- :nexts int8[]
-- :afters int8[]
-- :offsets int8[]
-- :timestamps int8[]
-- :hashes bytea[]
-- :decided timestamptz[]
-- :digest text
-- First in each transaction: fewer rows than asked for mean that a partition, or the policy, is no longer ours.
UPDATE position p
SET next = n.after, decided = greatest(p.decided, n.decided),
    fingerprint_offset = coalesce(n.fingerprint_offset, p.fingerprint_offset),
    fingerprint_timestamp_ms = coalesce(n.fingerprint_timestamp_ms, p.fingerprint_timestamp_ms),
    fingerprint = coalesce(n.fingerprint, p.fingerprint)
FROM unnest(:topics, :partitions, :epochs, :nexts, :afters, :offsets, :timestamps, :hashes, :decided)
     n (topic, partition, epoch, next, after, fingerprint_offset, fingerprint_timestamp_ms, fingerprint, decided)
WHERE p.topic = n.topic AND p.partition = n.partition AND p.epoch = n.epoch AND p.next = n.next AND p.parked IS NULL
  AND EXISTS (SELECT FROM policy WHERE active AND digest = :digest)
RETURNING p.topic, p.partition
