-- The reconciliation is one transaction.
BEGIN
