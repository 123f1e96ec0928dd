-- Whether the connection that holds the lock still lives.
SELECT 1
