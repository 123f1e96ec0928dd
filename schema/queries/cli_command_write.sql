-- :key text
-- :output_id text
-- :row_id bytea
-- :body bytea
SELECT command_write(:key, :output_id::uuid, :row_id, :body)
