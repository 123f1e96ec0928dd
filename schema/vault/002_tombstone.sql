-- The vault, version 2: what is left of the forgotten.

-- One row a subject, written by the transaction that destroys the keys: so that a register that was restored from
-- before an erasure is known by it. body: JSON, {subject, erasures} as register.subject.erased.v1 tells them (the whole
-- merged tombstone) and `suppression`, the keyed hashes of every address that the erased one had:
-- [{"hash":"...","kind":"email|phone","objected":[first, last of his objections known by then],"times":[when an event
-- stated it],"withdrawn":"..."}], objected and withdrawn only where there are any.
CREATE TABLE tombstone (
    subject text PRIMARY KEY,           -- keyed hash of the person (core/ref.h, ref_subject)
    body text NOT NULL,
    at timestamptz NOT NULL             -- when the register was read for it: an older body never replaces a newer one
);

-- Lookups go at an erasure unless an event later than the cut named them too.
ALTER TABLE lookup ADD COLUMN latest timestamptz;
UPDATE lookup SET latest = at;
ALTER TABLE lookup ALTER COLUMN latest SET NOT NULL;

GRANT SELECT, INSERT, UPDATE ON tombstone TO kr_consumer;
GRANT SELECT ON tombstone TO kr_clerk, kr_auditor;

INSERT INTO schema_version (version) VALUES (2);
