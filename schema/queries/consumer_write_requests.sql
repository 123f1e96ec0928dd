-- :request_list text[]
-- :revision_list int8[]
-- :person_list text[]
-- :is_case_list bool[]
-- :channel_list text[]
-- :identity_list text[]
-- :received_list timestamptz[]
-- :identified_list timestamptz[]
-- :state_list text[]
-- :due_list date[]
-- :until_list date[]
-- :merge_list bytea[]
-- :policy int4
INSERT INTO request AS old
       (request_id, revision, person, is_case, channel, identity, received, identified, state, due, until,
        merge, policy)
SELECT n.*, :policy
FROM unnest(:request_list, :revision_list, :person_list, :is_case_list, :channel_list, :identity_list,
            :received_list, :identified_list, :state_list, :due_list, :until_list, :merge_list) n
ON CONFLICT (request_id) DO UPDATE SET
    revision = excluded.revision, person = excluded.person, is_case = excluded.is_case,
    channel = excluded.channel, identity = excluded.identity, received = excluded.received,
    identified = excluded.identified, state = excluded.state, due = excluded.due, until = excluded.until,
    merge = excluded.merge, policy = excluded.policy
WHERE old.revision = excluded.revision - 1
