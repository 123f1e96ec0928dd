-- :person text
-- How far it is: of several parts decided at once, what became of the last.
SELECT n.decided, n.recipient, n.kind, n.cause, n.shipment_id, array_to_string(n.fields, ','), n.answer_by, n.reminder,
       n.outcome, n.retained_until, n.generation, n.notice_ref, coalesce(s.state, 'decided'), n.merge
FROM notice n
LEFT JOIN LATERAL (
    SELECT CASE WHEN p.state IN ('published', 'withheld', 'unpublishable') THEN p.state
                WHEN m.seq >= l.seq THEN 'published'
                ELSE coalesce(p.state, 'decided') END AS state
    FROM ledger l
    LEFT JOIN publication p ON p.seq = l.seq
    LEFT JOIN mirror m ON m.topic = l.topic
    WHERE l.subject = n.person AND l.recipient = n.recipient AND l.generation = n.generation AND l.decided = n.decided
      AND l.kind LIKE '%.' || n.kind
    ORDER BY l.seq DESC LIMIT 1) s ON true
WHERE n.person = :person ORDER BY n.decided, n.notice_ref COLLATE "C"
