-- :hash bytea
-- :kind text
SELECT person, generation, at FROM lookup WHERE hash = :hash AND kind = :kind ORDER BY person, generation
