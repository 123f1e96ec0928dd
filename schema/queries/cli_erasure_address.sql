-- :hash text
SELECT merge FROM address WHERE hash = :hash
