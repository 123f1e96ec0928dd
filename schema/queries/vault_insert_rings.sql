-- :persons text[]
-- :generations bigint[]
-- :key_ids bytea[]
-- :blobs bytea[]
-- :transits bytea[]
-- New rings, in the order given (everybody's order, or two batches deadlock); those that exist already stay as they
-- are and do not come back.
INSERT INTO ring (person, generation, key_id, version, blob, transit)
SELECT added.person, added.generation, added.key_id, 1, added.blob, added.transit
FROM unnest(:persons::text[], :generations::bigint[], :key_ids::bytea[], :blobs::bytea[], :transits::bytea[])
    AS added (person, generation, key_id, blob, transit)
ON CONFLICT DO NOTHING
RETURNING person, generation;
