-- :reason text
-- :topic text
-- :most int8
SELECT topic, partition, record_offset, reason, detail, decided
FROM dead_letter
WHERE (:reason::text IS NULL OR reason = :reason) AND (:topic::text IS NULL OR topic = :topic)
ORDER BY decided DESC, topic, partition, record_offset DESC LIMIT :most
