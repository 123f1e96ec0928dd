-- :instance text
SELECT pg_try_advisory_lock(hashtextextended('kundregister consumer ' || :instance, 0))
