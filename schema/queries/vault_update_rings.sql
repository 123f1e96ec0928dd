-- :persons text[]
-- :generations bigint[]
-- :versions bigint[]
-- :blobs bytea[]
-- :transits bytea[]
-- Rings with keys added, where nobody was faster; the places of those that were written come back.
UPDATE ring
SET version = ring.version + 1, blob = changed.blob, transit = changed.transit
FROM unnest(:persons::text[], :generations::bigint[], :versions::bigint[], :blobs::bytea[], :transits::bytea[])
    WITH ORDINALITY AS changed (person, generation, version, blob, transit, place)
WHERE ring.person = changed.person
    AND ring.generation = changed.generation
    AND ring.version = changed.version
RETURNING changed.place;
