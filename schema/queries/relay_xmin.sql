-- The horizon, step c: once this is above the id of step b, every transaction that drew a number before step a has ended.
SELECT pg_snapshot_xmin(pg_current_snapshot())::text::int8
