-- :subjects text[]
-- What the vault was told of these subjects before, by their place in the array.
SELECT wanted.place, tombstone.body
FROM unnest(:subjects::text[]) WITH ORDINALITY AS wanted (subject, place)
JOIN tombstone ON tombstone.subject = wanted.subject;
