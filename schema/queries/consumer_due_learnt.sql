-- :ref text
-- :topic text
-- :partition int4
-- :offset int8
-- :most int8
-- What was left over under refs that have become known, behind the event named. Limited under each ref too, so that
-- a portion of very many costs no more than of few.
SELECT p.ref, p.topic, p.partition, p.record_offset, p.expires, p.body, p.record_hash
FROM ref r, LATERAL (
    SELECT * FROM parked
    WHERE parked.ref = r.ref
      AND (parked.ref, parked.topic, parked.partition, parked.record_offset) > (:ref, :topic, :partition, :offset)
    ORDER BY parked.topic, parked.partition, parked.record_offset LIMIT :most) p
WHERE r.left_over AND r.ref >= :ref
ORDER BY r.ref, p.topic, p.partition, p.record_offset LIMIT :most
