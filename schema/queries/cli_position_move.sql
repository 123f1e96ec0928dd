-- :topic text
-- :partition int4
-- :was int8
-- :next int8
-- :keeps bool
-- :cluster_id text
-- :owner text
-- Raising the epoch fences whoever holds the partition.
UPDATE position
SET next = :next, epoch = epoch + 1, owner = :owner, pid = pg_backend_pid(), cluster_id = :cluster_id, parked = NULL,
    fingerprint_offset = CASE WHEN :keeps THEN fingerprint_offset END,
    fingerprint_timestamp_ms = CASE WHEN :keeps THEN fingerprint_timestamp_ms END,
    fingerprint = CASE WHEN :keeps THEN fingerprint END
WHERE topic = :topic AND partition = :partition AND next = :was
