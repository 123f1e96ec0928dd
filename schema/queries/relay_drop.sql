-- Drops the outbox's partitions that are wholly published.
SELECT outbox_drop_published()
