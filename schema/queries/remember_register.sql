-- :after text
-- :upto text
-- :most int4
-- In the register: what it knows of a stretch of subjects, cuts that end nothing any more among it.
SELECT subject, cut, cause = 'request', valid FROM tombstone
WHERE subject > :after AND subject <= :upto ORDER BY subject, cut LIMIT :most
