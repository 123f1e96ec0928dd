-- :hashes bytea[]
-- :persons text[]
-- :generations bigint[]
-- :kinds text[]
-- :times timestamptz[]
-- Hashes to find persons by, with the earliest time that named each.
INSERT INTO lookup (hash, person, generation, kind, at)
SELECT hash, person, generation, min(kind), min(at)
FROM unnest(:hashes::bytea[], :persons::text[], :generations::bigint[], :kinds::text[], :times::timestamptz[])
    AS added (hash, person, generation, kind, at)
GROUP BY hash, person, generation
ORDER BY hash, person, generation
ON CONFLICT (hash, person, generation) DO UPDATE SET at = excluded.at WHERE lookup.at > excluded.at;
