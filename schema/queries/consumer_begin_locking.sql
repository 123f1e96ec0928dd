-- The same for a batch that locks its persons before it reads them: a row that somebody changed since is refused with
-- 40001, and the batch is done again.
BEGIN ISOLATION LEVEL REPEATABLE READ
