-- :after int8
-- :limit int4
-- What the outbox holds, and what became of it.
SELECT o.seq, o.topic, o.row_id, o.output_id, p.state IS NOT NULL
FROM outbox o LEFT JOIN publication p ON p.seq = o.seq AND p.state <> 'handed_over'
WHERE o.seq > :after ORDER BY o.seq LIMIT :limit
