-- :hashes text[]
SELECT hash, merge FROM address WHERE hash = ANY (:hashes) ORDER BY hash
