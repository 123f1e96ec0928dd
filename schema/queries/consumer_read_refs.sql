-- :refs text[]
SELECT ref, kind, recipient, customer_id, object_id FROM ref WHERE ref = ANY(:refs)
