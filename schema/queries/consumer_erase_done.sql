-- :persons text[]
-- :generations int8[]
-- :categories int2[]
-- :cells int4[]
-- :transits int4[]
-- Only where the floors are still the ones below which the vault has destroyed.
DELETE FROM doomed d
USING unnest(:persons, :generations, :categories, :cells, :transits) k (person, generation, category, cells, transit)
WHERE d.person = k.person AND d.generation = k.generation AND d.category = k.category
    AND d.cells = k.cells AND d.transit = k.transit
