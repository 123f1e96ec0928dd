-- :person text
-- Of a consignee who is no customer.
SELECT customer_id, shipment_id, order_id, person, generation, direction, carrier, service, cancelled, closed,
       delivery_until, delivery, policy
FROM shipment WHERE person = :person AND person LIKE 'recipient:%' ORDER BY shipment_id COLLATE "C"
