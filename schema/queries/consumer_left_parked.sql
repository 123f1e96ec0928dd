-- :refs text[]
-- Anything parked still under refs that were just learnt came in between.
SELECT count(*) FROM parked WHERE ref = ANY(:refs)
