-- Who holds the horizon: the oldest transactions with an id, prepared ones included.
SELECT coalesce(string_agg(holder, '; '), 'nobody that this role can see')
FROM (SELECT holder FROM (
        SELECT age(backend_xid) AS age, format('pid %s (%s, %s, for %s s)', pid, application_name, state,
               extract(epoch FROM clock_timestamp() - xact_start)::int8) AS holder
        FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid()
        UNION ALL
        SELECT age(transaction), format('prepared transaction %s', gid) FROM pg_prepared_xacts) t
      ORDER BY age DESC LIMIT 3) oldest
