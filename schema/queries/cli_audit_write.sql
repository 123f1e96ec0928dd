-- :operator text
-- :action text
-- :subject text
-- :reason text
-- :detail text
INSERT INTO audit (operator, action, subject, reason, detail) VALUES (:operator, :action, :subject, :reason, :detail)
