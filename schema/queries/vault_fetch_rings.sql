-- :persons text[]
-- :generations bigint[]
-- The rings of a batch's persons, by their place in the arrays; persons without one do not come back.
SELECT wanted.place, ring.key_id, ring.version, ring.blob, ring.transit
FROM unnest(:persons::text[], :generations::bigint[]) WITH ORDINALITY AS wanted (person, generation, place)
JOIN ring ON ring.person = wanted.person AND ring.generation = wanted.generation;
