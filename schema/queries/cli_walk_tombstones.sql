DECLARE walk_tombstones NO SCROLL CURSOR FOR
SELECT subject, person, generation, cut, cause, array_to_string(categories, ','), complete
FROM tombstone WHERE valid ORDER BY subject COLLATE "C", cut
