-- :person text
-- :requested int8
SELECT customer_id, shipment_id, carrier, service, generation FROM shipment
WHERE ((customer_id = :person AND person = :person) OR (person = :person AND person LIKE 'recipient:%'))
  AND generation < :requested AND NOT closed AND delivery_until IS NOT NULL
ORDER BY customer_id COLLATE "C", shipment_id COLLATE "C"
