-- :operator text
-- :detail text
-- Who reconciled, and what it changed.
INSERT INTO audit (operator, action, subject, detail) VALUES (:operator, 'producer reconcile', 'outbox', :detail)
