-- :subject_list text[]
-- :cut_list timestamptz[]
-- :person_list text[]
-- :generation_list int8[]
-- :cause_list text[]
-- :categories_list text[]
-- :valid_list bool[]
-- :complete_list bool[]
-- :completed_list timestamptz[]
-- :restored_list bool[]
-- :policy int4
-- categories come joined by commas. What is written says something new, of itself or of the person's addresses: it is
-- to be brought to the vault (again).
INSERT INTO tombstone AS old
       (subject, cut, person, generation, cause, categories, valid, complete, completed, restored, policy)
SELECT n.subject, n.cut, n.person, n.generation, n.cause, string_to_array(n.categories, ','),
       n.valid, n.complete, n.completed, n.restored, :policy
FROM unnest(:subject_list, :cut_list, :person_list, :generation_list, :cause_list, :categories_list,
            :valid_list, :complete_list, :completed_list, :restored_list)
     n (subject, cut, person, generation, cause, categories, valid, complete, completed, restored)
ON CONFLICT (subject, cut) DO UPDATE SET
    person = excluded.person, generation = excluded.generation, cause = excluded.cause,
    categories = excluded.categories, valid = excluded.valid, complete = excluded.complete,
    completed = excluded.completed, restored = excluded.restored, policy = excluded.policy,
    destroyed = NULL
