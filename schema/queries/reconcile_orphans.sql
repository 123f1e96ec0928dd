-- :subject_list text[]
-- :cut_list timestamptz[]
-- :generation_list int8[]
-- :cause_list text[]
-- :categories_list text[]
-- :policy int4
-- Cuts of subjects that the register does not know: whoever turns out to be one is forgotten from the start. Nothing of
-- theirs is here to be destroyed.
INSERT INTO tombstone AS old
       (subject, cut, person, generation, cause, categories, valid, complete, completed, restored, destroyed, policy)
SELECT n.subject, n.cut, NULL, n.generation, n.cause, string_to_array(n.categories, ','), true, true, now(), true, now(),
       :policy
FROM unnest(:subject_list, :cut_list, :generation_list, :cause_list, :categories_list)
     n (subject, cut, generation, cause, categories)
ON CONFLICT (subject, cut) DO UPDATE SET cause = excluded.cause, valid = true, restored = true
