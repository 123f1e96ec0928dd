-- :person text
SELECT notice_ref, generation, ground_until, ground, policy
FROM notice WHERE person = :person AND ground IS NOT NULL ORDER BY decided, notice_ref COLLATE "C"
