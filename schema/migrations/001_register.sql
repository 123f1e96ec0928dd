-- The register, version 1. Run by kr_owner in the register's database through `kundregister migrate`.
--
-- What is clear: ids, statuses, times, clocks, policy codes. What is personal lies in cells (bytea, sealed by
-- person, core/seal.h), each beside the local date through which it is kept. `merge` columns hold the versions that
-- decide between facts (core/decide/pack.h), in a packed form: no personal data in them. The person (or customer)
-- leads every primary key, so that the tables can be sharded by it.
--
-- A person's and an order's row is written two or three times within moments (placed, shipped, delivered): half of each
-- page is left free, so that the new version lies beside the old and no index is touched (98% of the updates; 50% at 80).

CREATE TABLE schema_version (version int PRIMARY KEY, applied timestamptz NOT NULL DEFAULT now());

-- Facts about this register that are one of a kind: register_id, vault_id, kek_check, cluster_id, ...
CREATE TABLE setting (name text PRIMARY KEY, value text NOT NULL);

-- Every policy that was ever active; decisions name it by its number. At most one is active.
CREATE TABLE policy (
    policy int PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    digest text NOT NULL UNIQUE,
    body text NOT NULL,
    activated timestamptz NOT NULL,
    active bool NOT NULL
);
CREATE UNIQUE INDEX policy_active ON policy (active) WHERE active;

-- Where each source stands (SPEC 4). topic 'calendar' is the calendar.
CREATE TABLE position (
    topic text NOT NULL,
    partition int NOT NULL,
    next bigint NOT NULL,               -- the offset to read next
    epoch bigint NOT NULL,              -- of the claim
    owner text NOT NULL,                -- instance and worker
    pid int NOT NULL,                   -- backend of the claim
    cluster_id text NOT NULL,           -- Kafka's
    decided timestamptz,                -- `now` of the last transaction: never decreases
    fingerprint_offset bigint,          -- the last record taken in, its timestamp and keyed hash
    fingerprint_timestamp_ms bigint,
    fingerprint bytea,
    parked text,                        -- why nothing is read; NULL = it is read
    PRIMARY KEY (topic, partition)
) WITH (fillfactor = 50);

-- One row a person and generation; the row of generation -1 (the first) is the person's guard: every transaction
-- that touches the person raises its revision. person: customer id, or 'recipient:' and the id.
CREATE TABLE person (
    person text NOT NULL,
    generation bigint NOT NULL,         -- the cut before it in µs since 1970, -1 for the first
    revision bigint NOT NULL,
    opened bool NOT NULL,
    kind text,
    notice text,
    language text,
    closed timestamptz,
    last_activity timestamptz,
    profile_until date,
    profile bytea,
    merge bytea NOT NULL,
    policy int NOT NULL,
    PRIMARY KEY (person, generation)
) WITH (fillfactor = 50);

-- "order" would need quotes everywhere.
CREATE TABLE customer_order (
    customer_id text NOT NULL,
    order_id text NOT NULL,
    generation bigint NOT NULL,
    known bool NOT NULL,                -- false: a stub, something named the order before it was placed
    guest bool,
    placed timestamptz,
    version_time timestamptz,
    cancelled timestamptz,
    last_delivered timestamptz,
    claim_until date,
    claim bytea,
    voucher_until date,
    voucher bytea,
    oss_until date,
    oss bytea,
    merge bytea NOT NULL,
    policy int NOT NULL,
    PRIMARY KEY (customer_id, order_id)
) WITH (fillfactor = 50);

CREATE TABLE shipment (
    customer_id text NOT NULL,
    shipment_id text NOT NULL,
    order_id text,
    person text NOT NULL,               -- the consignee
    generation bigint NOT NULL,
    direction text,                     -- outbound, return; NULL: only a cancel is known
    country text,
    return_id text,
    carrier text,
    service text,
    parcels int,
    version_time timestamptz,
    cancelled timestamptz,
    closed bool NOT NULL,
    delivery_until date,
    delivery bytea,
    merge bytea NOT NULL,
    policy int NOT NULL,
    PRIMARY KEY (customer_id, shipment_id)
) WITH (fillfactor = 80);
-- What a consignee who is no customer received: his rows lie under somebody else's id.
CREATE INDEX shipment_recipient ON shipment (person) WHERE person LIKE 'recipient:%';

-- What a ref that comes in means. recipient NULL: nobody knows it yet, something is parked under it.
CREATE TABLE ref (
    ref text PRIMARY KEY,
    kind text NOT NULL,                 -- shipment, notice
    recipient text,
    customer_id text,                   -- of a shipment: its customer; of a notice: the person
    object_id text,                     -- shipment_id
    left_over boolean NOT NULL DEFAULT false -- known, and something is parked under it still
);
CREATE INDEX ref_left_over ON ref (ref) WHERE left_over;

-- Events whose ref is not known yet (30 days, then a dead letter).
CREATE TABLE parked (
    ref text NOT NULL,
    topic text NOT NULL,
    partition int NOT NULL,
    record_offset bigint NOT NULL,
    expires timestamptz NOT NULL,
    body bytea NOT NULL,                -- the packed event, sealed under the ring '/parking'
    record_hash bytea NOT NULL,         -- for the dead letter it may become
    PRIMARY KEY (ref, topic, partition, record_offset)
);
CREATE INDEX parked_expires ON parked (expires);

