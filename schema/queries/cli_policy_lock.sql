-- Two activations at once wait for each other.
SELECT pg_advisory_xact_lock(hashtextextended('kundregister policy', 0))::text
