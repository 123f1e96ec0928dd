-- :person text
-- The relay's own word on a row comes first, then its mirror.
SELECT l.decided, l.recipient, l.kind, l.shipment_id, l.service, l.role, array_to_string(l.fields, ','), l.purpose,
       CASE WHEN p.state IN ('published', 'withheld', 'unpublishable') THEN p.state
            WHEN m.seq >= l.seq THEN 'published'
            WHEN p.state IS NOT NULL THEN p.state
            ELSE 'decided' END,
       CASE WHEN p.state = 'published' THEN p.at END,
       l.generation, l.disclosure_ref, l.cause, l.output_id::text
FROM ledger l
LEFT JOIN publication p ON p.seq = l.seq
LEFT JOIN mirror m ON m.topic = l.topic
WHERE l.subject = :person AND l.recipient IS NOT NULL AND l.kind <> 'register.dead-letter'
ORDER BY l.seq
