-- :persons text[]
-- :generations int8[]
-- :categories int2[]
-- Outbox rows sealed under these rings' transit keys that the relay has not published yet, as far as its mirror tells.
SELECT o.seq, o.row_id, o.person, o.generation, o.category, l.customer_id, l.shipment_id, o.body
FROM unnest(:persons, :generations, :categories) k (person, generation, category)
JOIN ledger l ON l.subject = k.person AND l.generation = k.generation
JOIN outbox o ON o.seq = l.seq AND o.person = k.person AND o.generation = k.generation AND o.category = k.category
WHERE l.seq > coalesce((SELECT m.seq FROM mirror m WHERE m.topic = l.topic), 0)
ORDER BY o.seq
