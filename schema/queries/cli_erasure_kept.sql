-- :person text
-- :newest int8
-- :requested int8
-- What stays of the generations before :newest, category by category. A shipment of a generation before :requested that is
-- not closed is no matter of dates: it waits.
SELECT 'claim' AS category, count(*), max(claim_until) FROM customer_order
WHERE customer_id = :person AND generation < :newest AND claim_until IS NOT NULL
UNION ALL
SELECT 'voucher', count(*), max(voucher_until) FROM customer_order
WHERE customer_id = :person AND generation < :newest AND voucher_until IS NOT NULL
UNION ALL
SELECT 'oss', count(*), max(oss_until) FROM customer_order
WHERE customer_id = :person AND generation < :newest AND oss_until IS NOT NULL
UNION ALL
SELECT 'delivery', count(*), max(delivery_until) FROM shipment
WHERE ((customer_id = :person AND person = :person) OR (person = :person AND person LIKE 'recipient:%'))
  AND generation < :newest AND delivery_until IS NOT NULL AND (closed OR generation >= :requested)
UNION ALL
SELECT 'consent_proof', count(*), max(proof_until) FROM consent
WHERE person = :person AND generation < :newest AND proof_until IS NOT NULL
UNION ALL
SELECT 'request', count(*), CASE WHEN count(until) = count(*) THEN max(until) END FROM request WHERE person = :person
