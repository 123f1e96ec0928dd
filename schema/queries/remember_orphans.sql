-- Whether there are tombstones of subjects that the register does not know.
SELECT EXISTS (SELECT FROM tombstone WHERE person IS NULL)
