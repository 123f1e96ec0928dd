-- How many persons wait for the vault.
SELECT count(*)
FROM (SELECT person FROM doomed
      UNION
      SELECT person FROM tombstone WHERE destroyed IS NULL AND person IS NOT NULL) waiting
