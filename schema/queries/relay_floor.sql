-- Up to where every row is settled.
SELECT coalesce(max(seq), 0) FROM outbox_floor
