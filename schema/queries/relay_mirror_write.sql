-- :topics text[]
-- :seqs int8[]
-- :row_ids bytea[]
-- Positions that Kafka has committed.
INSERT INTO mirror (topic, seq, row_id, published)
SELECT w.topic, w.seq, w.row_id, now() FROM unnest(:topics, :seqs, :row_ids) w (topic, seq, row_id)
ON CONFLICT (topic) DO UPDATE SET seq = excluded.seq, row_id = excluded.row_id, published = excluded.published