-- Notices to recipients and what they answered.
CREATE TABLE notice (
    person text NOT NULL,
    notice_ref text NOT NULL,
    generation bigint NOT NULL,
    recipient text NOT NULL,
    kind text NOT NULL,                 -- corrected, withdrawn, anonymize, restrict, unrestrict
    cause text NOT NULL,
    customer_id text,
    shipment_id text,
    disclosures text[] NOT NULL,        -- disclosure_refs it covers
    fields text[] NOT NULL,             -- of corrected: names, never values
    decided timestamptz NOT NULL,
    answer_by date NOT NULL,
    reminder int NOT NULL,
    outcome text,
    retained_until date,
    ground_until date,
    ground bytea,                       -- the recipient's words: a cell of category ledger
    merge bytea NOT NULL,
    policy int NOT NULL,
    PRIMARY KEY (person, notice_ref)
);

-- Every output ever decided: the table of emitted ids and, where recipient is set, the ledger of disclosures.
-- Outlives the outbox. seq against the relay's mirror tells whether it was published.
CREATE TABLE ledger (
    subject text NOT NULL,              -- the person; of a dead letter: topic/partition
    output_id uuid NOT NULL,
    seq bigint NOT NULL,
    topic text NOT NULL,
    kind text NOT NULL,                 -- register.disclosure.shipment, ...
    generation bigint NOT NULL,
    recipient text,
    customer_id text,
    shipment_id text,
    service text,
    role text,
    disclosure_ref text,
    fields text[],                      -- names, never values
    purpose text,
    cause text NOT NULL,                -- the event that caused it: source and id, or the calendar's act
    decided timestamptz NOT NULL,
    policy int NOT NULL,
    PRIMARY KEY (subject, output_id)
);
CREATE INDEX ledger_recipient ON ledger (recipient, decided) WHERE kind = 'register.dead-letter';

-- Dead letters: pointer, reason, keyed hash; never the payload.
CREATE TABLE dead_letter (
    topic text NOT NULL,
    partition int NOT NULL,
    record_offset bigint NOT NULL,
    reason text NOT NULL,
    detail text,
    record_hash bytea NOT NULL,
    record_timestamp timestamptz,
    decided timestamptz NOT NULL,
    policy int NOT NULL,
    PRIMARY KEY (topic, partition, record_offset, record_hash) -- a topic made anew has other records there
);

-- What waits for the relay (SPEC 5). Numbered after the transaction holds its persons; dropped by partition.
CREATE SEQUENCE outbox_seq AS bigint MINVALUE 1 CACHE 1;
CREATE TABLE outbox (
    seq bigint NOT NULL,
    row_id bytea NOT NULL,              -- 16 random bytes: tells this register from a restored one
    topic text NOT NULL,
    key text NOT NULL,
    type text NOT NULL,                 -- without .v1
    output_id uuid NOT NULL,
    decided timestamptz NOT NULL,       -- ce_time
    person text NOT NULL,               -- whose ring seals the body; '' = the body is clear
    generation bigint NOT NULL,
    category smallint NOT NULL,         -- of the transit key
    body bytea NOT NULL,
    headers bytea                       -- packed extra headers (dead letters), or NULL
) PARTITION BY RANGE (seq);
-- The last row of each topic in partitions that were dropped: the start-up comparison needs them.
CREATE TABLE outbox_anchor (topic text PRIMARY KEY, seq bigint NOT NULL, row_id bytea NOT NULL);

-- The relay's own: the mirror of its position, and what became of rows that were not simply published.
CREATE TABLE mirror (topic text PRIMARY KEY, seq bigint NOT NULL, row_id bytea NOT NULL, published timestamptz NOT NULL);
CREATE TABLE publication (
    seq bigint PRIMARY KEY,
    topic text NOT NULL,
    output_id uuid NOT NULL,
    state text NOT NULL CHECK (state IN ('handed_over', 'published', 'withheld', 'unpublishable')),
    detail text,
    at timestamptz NOT NULL
);
-- Every row up to this one is published or settled otherwise, so that a start need not read the outbox from its
-- beginning for a topic that is seldom used. Written after the mirror, never ahead of it.
CREATE TABLE outbox_floor (only_one bool PRIMARY KEY DEFAULT true CHECK (only_one), seq bigint NOT NULL);
-- Output ids that `producer reconcile` met in Kafka but not in the outbox of a restored register: when the consumer
-- decides them once more, their rows are not published again.
CREATE TABLE published_before (output_id uuid PRIMARY KEY);

-- Who did what by hand.
CREATE TABLE audit (
    audit bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    at timestamptz NOT NULL DEFAULT now(),
    role text NOT NULL DEFAULT session_user,
    operator text NOT NULL,             -- the operating system's user
    action text NOT NULL,
    subject text,
    reason text,
    detail text
);

