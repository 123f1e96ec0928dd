-- :hashes bytea[]
-- :persons text[]
-- :generations bigint[]
-- :kinds text[]
-- :times timestamptz[]
-- Hashes to find persons by, with the earliest and the latest time that named each.
INSERT INTO lookup (hash, person, generation, kind, at, latest)
SELECT hash, person, generation, min(kind), min(at), max(at)
FROM unnest(:hashes::bytea[], :persons::text[], :generations::bigint[], :kinds::text[], :times::timestamptz[])
    AS added (hash, person, generation, kind, at)
GROUP BY hash, person, generation
ORDER BY hash, person, generation
ON CONFLICT (hash, person, generation) DO UPDATE
SET at = least(lookup.at, excluded.at), latest = greatest(lookup.latest, excluded.latest)
WHERE lookup.at > excluded.at OR lookup.latest < excluded.latest;
