-- :subjects text[]
-- :cuts timestamptz[]
-- :rows text[]
-- After consumer_erase_done: whoever has nothing doomed any more, and tombstones that are still what the vault was told.
UPDATE tombstone t SET destroyed = clock_timestamp()
FROM unnest(:subjects, :cuts, :rows) k (subject, cut, row)
WHERE t.subject = k.subject AND t.cut = k.cut AND t.destroyed IS NULL AND t.xmin::text = k.row
    AND NOT EXISTS (SELECT FROM doomed d WHERE d.person = t.person)
