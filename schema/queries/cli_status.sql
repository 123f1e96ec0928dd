-- The horizon: the oldest transaction with an id, where this role may see it (pg_read_all_stats).
SELECT (SELECT digest FROM policy WHERE active), (SELECT count(ref) FROM parked), (SELECT count(*) FROM dead_letter),
       (SELECT last_value FROM outbox_seq), h.age, h.pid::int8
FROM (SELECT 1) one
LEFT JOIN (SELECT (extract(epoch FROM clock_timestamp() - xact_start) * 1000000)::int8 AS age, pid
           FROM pg_stat_activity
           WHERE backend_xid IS NOT NULL AND datname = current_database() AND pid <> pg_backend_pid()
           ORDER BY xact_start LIMIT 1) h ON true
