-- :person text
-- :newest int8
SELECT l.recipient, count(*), min(l.decided), max(l.decided),
       EXISTS (SELECT FROM notice n WHERE n.person = :person AND n.recipient = l.recipient AND n.kind = 'anonymize'
                                      AND n.generation < :newest)
FROM ledger l
WHERE l.subject = :person AND l.generation < :newest AND l.recipient IS NOT NULL
  AND l.kind IN ('register.disclosure.shipment', 'register.disclosure.newsletter')
GROUP BY l.recipient ORDER BY l.recipient COLLATE "C"
