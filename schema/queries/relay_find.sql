-- :topics text[]
-- :seqs int8[]
-- The row ids of the rows that the positions name, from the outbox or from what is kept of dropped partitions.
SELECT coalesce(o.row_id, a.row_id)
FROM unnest(:topics, :seqs) WITH ORDINALITY w (topic, seq, nth)
LEFT JOIN outbox o ON o.seq = w.seq AND o.topic = w.topic
LEFT JOIN outbox_anchor a ON a.seq = w.seq AND a.topic = w.topic
ORDER BY w.nth
