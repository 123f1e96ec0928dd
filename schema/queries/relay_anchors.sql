-- The last published rows in partitions that were dropped.
SELECT topic, seq, row_id FROM outbox_anchor
