-- :person text
SELECT cut, cause, array_to_string(categories, ','), complete, destroyed FROM tombstone
WHERE person = :person AND valid ORDER BY cut
