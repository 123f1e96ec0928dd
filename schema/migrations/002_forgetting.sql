-- The register, version 2: what forgetting and consents need. What is clear is what 001 says is clear; a person's cuts,
-- addresses and permissions lie packed in person.merge.

-- One cut of a subject (SEMANTICS.md, Cuts and generations), written from the person's guard in the transaction that
-- changes it. person NULL: the vault or the topic knew it, this register does not know whose it is yet (restore
-- reconcile); the person takes it over with the first fact that names him.
CREATE TABLE tombstone (
    subject text NOT NULL,              -- keyed hash of the person
    cut timestamptz NOT NULL,
    person text,
    generation bigint NOT NULL,         -- the one that it ends
    cause text NOT NULL,                -- closed, request
    categories text[] NOT NULL,
    valid bool NOT NULL,                -- false: it was told once and ends nothing any more
    complete bool NOT NULL,             -- nothing of it waits
    completed timestamptz,
    restored bool NOT NULL,             -- brought in by restore reconcile
    destroyed timestamptz,              -- the vault has let go of the keys; NULL = not yet, or not of all
    policy int NOT NULL,
    PRIMARY KEY (subject, cut)
) WITH (fillfactor = 70);
CREATE INDEX tombstone_person ON tombstone (person) WHERE person IS NOT NULL;
CREATE INDEX tombstone_orphan ON tombstone (subject) WHERE person IS NULL;
CREATE INDEX tombstone_pending ON tombstone (person) WHERE destroyed IS NULL AND person IS NOT NULL;

-- Keys that the vault is still to destroy: those of the ring and category with lower serials. Written by the erasing
-- transaction, deleted after the vault's.
CREATE TABLE doomed (
    person text NOT NULL,
    generation bigint NOT NULL,
    category smallint NOT NULL,
    cells int NOT NULL,
    transit int NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (person, generation, category)
) WITH (fillfactor = 70);

-- Consent facts: one row each, never deleted by a withdrawal.
CREATE TABLE consent (
    person text NOT NULL,
    fact text NOT NULL,                 -- keyed hash of the fact
    generation bigint NOT NULL,
    at timestamptz NOT NULL,            -- the event's time
    act text NOT NULL,                  -- granted, withdrawn, objected
    purpose text,
    channel text,
    basis text,
    confirmed bool,
    order_id text,
    proof_until date,
    proof bytea,
    merge bytea NOT NULL,
    policy int NOT NULL,
    PRIMARY KEY (person, fact)
) WITH (fillfactor = 70);

-- Requests of data subjects; person NULL: a case that nobody has tied to a person, or only its identification is known.
CREATE TABLE request (
    request_id text PRIMARY KEY,
    revision bigint NOT NULL,           -- raised at each write, guards
    person text,
    is_case bool NOT NULL,              -- came with an e-mail or phone
    channel text,
    identity text,                      -- the strongest seen
    received timestamptz,
    identified timestamptz,             -- the earliest
    state text,
    due date,
    until date,
    merge bytea NOT NULL,
    policy int NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX request_due ON request (due) WHERE state <> 'done';

-- Who ever used an address: packed entries a hash. armed: somebody's objection (or an erased one's withdrawal) is known.
CREATE TABLE address (
    hash text PRIMARY KEY,
    revision bigint NOT NULL,
    armed bool NOT NULL,
    merge bytea NOT NULL
) WITH (fillfactor = 70);

-- Of a generation that a cut ended, the line keeps person, generation and notice.
ALTER TABLE person ALTER opened DROP NOT NULL;

-- The one way in which a clerk changes anything: a command, sealed already, goes to the journal register.command.v1 and
-- takes effect when the consumer reads it there.
CREATE FUNCTION command_write(key text, output_id uuid, row_id bytea, body bytea) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    active_policy int;
    seq bigint;
    at timestamptz := clock_timestamp();
BEGIN
    IF octet_length(key) NOT BETWEEN 1 AND 256 OR octet_length(row_id) <> 16
        OR octet_length(body) NOT BETWEEN 1 AND 65536 THEN
        RAISE EXCEPTION 'a command must have a key, a row id of 16 bytes and a body of at most 64 KiB'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT p.policy INTO active_policy FROM policy p WHERE p.active;
    IF active_policy IS NULL THEN
        RAISE EXCEPTION 'no policy is active' USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    PERFORM pg_current_xact_id(); -- before the number is drawn: the relay waits for older transactions
    seq := nextval('outbox_seq');
    INSERT INTO outbox (seq, row_id, topic, key, type, output_id, decided, person, generation, category, body, headers)
    VALUES (seq, row_id, 'register.command.v1', key, 'register.command', output_id, at, '', -1, 0, body, NULL);
    INSERT INTO ledger (subject, output_id, seq, topic, kind, generation, cause, decided, policy)
    VALUES ('command', output_id, seq, 'register.command.v1', 'register.command', -1, 'command', at, active_policy);
    RETURN seq;
END $$;
REVOKE ALL ON FUNCTION command_write(text, uuid, bytea, bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION command_write(text, uuid, bytea, bytea) TO kr_clerk;

GRANT SELECT, INSERT, UPDATE, DELETE ON tombstone, doomed, consent, request, address TO kr_consumer;
GRANT UPDATE (body) ON outbox TO kr_consumer; -- what waits is sealed anew when other keys of its ring go

-- The operator sees how things stand, no cell and no person.
GRANT SELECT (cut, generation, cause, categories, valid, complete, completed, restored, destroyed, policy)
    ON tombstone TO kr_operator;
GRANT SELECT (generation, category, cells, transit, at) ON doomed TO kr_operator;
GRANT SELECT (request_id, is_case, channel, identity, received, identified, state, due, until, policy)
    ON request TO kr_operator;

GRANT SELECT ON tombstone, doomed, consent, request, address TO kr_clerk, kr_auditor;

INSERT INTO schema_version (version) VALUES (2);
