-- :person text
SELECT decided, recipient, kind, cause, shipment_id, array_to_string(fields, ','), answer_by, reminder, outcome,
       retained_until, generation, notice_ref
FROM notice WHERE person = :person ORDER BY decided, notice_ref COLLATE "C"
