-- :topic text
-- :partition int4
-- :record_offset int8
SELECT d.reason, d.detail, d.record_hash, d.record_timestamp, d.decided, d.policy, p.digest
FROM dead_letter d LEFT JOIN policy p ON p.policy = d.policy
WHERE d.topic = :topic AND d.partition = :partition AND d.record_offset = :record_offset
ORDER BY d.decided DESC
