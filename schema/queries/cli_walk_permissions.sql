DECLARE walk_permissions NO SCROLL CURSOR FOR
SELECT p.person, p.generation, p.merge, g.merge
FROM person p
LEFT JOIN person g ON p.generation <> -1 AND g.person = p.person AND g.generation = -1
WHERE p.person NOT LIKE 'recipient:%'
ORDER BY p.person COLLATE "C", p.generation
