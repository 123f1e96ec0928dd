-- In the vault, at a consumer's start.
UPDATE setting SET value = (value::bigint + 1)::text WHERE name = 'counter' RETURNING value::bigint
