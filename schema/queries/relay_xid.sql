-- The horizon, step b: in a statement of its own after step a, so that whoever drew a number before has a lower id.
SELECT pg_current_xact_id()::text::int8
