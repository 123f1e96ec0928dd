-- The digest of the active policy.
SELECT digest FROM policy WHERE active
