-- :subject text
SELECT cut, generation, cause, array_to_string(categories, ','), complete, completed, restored, destroyed
FROM tombstone WHERE subject = :subject AND valid ORDER BY cut
