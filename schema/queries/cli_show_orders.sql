-- :customer text
SELECT order_id, generation, known, placed, cancelled, last_delivered, claim_until, claim, voucher_until, voucher,
       oss_until, oss, policy
FROM customer_order WHERE customer_id = :customer ORDER BY order_id COLLATE "C"
