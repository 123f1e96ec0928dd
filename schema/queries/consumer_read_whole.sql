-- :persons text[]
-- The keys of all that is these persons': orders and shipments under a customer; shipments to a recipient, and those of
-- which somebody was told as of his once, though they go to another now.
SELECT k.person, true AS is_order, o.customer_id, o.order_id AS object_id
FROM unnest(:persons) k (person) JOIN customer_order o ON o.customer_id = k.person
UNION ALL
SELECT k.person, false, s.customer_id, s.shipment_id
FROM unnest(:persons) k (person) JOIN shipment s ON s.customer_id = k.person
UNION ALL
(SELECT k.person, false, s.customer_id, s.shipment_id
 FROM unnest(:persons) k (person) JOIN shipment s ON s.person = k.person AND s.person LIKE 'recipient:%'
 UNION
 SELECT k.person, false, l.customer_id, l.shipment_id
 FROM unnest(:persons) k (person) JOIN ledger l ON l.subject = k.person
 WHERE k.person LIKE 'recipient:%' AND l.shipment_id IS NOT NULL)
