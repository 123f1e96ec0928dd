-- Held until the connection ends.
SELECT pg_advisory_lock(hashtextextended('kundregister migrate', 0))::text
