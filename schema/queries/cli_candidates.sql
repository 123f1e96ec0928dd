-- :hash text
-- Whose address it is: the hash as 64 hex digits.
SELECT person, generation, kind, at FROM lookup WHERE hash = decode(:hash, 'hex') ORDER BY person COLLATE "C", generation
