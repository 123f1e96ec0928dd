-- :counter int8
-- In the register, after the vault's was raised. Of two starts at once the higher one stays.
UPDATE setting SET value = greatest(value::bigint, :counter::bigint)::text WHERE name = 'counter'
