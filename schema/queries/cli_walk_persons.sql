-- A later generation comes with its person's guard: which generations there are is known there.
DECLARE walk_persons NO SCROLL CURSOR FOR
SELECT p.person, p.generation, p.merge, p.profile_until, p.profile, g.merge
FROM person p
LEFT JOIN person g ON p.generation <> -1 AND g.person = p.person AND g.generation = -1
ORDER BY p.person COLLATE "C", p.generation
