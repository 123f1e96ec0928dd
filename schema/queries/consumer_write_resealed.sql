-- :seqs int8[]
-- :row_ids bytea[]
-- :bodies bytea[]
-- What waits stays what it was, under a key that stays. A row whose partition was dropped meanwhile was published.
UPDATE outbox o SET body = n.body FROM unnest(:seqs, :row_ids, :bodies) n (seq, row_id, body)
WHERE o.seq = n.seq AND o.row_id = n.row_id
