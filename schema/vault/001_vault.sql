-- The vault, version 1. Run by kr_owner in the vault's database, in another cluster than the register
-- (keys in one cluster stand in the shared write-ahead log).

CREATE TABLE schema_version (version int PRIMARY KEY, applied timestamptz NOT NULL DEFAULT now());

-- vault_id, kek_check (a known text wrapped by the key-encryption key), counter: compared at start.
CREATE TABLE setting (name text PRIMARY KEY, value text NOT NULL);

-- A key ring a person and generation. Destroying a key = rewriting the blob without it.
CREATE TABLE ring (
    person text NOT NULL,
    generation bigint NOT NULL,
    key_id bytea NOT NULL,              -- 16 random bytes
    version bigint NOT NULL,            -- raised at each rewrite: compare-and-set
    blob bytea NOT NULL,                -- the cells' keys, wrapped by the key-encryption key
    transit bytea NOT NULL,             -- the outbox's keys, wrapped too: all that the relay may read
    PRIMARY KEY (person, generation)
) WITH (fillfactor = 70);

-- Keyed hashes of e-mail and phone, to find a person by. Only added to while the person is not erased.
CREATE TABLE lookup (
    hash bytea NOT NULL,
    person text NOT NULL,
    generation bigint NOT NULL,
    kind text NOT NULL,                 -- email, phone
    at timestamptz NOT NULL,            -- the earliest event time that named it
    PRIMARY KEY (hash, person, generation)
);
CREATE INDEX lookup_person ON lookup (person, generation);

GRANT USAGE ON SCHEMA public TO kr_consumer, kr_producer, kr_operator, kr_clerk, kr_auditor;
GRANT SELECT ON schema_version, setting TO kr_consumer, kr_producer, kr_operator, kr_clerk, kr_auditor;
GRANT SELECT, INSERT, UPDATE, DELETE ON ring, lookup TO kr_consumer;
GRANT SELECT, INSERT, UPDATE ON setting TO kr_consumer;
GRANT SELECT (person, generation, key_id, transit) ON ring TO kr_producer;
GRANT SELECT ON ring, lookup TO kr_clerk, kr_auditor;

INSERT INTO schema_version (version) VALUES (1);
