SELECT name, setting FROM pg_settings
WHERE name IN ('fsync', 'synchronous_commit', 'full_page_writes', 'server_encoding', 'log_error_verbosity',
               'log_parameter_max_length', 'log_parameter_max_length_on_error')
