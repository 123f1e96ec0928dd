-- :persons text[]
-- :refs text[]
SELECT n.person, n.notice_ref, n.ground_until, n.ground, n.merge
FROM unnest(:persons, :refs) k (person, notice_ref) JOIN notice n USING (person, notice_ref)