-- Partitions of the outbox: 1,048,576 rows each, always four ahead of the sequence. Called by the consumer before
-- a transaction that could come near the end.
CREATE FUNCTION outbox_extend() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    size constant bigint := 1048576;
    part bigint;
    ahead bigint;
    made bigint := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('kundregister outbox partitions'));
    SELECT last_value / size INTO part FROM outbox_seq;
    FOR ahead IN part .. part + 4 LOOP
        IF to_regclass(format('outbox_%s', ahead)) IS NULL THEN
            EXECUTE format('CREATE TABLE outbox_%s PARTITION OF outbox (PRIMARY KEY (seq)) FOR VALUES FROM (%s) TO (%s)',
                           ahead, ahead * size, (ahead + 1) * size);
            made := made + 1;
        END IF;
    END LOOP;
    RETURN (part + 5) * size; -- the first number that has no partition
END $$;

-- Drops every partition whose rows are all published (not above the mirror of their topic) or recorded as never to
-- be. A row that the mirror names is anchored first: the position in Kafka names the same one or a later one that is
-- still there. Returns how many were dropped. The only thing the relay may do to the outbox.
CREATE FUNCTION outbox_drop_published() RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    size constant bigint := 1048576;
    child record;
    unpublished bool;
    dropped int := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('kundregister outbox partitions'));
    SET LOCAL lock_timeout = '500ms';
    FOR child IN
        SELECT c.oid, c.relname, substring(c.relname FROM 'outbox_(\d+)')::bigint AS part
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'outbox'::regclass ORDER BY 3
    LOOP
        -- The floor never passes the horizon: no transaction still open holds a row at or below it.
        EXIT WHEN (child.part + 1) * size > (SELECT coalesce(max(seq), 0) FROM outbox_floor) + 1;
        EXECUTE format('SELECT EXISTS (SELECT FROM (SELECT topic, max(seq) AS seq FROM %I r WHERE NOT EXISTS
                            (SELECT FROM publication p WHERE p.seq = r.seq AND p.state <> ''handed_over'') GROUP BY topic) o
                        LEFT JOIN mirror m USING (topic) WHERE m.seq IS NULL OR m.seq < o.seq)', child.relname)
            INTO unpublished;
        EXIT WHEN unpublished;
        EXECUTE format('INSERT INTO outbox_anchor SELECT m.topic, m.seq, m.row_id FROM mirror m JOIN %I r USING (topic, seq)
                        ON CONFLICT (topic) DO UPDATE SET seq = excluded.seq, row_id = excluded.row_id
                        WHERE outbox_anchor.seq < excluded.seq', child.relname);
        EXECUTE format('DROP TABLE %I', child.relname);
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
END $$;

SELECT outbox_extend();

-- Who may what (SPEC 6): nobody but the consumer changes personal state.
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO kr_consumer, kr_producer, kr_operator, kr_clerk, kr_auditor;
GRANT SELECT ON schema_version, setting, policy TO kr_consumer, kr_producer, kr_operator, kr_clerk, kr_auditor;

GRANT SELECT, INSERT, UPDATE, DELETE ON position, person, customer_order, shipment, ref, parked, notice TO kr_consumer;
GRANT SELECT, INSERT, UPDATE ON ledger, dead_letter, setting TO kr_consumer;
GRANT SELECT, INSERT ON outbox, audit TO kr_consumer;
GRANT SELECT ON mirror, publication, outbox_anchor TO kr_consumer;
GRANT USAGE, SELECT ON SEQUENCE outbox_seq TO kr_consumer;
GRANT EXECUTE ON FUNCTION outbox_extend() TO kr_consumer;

GRANT SELECT ON outbox, outbox_anchor TO kr_producer;
GRANT SELECT ON SEQUENCE outbox_seq TO kr_producer;
GRANT SELECT, INSERT, UPDATE, DELETE ON mirror, publication, outbox_floor, published_before TO kr_producer;
GRANT INSERT ON audit TO kr_producer;
GRANT EXECUTE ON FUNCTION outbox_drop_published() TO kr_producer;

-- The operator sees how things stand, no cell and no person.
GRANT SELECT ON position, mirror, publication, outbox_anchor, dead_letter, audit TO kr_operator;
GRANT SELECT (seq, topic, type, decided) ON outbox TO kr_operator;
GRANT SELECT (seq, topic, kind, recipient, decided, policy) ON ledger TO kr_operator;
GRANT SELECT (ref, topic, partition, record_offset, expires) ON parked TO kr_operator;
GRANT SELECT ON SEQUENCE outbox_seq TO kr_operator;
GRANT INSERT ON audit TO kr_operator;
GRANT INSERT, UPDATE ON policy TO kr_operator;

GRANT SELECT ON person, customer_order, shipment, ref, parked, notice, ledger, mirror, publication, dead_letter TO kr_clerk, kr_auditor;
GRANT SELECT ON position, audit, outbox, outbox_anchor TO kr_auditor;
GRANT SELECT ON SEQUENCE outbox_seq TO kr_clerk, kr_auditor;
GRANT INSERT ON audit TO kr_clerk, kr_auditor;

INSERT INTO schema_version (version) VALUES (1);
