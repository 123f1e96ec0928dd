-- :refs text[]
-- :kinds text[]
-- :recipients text[]
-- :customers text[]
-- :objects text[]
INSERT INTO ref (ref, kind, recipient, customer_id, object_id)
SELECT n.* FROM unnest(:refs, :kinds, :recipients, :customers, :objects) n
ON CONFLICT (ref) DO NOTHING
