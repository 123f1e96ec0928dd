-- :name text
-- :value text
INSERT INTO setting (name, value) VALUES (:name, :value) ON CONFLICT DO NOTHING;
