-- :subjects text[]
-- :bodies text[]
-- :times timestamptz[]
-- In everybody's order, that of the subjects. An eraser that was overtaken does not undo the other's.
INSERT INTO tombstone (subject, body, at)
SELECT subject, body, at
FROM unnest(:subjects::text[], :bodies::text[], :times::timestamptz[]) AS written (subject, body, at)
ORDER BY subject
ON CONFLICT (subject) DO UPDATE SET body = excluded.body, at = excluded.at WHERE tombstone.at <= excluded.at;
