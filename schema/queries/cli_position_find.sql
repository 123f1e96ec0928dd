-- :topic text
-- :partition int4
SELECT topic, partition, next, parked
FROM position
WHERE topic <> 'calendar' AND (:topic::text IS NULL OR topic = :topic) AND (:partition::int4 < 0 OR partition = :partition)
ORDER BY topic COLLATE "C", partition
