-- :persons text[]
-- All of these persons, destroyed or not: each record is the whole merged tombstone. The last column tells this version
-- of the row from another.
SELECT t.person, t.subject, t.cut, t.generation, t.cause, array_to_string(t.categories, ','), t.valid, t.complete,
       t.xmin::text
FROM unnest(:persons) k (person) JOIN tombstone t ON t.person = k.person
ORDER BY t.person, t.cut
