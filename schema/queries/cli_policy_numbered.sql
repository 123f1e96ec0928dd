-- :policy int4
SELECT body FROM policy WHERE policy = :policy
