-- Whether an open one waits for an erasure hangs on its consignee's cuts.
DECLARE walk_shipments NO SCROLL CURSOR FOR
SELECT s.customer_id, s.shipment_id, s.merge, s.delivery_until, s.delivery, g.merge
FROM shipment s
LEFT JOIN person g ON NOT s.closed AND g.person = s.person AND g.generation = -1
ORDER BY s.customer_id COLLATE "C", s.shipment_id COLLATE "C"
