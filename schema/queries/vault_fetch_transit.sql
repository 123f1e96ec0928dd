-- :persons text[]
-- :generations bigint[]
-- All that the relay may read of a ring.
SELECT wanted.place, ring.key_id, ring.transit
FROM unnest(:persons::text[], :generations::bigint[]) WITH ORDINALITY AS wanted (person, generation, place)
JOIN ring ON ring.person = wanted.person AND ring.generation = wanted.generation;
