-- :person text
SELECT request_id, received, identified, state, due, until FROM request WHERE person = :person
ORDER BY received, request_id COLLATE "C"
