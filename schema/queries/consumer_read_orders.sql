-- :customers text[]
-- :orders text[]
SELECT o.customer_id, o.order_id, o.claim_until, o.claim, o.voucher_until, o.voucher, o.oss_until, o.oss, o.merge
FROM unnest(:customers, :orders) k (customer_id, order_id) JOIN customer_order o USING (customer_id, order_id)
