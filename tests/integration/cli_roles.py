#!/usr/bin/env python3
"""Tries what each PostgreSQL role must be refused, on a running stack: cli_roles.py STACK_DIR BUILD_DIR.

Each attempt is made through psql as that very role; only SQLSTATE 42501 (insufficient privilege) counts as refused.
"""
import configparser
import os
import subprocess
import sys

PSQL = "/usr/lib/postgresql/15/bin/psql"
failed = 0


def connections(stack):
    ini = configparser.RawConfigParser()
    ini.read(os.path.join(stack, "kundregister.ini"))
    return {(cluster, role): ini[cluster][role] for cluster in ("register", "vault") for role in ini[cluster]}


def attempt(conninfo, sql):
    """Returns "" when PostgreSQL did it, else the SQLSTATE. Nothing stays: the attempt is rolled back."""
    script = "\\set VERBOSITY sqlstate\nBEGIN;\n%s;\nROLLBACK;\n" % sql
    done = subprocess.run([PSQL, "-X", "-q", "-v", "ON_ERROR_STOP=1", conninfo], input=script, text=True,
                          capture_output=True, check=False)
    return "" if done.returncode == 0 else done.stderr.strip().rsplit(" ", 1)[-1]


def check(name, fine, why=""):
    global failed
    print("%s - %s" % ("ok" if fine else "not ok", name))
    if not fine:
        failed += 1
        print("# " + why)


# What `request tie` does; its words are anybody's here, for the consumer opens none that is not sealed.
COMMAND = "SELECT command_write('q', gen_random_uuid(), decode(repeat('00', 16), 'hex'), '{}')"

REFUSED = {
    ("register", "operator"): [
        "SELECT profile FROM person", "SELECT count(*) FROM person", "SELECT claim FROM customer_order",
        "SELECT delivery FROM shipment", "SELECT ground FROM notice", "SELECT body FROM parked", "SELECT body FROM outbox",
        "SELECT key FROM outbox", "SELECT subject FROM ledger", "SELECT customer_id FROM ledger", "SELECT * FROM ref",
        "UPDATE position SET next = 0", "DELETE FROM dead_letter", "DELETE FROM audit", "UPDATE audit SET reason = ''",
        "DELETE FROM policy", "UPDATE mirror SET seq = 0", "SELECT person FROM request", "SELECT merge FROM request",
        "SELECT subject FROM tombstone", "SELECT person FROM tombstone", "SELECT person FROM doomed", "SELECT * FROM consent",
        "SELECT * FROM address", "UPDATE request SET state = 'done'", COMMAND],
    ("register", "clerk"): [
        "UPDATE person SET profile = NULL", "DELETE FROM person", "UPDATE customer_order SET claim = NULL",
        "DELETE FROM shipment", "UPDATE ledger SET fields = '{}'", "DELETE FROM ledger", "DELETE FROM audit",
        "UPDATE audit SET reason = ''", "SELECT * FROM audit", "SELECT body FROM outbox", "UPDATE position SET next = 0",
        "INSERT INTO policy (digest, body, activated, active) VALUES ('', '', now(), false)",
        "UPDATE request SET state = 'done'", "DELETE FROM tombstone", "UPDATE tombstone SET valid = false",
        "DELETE FROM doomed", "DELETE FROM consent", "UPDATE address SET armed = false", "DELETE FROM address",
        "INSERT INTO outbox (seq) VALUES (1)", "SELECT nextval('outbox_seq')"],
    ("register", "auditor"): [
        "DELETE FROM tombstone", "DELETE FROM consent", "UPDATE request SET state = 'done'", "DELETE FROM address", COMMAND,
        "UPDATE person SET profile = NULL", "DELETE FROM audit", "UPDATE audit SET reason = ''", "DELETE FROM ledger",
        "UPDATE position SET next = 0"],
    ("register", "producer"): [
        "SELECT profile FROM person", "SELECT claim FROM customer_order", "SELECT delivery FROM shipment",
        "SELECT * FROM notice", "SELECT * FROM ledger", "SELECT * FROM ref", "SELECT body FROM parked",
        "UPDATE outbox SET body = ''", "DELETE FROM outbox", "INSERT INTO person VALUES ('p', -1)",
        "UPDATE position SET next = 0", "SELECT nextval('outbox_seq')", "DROP TABLE outbox", "SELECT * FROM request",
        "SELECT * FROM tombstone", "SELECT * FROM consent", "SELECT * FROM address", "SELECT * FROM doomed", COMMAND],
    ("register", "consumer"): [
        "DELETE FROM ledger", "DELETE FROM dead_letter", "UPDATE outbox SET key = ''", "UPDATE outbox SET row_id = ''",
        "UPDATE outbox SET seq = 0", "DELETE FROM outbox", COMMAND,
        "UPDATE mirror SET seq = 0", "UPDATE policy SET active = false", "DELETE FROM audit", "UPDATE audit SET reason = ''",
        "SELECT outbox_drop_published()"],
    ("vault", "operator"): [
        "SELECT blob FROM ring", "SELECT transit FROM ring", "SELECT person FROM ring", "SELECT * FROM lookup",
        "DELETE FROM ring"],
    ("vault", "producer"): [
        "SELECT blob FROM ring", "SELECT * FROM ring", "SELECT * FROM lookup", "UPDATE ring SET transit = ''",
        "DELETE FROM ring"],
    ("vault", "clerk"): [
        "UPDATE ring SET blob = ''", "DELETE FROM ring", "DELETE FROM lookup", "INSERT INTO setting VALUES ('a', 'b')"],
    ("vault", "auditor"): ["UPDATE ring SET blob = ''", "DELETE FROM ring", "DELETE FROM lookup"],
}

ALLOWED = {
    ("register", "operator"): ["SELECT seq, topic, type, decided FROM outbox", "SELECT * FROM position",
                               "SELECT * FROM audit", "SELECT request_id, state, due, is_case FROM request",
                               "SELECT cut, cause, complete, destroyed FROM tombstone"],
    ("register", "clerk"): ["SELECT profile FROM person", "SELECT * FROM request", "SELECT * FROM tombstone",
                            "SELECT * FROM consent", "SELECT * FROM address", COMMAND, "INSERT INTO audit (operator, action) VALUES ('test', 'test')"],
    ("register", "producer"): ["SELECT body FROM outbox", "SELECT * FROM mirror"],
    ("vault", "producer"): ["SELECT person, generation, key_id, transit FROM ring"],
    ("vault", "clerk"): ["SELECT blob FROM ring", "SELECT * FROM lookup"],
}


def main():
    stack = sys.argv[1]
    conninfos = connections(stack)
    for (cluster, role), statements in REFUSED.items():
        for sql in statements:
            state = attempt(conninfos[cluster, role], sql)
            check("the %s refuses the %s: %s" % (cluster, role, sql), state == "42501", "SQLSTATE " + (state or "none"))
    for (cluster, role), statements in ALLOWED.items():
        for sql in statements:
            state = attempt(conninfos[cluster, role], sql)
            check("the %s allows the %s: %s" % (cluster, role, sql), state == "", "SQLSTATE " + state)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
