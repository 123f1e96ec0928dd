-- The horizon, step a: the highest number that was drawn (0 = none yet).
SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM outbox_seq
