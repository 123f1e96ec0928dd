-- The register may have come back from a backup: from now on, in microseconds.
INSERT INTO setting (name, value) VALUES ('restored', (extract(epoch FROM clock_timestamp()) * 1000000)::bigint::text)
ON CONFLICT (name) DO UPDATE SET value = excluded.value RETURNING value::bigint
