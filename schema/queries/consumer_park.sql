-- :topic text
-- :partition int4
-- :epoch int8
-- :reason text
UPDATE position SET parked = :reason WHERE topic = :topic AND partition = :partition AND epoch = :epoch
