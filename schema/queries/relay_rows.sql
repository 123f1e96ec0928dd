-- :after int8
-- :up_to int8
-- :limit int4
-- :stalled text[]
-- The next rows in order. settled: 1 = recorded as never to be published (again), 2 = its id is in Kafka already.
SELECT o.seq, o.row_id, o.topic, o.key, o.type, o.output_id, o.decided, o.person, o.generation, o.category, o.body,
       o.headers,
       CASE WHEN EXISTS (SELECT FROM publication p WHERE p.seq = o.seq AND p.state <> 'handed_over') THEN 1
            WHEN EXISTS (SELECT FROM published_before b WHERE b.output_id = o.output_id) THEN 2
            ELSE 0 END AS settled
FROM outbox o
WHERE o.seq > :after AND o.seq <= :up_to AND o.topic <> ALL (:stalled)
ORDER BY o.seq LIMIT :limit
