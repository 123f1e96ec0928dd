-- One relay at a time: the others stand by. Held as long as the connection lives.
SELECT pg_try_advisory_lock(hashtextextended('kundregister relay', 0))
