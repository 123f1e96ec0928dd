-- :lock_timeout text
SELECT set_config('lock_timeout', :lock_timeout, false)
