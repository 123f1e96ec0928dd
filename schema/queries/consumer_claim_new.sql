-- :topic text
-- :partition int4
-- :first int8
-- :owner text
-- :cluster_id text
INSERT INTO position (topic, partition, next, epoch, owner, pid, cluster_id)
VALUES (:topic, :partition, :first, 1, :owner, pg_backend_pid(), :cluster_id)
ON CONFLICT DO NOTHING
RETURNING next, epoch, decided, fingerprint_offset, fingerprint_timestamp_ms, fingerprint, parked, cluster_id
