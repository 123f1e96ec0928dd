-- :person text
SELECT generation, opened, kind, notice, language, closed, last_activity, profile_until, profile, policy, merge
FROM person WHERE person = :person ORDER BY generation
