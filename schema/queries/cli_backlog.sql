-- Topics that the relay knows or that something waits for. Ages in microseconds.
SELECT coalesce(m.topic, o.topic), coalesce(m.seq, 0), m.published, coalesce(o.waiting, 0),
       coalesce((extract(epoch FROM clock_timestamp() - o.oldest) * 1000000)::int8, 0)
FROM mirror m
FULL JOIN (
    SELECT w.topic, count(*) AS waiting, min(w.decided) AS oldest
    FROM outbox w LEFT JOIN mirror n ON n.topic = w.topic
    WHERE w.seq > coalesce(n.seq, 0) GROUP BY w.topic) o ON o.topic = m.topic
ORDER BY 1
