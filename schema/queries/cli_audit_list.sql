-- :subject text
-- :most int8
SELECT audit, at, role, operator, action, subject, reason, detail
FROM audit WHERE :subject::text IS NULL OR subject = :subject
ORDER BY audit DESC LIMIT :most
