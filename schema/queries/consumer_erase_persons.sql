-- :after text
-- :most int8
-- The first persons behind one that have doomed keys or a tombstone that the vault has not been told of; and when that
-- was seen.
SELECT both_lists.person, clock_timestamp()
FROM (
    (SELECT DISTINCT person FROM doomed WHERE person > :after ORDER BY person LIMIT :most)
    UNION
    (SELECT DISTINCT person FROM tombstone
     WHERE destroyed IS NULL AND person IS NOT NULL AND person > :after ORDER BY person LIMIT :most)
) both_lists
ORDER BY both_lists.person
LIMIT :most
