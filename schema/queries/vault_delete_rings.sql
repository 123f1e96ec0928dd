-- :persons text[]
-- :generations bigint[]
-- :versions bigint[]
-- :key_ids bytea[]
-- Rings of which no key is left, where nobody was faster.
DELETE FROM ring
USING unnest(:persons::text[], :generations::bigint[], :versions::bigint[], :key_ids::bytea[])
    AS gone (person, generation, version, key_id)
WHERE ring.person = gone.person
    AND ring.generation = gone.generation
    AND ring.version = gone.version
    AND ring.key_id = gone.key_id;
