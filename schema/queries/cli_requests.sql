-- :done bool
-- What an operator may see: no person. Those that are due first come first.
SELECT request_id, is_case, channel, identity, received, identified, state, due, until
FROM request WHERE :done OR state IS DISTINCT FROM 'done'
ORDER BY due NULLS FIRST, received NULLS FIRST, request_id COLLATE "C"
