DECLARE walk_permissions NO SCROLL CURSOR FOR
SELECT person, generation, merge
FROM person WHERE person NOT LIKE 'recipient:%' ORDER BY person COLLATE "C", generation
