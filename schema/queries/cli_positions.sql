-- A worker runs when the backend of its claim is still there.
SELECT p.topic, p.partition, p.next, p.epoch, p.owner,
       EXISTS (SELECT FROM pg_stat_activity a WHERE a.pid = p.pid AND a.datname = current_database()
               AND a.application_name <> 'kundregister'),
       p.decided, p.parked
FROM position p ORDER BY p.topic COLLATE "C", p.partition
