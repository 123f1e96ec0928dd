-- :persons text[]
-- An older vault was restored: what it was told of these is to be told again.
UPDATE tombstone SET destroyed = NULL WHERE person = ANY(:persons) AND destroyed IS NOT NULL
