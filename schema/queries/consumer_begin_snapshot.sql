-- What a batch loads it sees as of one instant, in however many rounds: nothing that others commit meanwhile shows in one
-- row and not in another. It locks nothing and has no number for which the relay would wait; the guards of the write that
-- follows tell whether it is too old.
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY
