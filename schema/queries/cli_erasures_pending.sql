-- Keys that the vault is still to destroy, and since when the oldest waits, in microseconds.
SELECT count(*), coalesce((extract(epoch FROM clock_timestamp() - min(at)) * 1000000)::int8, 0) FROM doomed
