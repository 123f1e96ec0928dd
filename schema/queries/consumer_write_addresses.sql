-- :hash_list text[]
-- :revision_list int8[]
-- :armed_list bool[]
-- :merge_list bytea[]
INSERT INTO address AS old (hash, revision, armed, merge)
SELECT n.* FROM unnest(:hash_list, :revision_list, :armed_list, :merge_list) n
ON CONFLICT (hash) DO UPDATE SET
    revision = excluded.revision, armed = excluded.armed, merge = excluded.merge
WHERE old.revision = excluded.revision - 1
