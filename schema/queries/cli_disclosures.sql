-- :person text
-- The relay's own word on a row comes first, then its mirror. Acknowledged: the recipient answered the notice, or the
-- notice that asks it to anonymize what it received.
SELECT l.decided, l.recipient, l.kind, l.shipment_id, l.service, l.role, array_to_string(l.fields, ','), l.purpose,
       CASE WHEN p.state IN ('withheld', 'unpublishable') THEN p.state
            WHEN EXISTS (SELECT FROM notice n
                         WHERE n.person = l.subject AND n.recipient = l.recipient AND n.outcome IS NOT NULL
                           AND ((l.kind LIKE '%.' || n.kind AND n.generation = l.generation AND n.decided = l.decided)
                                OR (l.kind IN ('register.disclosure.shipment', 'register.disclosure.newsletter')
                                    AND n.kind = 'anonymize' AND l.disclosure_ref = ANY (n.disclosures)
                                    AND n.decided >= l.decided)))
            THEN 'acknowledged'
            WHEN p.state = 'published' OR m.seq >= l.seq THEN 'published'
            WHEN p.state IS NOT NULL THEN p.state
            ELSE 'decided' END,
       CASE WHEN p.state = 'published' THEN p.at END,
       l.generation, l.disclosure_ref, l.cause, l.output_id::text
FROM ledger l
LEFT JOIN publication p ON p.seq = l.seq
LEFT JOIN mirror m ON m.topic = l.topic
WHERE l.subject = :person AND l.recipient IS NOT NULL AND l.kind <> 'register.dead-letter'
ORDER BY l.seq
