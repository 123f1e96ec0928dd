-- :person_list text[]
-- :fact_list text[]
-- :generation_list int8[]
-- :at_list timestamptz[]
-- :act_list text[]
-- :purpose_list text[]
-- :channel_list text[]
-- :basis_list text[]
-- :confirmed_list bool[]
-- :order_id_list text[]
-- :proof_until_list date[]
-- :proof_list bytea[]
-- :merge_list bytea[]
-- :policy int4
INSERT INTO consent AS old
       (person, fact, generation, at, act, purpose, channel, basis, confirmed, order_id,
        proof_until, proof, merge, policy)
SELECT n.*, :policy
FROM unnest(:person_list, :fact_list, :generation_list, :at_list, :act_list, :purpose_list, :channel_list,
            :basis_list, :confirmed_list, :order_id_list, :proof_until_list, :proof_list, :merge_list) n
ON CONFLICT (person, fact) DO UPDATE SET
    generation = excluded.generation, proof_until = excluded.proof_until, proof = excluded.proof,
    merge = excluded.merge, policy = excluded.policy
