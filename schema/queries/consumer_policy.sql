-- :digest text
-- The number of the policy when it is the active one.
SELECT policy FROM policy WHERE active AND digest = :digest
