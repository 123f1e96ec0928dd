-- :persons text[]
SELECT person, generation, revision, profile_until, profile, merge FROM person WHERE person = ANY(:persons)
