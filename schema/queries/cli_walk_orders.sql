DECLARE walk_orders NO SCROLL CURSOR FOR
SELECT customer_id, order_id, merge, claim_until, claim, voucher_until, voucher, oss_until, oss
FROM customer_order ORDER BY customer_id COLLATE "C", generation, order_id COLLATE "C"
