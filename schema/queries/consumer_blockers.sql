-- :pid int4
-- Ends whoever keeps this backend waiting, where it is our own role's: a worker that went silent in a transaction.
SELECT count(pg_terminate_backend(a.pid)) FROM unnest(pg_blocking_pids(:pid)) b (pid)
JOIN pg_stat_activity a ON a.pid = b.pid WHERE a.usename = current_user
