-- :topics text[]
-- Topics of which nothing counts as published.
DELETE FROM mirror WHERE topic = ANY (:topics)
