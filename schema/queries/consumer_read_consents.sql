-- :persons text[]
SELECT person, fact, proof_until, proof, merge FROM consent WHERE person = ANY(:persons)
