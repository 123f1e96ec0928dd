-- :digest text
-- :body text
INSERT INTO policy (digest, body, activated, active) VALUES (:digest, :body, now(), true)
ON CONFLICT (digest) DO UPDATE SET active = true, activated = now()
