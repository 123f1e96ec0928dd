-- When the register came back from a backup last, in microseconds; no row: never.
SELECT value::bigint FROM setting WHERE name = 'restored'
