-- :seqs int8[]
-- :topics text[]
-- :output_ids uuid[]
-- :states text[]
-- :details text[]
-- What became of rows that were not simply published.
INSERT INTO publication (seq, topic, output_id, state, detail, at)
SELECT w.seq, w.topic, w.output_id, w.state, w.detail, now()
FROM unnest(:seqs, :topics, :output_ids, :states, :details) w (seq, topic, output_id, state, detail)
ON CONFLICT (seq) DO UPDATE SET state = excluded.state, detail = excluded.detail, at = excluded.at
WHERE publication.state = 'handed_over'
