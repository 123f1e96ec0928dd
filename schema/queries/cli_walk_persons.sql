DECLARE walk_persons NO SCROLL CURSOR FOR
SELECT person, generation, merge, profile_until, profile
FROM person ORDER BY person COLLATE "C", generation
