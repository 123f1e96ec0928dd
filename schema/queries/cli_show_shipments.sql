-- :customer text
SELECT customer_id, shipment_id, order_id, person, generation, direction, carrier, service, cancelled, closed,
       delivery_until, delivery, policy
FROM shipment WHERE customer_id = :customer ORDER BY shipment_id COLLATE "C"
