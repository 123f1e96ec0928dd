-- :person_list text[]
-- :notice_ref_list text[]
-- :generation_list int8[]
-- :recipient_list text[]
-- :kind_list text[]
-- :cause_list text[]
-- :customer_id_list text[]
-- :shipment_id_list text[]
-- :disclosures_list text[]
-- :fields_list text[]
-- :decided_list timestamptz[]
-- :answer_by_list date[]
-- :reminder_list int4[]
-- :outcome_list text[]
-- :retained_until_list date[]
-- :ground_until_list date[]
-- :ground_list bytea[]
-- :merge_list bytea[]
-- :policy int4
-- disclosures and fields come joined by commas.
INSERT INTO notice (person, notice_ref, generation, recipient, kind, cause, customer_id, shipment_id, disclosures, fields,
                    decided, answer_by, reminder, outcome, retained_until, ground_until, ground, merge, policy)
SELECT n.person, n.notice_ref, n.generation, n.recipient, n.kind, n.cause, n.customer_id, n.shipment_id,
       string_to_array(n.disclosures, ','), string_to_array(n.fields, ','),
       n.decided, n.answer_by, n.reminder, n.outcome, n.retained_until, n.ground_until, n.ground, n.merge, :policy
FROM unnest(:person_list, :notice_ref_list, :generation_list, :recipient_list, :kind_list, :cause_list,
            :customer_id_list, :shipment_id_list, :disclosures_list, :fields_list, :decided_list, :answer_by_list,
            :reminder_list, :outcome_list, :retained_until_list, :ground_until_list, :ground_list, :merge_list)
     n (person, notice_ref, generation, recipient, kind, cause, customer_id, shipment_id, disclosures, fields,
        decided, answer_by, reminder, outcome, retained_until, ground_until, ground, merge)
ON CONFLICT (person, notice_ref) DO UPDATE SET
    generation = excluded.generation, disclosures = excluded.disclosures, fields = excluded.fields,
    answer_by = excluded.answer_by, reminder = excluded.reminder, outcome = excluded.outcome,
    retained_until = excluded.retained_until, ground_until = excluded.ground_until, ground = excluded.ground,
    merge = excluded.merge, policy = excluded.policy
