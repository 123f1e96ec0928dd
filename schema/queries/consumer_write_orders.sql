-- :customer_id_list text[]
-- :order_id_list text[]
-- :generation_list int8[]
-- :known_list bool[]
-- :guest_list bool[]
-- :placed_list timestamptz[]
-- :version_time_list timestamptz[]
-- :cancelled_list timestamptz[]
-- :last_delivered_list timestamptz[]
-- :claim_until_list date[]
-- :claim_list bytea[]
-- :voucher_until_list date[]
-- :voucher_list bytea[]
-- :oss_until_list date[]
-- :oss_list bytea[]
-- :merge_list bytea[]
-- :policy int4
INSERT INTO customer_order AS old
       (customer_id, order_id, generation, known, guest, placed, version_time, cancelled,
        last_delivered, claim_until, claim, voucher_until, voucher, oss_until, oss, merge, policy)
SELECT n.*, :policy
FROM unnest(:customer_id_list, :order_id_list, :generation_list, :known_list, :guest_list, :placed_list,
            :version_time_list, :cancelled_list, :last_delivered_list, :claim_until_list, :claim_list, :voucher_until_list,
            :voucher_list, :oss_until_list, :oss_list, :merge_list) n
ON CONFLICT (customer_id, order_id) DO UPDATE SET
    generation = excluded.generation, known = excluded.known, guest = excluded.guest,
    placed = excluded.placed, version_time = excluded.version_time, cancelled = excluded.cancelled,
    last_delivered = excluded.last_delivered, claim_until = excluded.claim_until, claim = excluded.claim,
    voucher_until = excluded.voucher_until, voucher = excluded.voucher, oss_until = excluded.oss_until,
    oss = excluded.oss, merge = excluded.merge,
    policy = excluded.policy
