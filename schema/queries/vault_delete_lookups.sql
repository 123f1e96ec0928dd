-- :persons text[]
-- :erased timestamptz[]
-- The erased can no longer be found by what named them up to then.
DELETE FROM lookup
USING unnest(:persons::text[], :erased::timestamptz[]) AS gone (person, erased)
WHERE lookup.person = gone.person AND lookup.latest <= gone.erased;
