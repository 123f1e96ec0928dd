-- :customer_id_list text[]
-- :shipment_id_list text[]
-- :order_id_list text[]
-- :person_list text[]
-- :generation_list int8[]
-- :direction_list text[]
-- :country_list text[]
-- :return_id_list text[]
-- :carrier_list text[]
-- :service_list text[]
-- :parcels_list int4[]
-- :version_time_list timestamptz[]
-- :cancelled_list timestamptz[]
-- :closed_list bool[]
-- :delivery_until_list date[]
-- :delivery_list bytea[]
-- :merge_list bytea[]
-- :policy int4
INSERT INTO shipment AS old
       (customer_id, shipment_id, order_id, person, generation, direction, country, return_id,
        carrier, service, parcels, version_time, cancelled, closed, delivery_until, delivery,
        merge, policy)
SELECT n.*, :policy
FROM unnest(:customer_id_list, :shipment_id_list, :order_id_list, :person_list, :generation_list, :direction_list,
            :country_list, :return_id_list, :carrier_list, :service_list, :parcels_list, :version_time_list,
            :cancelled_list, :closed_list, :delivery_until_list, :delivery_list, :merge_list) n
ON CONFLICT (customer_id, shipment_id) DO UPDATE SET
    order_id = excluded.order_id, person = excluded.person, generation = excluded.generation,
    direction = excluded.direction, country = excluded.country, return_id = excluded.return_id,
    carrier = excluded.carrier, service = excluded.service, parcels = excluded.parcels,
    version_time = excluded.version_time, cancelled = excluded.cancelled, closed = excluded.closed,
    delivery_until = excluded.delivery_until, delivery = excluded.delivery, merge = excluded.merge,
    policy = excluded.policy
