-- :output_ids uuid[]
-- Ids that are in Kafka and not in this register's outbox.
INSERT INTO published_before (output_id) SELECT unnest(:output_ids) ON CONFLICT DO NOTHING
