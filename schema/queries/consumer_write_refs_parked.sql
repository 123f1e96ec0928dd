-- :refs text[]
-- :kinds text[]
-- :recipients text[]
-- :customers text[]
-- :objects text[]
-- Learns what a ref means, or (all but the ref absent) only locks it where it means nothing still.
UPDATE ref SET kind = n.kind, recipient = n.recipient, customer_id = n.customer_id, object_id = n.object_id
FROM unnest(:refs, :kinds, :recipients, :customers, :objects) n (ref, kind, recipient, customer_id, object_id)
WHERE ref.ref = n.ref AND ref.recipient IS NULL
