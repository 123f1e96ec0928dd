-- :persons text[]
-- :generations bigint[]
-- :versions bigint[]
-- :key_ids bytea[]
-- :blobs bytea[]
-- :transits bytea[]
-- Rings with keys added, where nobody was faster; the places of those that were written come back. The key id too is
-- compared: a ring that was destroyed whole and made anew counts its versions from 1 again.
UPDATE ring
SET version = ring.version + 1, blob = changed.blob, transit = changed.transit
FROM unnest(:persons::text[], :generations::bigint[], :versions::bigint[], :key_ids::bytea[], :blobs::bytea[],
            :transits::bytea[])
    WITH ORDINALITY AS changed (person, generation, version, key_id, blob, transit, place)
WHERE ring.person = changed.person
    AND ring.generation = changed.generation
    AND ring.version = changed.version
    AND ring.key_id = changed.key_id
RETURNING changed.place;
