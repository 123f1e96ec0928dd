-- :persons text[]
-- The keys of all that is these persons': orders and shipments under a customer; shipments to a recipient, and those of
-- which somebody was told as of his once, though they go to another now. OFFSET 0: looked up a person at a time, even
-- by a plan that was made while the table was empty.
SELECT k.person, true AS is_order, o.customer_id, o.order_id AS object_id
FROM unnest(:persons) k (person) JOIN customer_order o ON o.customer_id = k.person
UNION ALL
SELECT k.person, false, s.customer_id, s.shipment_id
FROM unnest(:persons) k (person) JOIN shipment s ON s.customer_id = k.person
UNION ALL
(SELECT k.person, false, s.customer_id, s.shipment_id
 FROM unnest(:persons) k (person),
      LATERAL (SELECT customer_id, shipment_id FROM shipment
               WHERE person = k.person AND person LIKE 'recipient:%' OFFSET 0) s
 UNION
 SELECT k.person, false, l.customer_id, l.shipment_id
 FROM unnest(:persons) k (person),
      LATERAL (SELECT customer_id, shipment_id FROM ledger
               WHERE subject = k.person AND shipment_id IS NOT NULL OFFSET 0) l
 WHERE k.person LIKE 'recipient:%')
