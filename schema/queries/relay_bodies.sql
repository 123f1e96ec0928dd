-- :seqs int8[]
-- Bodies as they are now: an erasure in between seals waiting rows anew under fresh keys.
SELECT o.body FROM unnest(:seqs) WITH ORDINALITY w (seq, nth) LEFT JOIN outbox o ON o.seq = w.seq ORDER BY w.nth
