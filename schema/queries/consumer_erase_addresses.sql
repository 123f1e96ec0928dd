-- :hashes text[]
SELECT a.hash, a.merge FROM unnest(:hashes) k (hash) JOIN address a ON a.hash = k.hash ORDER BY a.hash
