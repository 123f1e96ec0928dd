-- :topic text
-- :partition int4
-- :owner text
-- A predecessor's transaction on this row ends before this one goes on: what was in doubt is settled here.
UPDATE position SET epoch = epoch + 1, owner = :owner, pid = pg_backend_pid()
WHERE topic = :topic AND partition = :partition
RETURNING next, epoch, decided, fingerprint_offset, fingerprint_timestamp_ms, fingerprint, parked, cluster_id
