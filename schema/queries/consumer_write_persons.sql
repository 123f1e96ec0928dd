-- :person_list text[]
-- :generation_list int8[]
-- :revision_list int8[]
-- :opened_list bool[]
-- :kind_list text[]
-- :notice_list text[]
-- :language_list text[]
-- :closed_list timestamptz[]
-- :last_activity_list timestamptz[]
-- :profile_until_list date[]
-- :profile_list bytea[]
-- :merge_list bytea[]
-- :policy int4
INSERT INTO person AS old
       (person, generation, revision, opened, kind, notice, language, closed,
        last_activity, profile_until, profile, merge, policy)
SELECT n.*, :policy
FROM unnest(:person_list, :generation_list, :revision_list, :opened_list, :kind_list, :notice_list,
            :language_list, :closed_list, :last_activity_list, :profile_until_list, :profile_list, :merge_list) n
ON CONFLICT (person, generation) DO UPDATE SET
    revision = excluded.revision, opened = excluded.opened, kind = excluded.kind,
    notice = excluded.notice, language = excluded.language, closed = excluded.closed,
    last_activity = excluded.last_activity, profile_until = excluded.profile_until, profile = excluded.profile,
    merge = excluded.merge,
    policy = excluded.policy
WHERE old.revision = excluded.revision - 1
