DECLARE walk_shipments NO SCROLL CURSOR FOR
SELECT customer_id, shipment_id, merge, delivery_until, delivery
FROM shipment ORDER BY customer_id COLLATE "C", shipment_id COLLATE "C"
