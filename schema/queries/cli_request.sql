-- :request text
SELECT person, is_case, channel, identity, received, identified, state, due, until, merge
FROM request WHERE request_id = :request
