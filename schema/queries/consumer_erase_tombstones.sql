-- :persons text[]
-- All of these persons, destroyed or not: each record is the whole merged tombstone. The last column tells this version
-- of the row from another.
SELECT person, subject, cut, generation, cause, array_to_string(categories, ','), valid, complete, xmin::text
FROM tombstone WHERE person IS NOT NULL AND person = ANY (:persons)
ORDER BY person, cut
