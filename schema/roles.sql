-- Makes the database and the roles that a PostgreSQL cluster, register or vault, needs before any migration.
--
-- Run by a superuser, any number of times:
--     psql -d postgres -v ON_ERROR_STOP=1 -v database=register -f schema/roles.sql
--     psql -d postgres -v ON_ERROR_STOP=1 -v database=vault    -f schema/roles.sql
-- Passwords are whoever deploys it to give (ALTER ROLE ... PASSWORD); what each role may read and write is granted by
-- the migrations, table by table.
--
-- kr_owner     owns the database and what the migrations create; no daemon connects as it
-- kr_consumer  writes the register; may end its own backends (a role always may), which is how a claim frees itself
--              from a predecessor that went silent in a transaction
-- kr_producer  reads the outbox and transit keys; sees in pg_stat_activity who holds the outbox's horizon
-- kr_operator  runs it, without personal data; `status` names who holds the outbox's horizon too
-- kr_clerk     opens personal data with a stated reason
-- kr_auditor   reads the audit

\set ON_ERROR_STOP on

SELECT format('CREATE ROLE %I', name)
FROM unnest('{kr_owner,kr_consumer,kr_producer,kr_operator,kr_clerk,kr_auditor}'::name[]) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name)
\gexec

ALTER ROLE kr_owner    WITH LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
ALTER ROLE kr_consumer WITH LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
ALTER ROLE kr_producer WITH LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
ALTER ROLE kr_operator WITH LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
ALTER ROLE kr_clerk    WITH LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
ALTER ROLE kr_auditor  WITH LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;

-- The daemons only look rows up by key, a batch of keys at a time. Their plans are made once a connection, maybe while a
-- table is empty still, when reading all of it looks cheaper: 22 ms rather than 0.1 ms a batch at 13,000 persons, and
-- growing until the next ANALYZE. So they are told.
ALTER ROLE kr_consumer SET enable_seqscan = off;
ALTER ROLE kr_consumer SET enable_hashjoin = off;
ALTER ROLE kr_consumer SET enable_mergejoin = off;
ALTER ROLE kr_producer SET enable_seqscan = off;
ALTER ROLE kr_producer SET enable_hashjoin = off;
ALTER ROLE kr_producer SET enable_mergejoin = off;

-- Collation C: keys are compared bytewise, which C.UTF-8 would do by strcoll, 5% of all that PostgreSQL does here.
SELECT format('CREATE DATABASE %I OWNER kr_owner TEMPLATE template0 ENCODING ''UTF8'' LC_COLLATE ''C'' LC_CTYPE ''C.UTF-8''',
              :'database')
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database')
\gexec

-- The owner's right to connect and create is its own, PUBLIC's is not needed.
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"database" TO kr_consumer, kr_producer, kr_operator, kr_clerk, kr_auditor;
REVOKE CONNECT ON DATABASE postgres FROM PUBLIC;
REVOKE CONNECT ON DATABASE template1 FROM PUBLIC;

-- Only the register has an outbox, hence a horizon that somebody may hold.
SELECT :'database' = 'register' AS has_outbox \gset
\if :has_outbox
GRANT pg_read_all_stats TO kr_producer, kr_operator;
\endif

\connect :"database"
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
