-- The reconciliation is one transaction.
COMMIT
