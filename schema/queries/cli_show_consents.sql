-- :person text
SELECT fact, generation, at, act, purpose, channel, basis, confirmed, order_id, proof_until, proof, policy
FROM consent WHERE person = :person ORDER BY at, fact COLLATE "C"
