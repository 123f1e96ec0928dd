-- :customers text[]
-- :shipments text[]
SELECT s.customer_id, s.shipment_id, s.delivery_until, s.delivery, s.merge
FROM unnest(:customers, :shipments) k (customer_id, shipment_id) JOIN shipment s USING (customer_id, shipment_id)
