-- The mirror of the positions.
SELECT topic, seq, row_id FROM mirror
