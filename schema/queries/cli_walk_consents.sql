DECLARE walk_consents NO SCROLL CURSOR FOR
SELECT person, fact, merge, proof_until, proof
FROM consent ORDER BY person COLLATE "C", generation, at, fact COLLATE "C"
