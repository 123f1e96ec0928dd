-- :hashes text[]
SELECT hash, revision, merge FROM address WHERE hash = ANY(:hashes)
