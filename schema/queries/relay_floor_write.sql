-- :seq int8
-- Up to where every row is settled.
INSERT INTO outbox_floor (seq) VALUES (:seq) ON CONFLICT (only_one) DO UPDATE SET seq = excluded.seq
