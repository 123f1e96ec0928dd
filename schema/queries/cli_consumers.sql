SELECT pid FROM pg_stat_activity
WHERE usename = current_user AND datname = current_database() AND pid <> pg_backend_pid()
  AND application_name <> 'kundregister'
ORDER BY pid
