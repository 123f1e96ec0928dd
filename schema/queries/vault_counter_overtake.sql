-- :counter int8
-- In a vault that was restored from an older time, once it is mended.
UPDATE setting SET value = (greatest(value::bigint, :counter) + 1)::text WHERE name = 'counter' RETURNING value::bigint
