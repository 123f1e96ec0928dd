#!/usr/bin/env python3
"""What both daemons refuse before the first partition opens (nasty 30; schemas; policies), and the way out that they
name: edges_start.py STACK_DIR BUILD_DIR. The daemons are stopped when it begins.
"""
import contextlib
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from stack import Failed, Report, Stack, now  # noqa: E402

import psycopg  # noqa: E402

RUN = "edge" + os.urandom(4).hex()
ROLES = ("owner", "consumer", "producer", "operator", "clerk", "auditor")


def registered(person):
    return {"topic": "shop.customer.v1", "type": "shop.customer.registered.v1", "key": person, "time": now(),
            "data": {"customer_id": person, "kind": "account",
                     "contact": {"first_name": "Ainokaisa", "email": person + "@example.fi"},
                     "notice": {"id": "n1", "sha256": "0" * 64, "language": "fi"}}}


def state(stack):
    """What a refused start may not have touched."""
    return stack.sql("SELECT topic, partition, next, epoch, parked FROM position ORDER BY 1, 2")


def refused(stack, env, words, which=("consumer", "producer")):
    """Each daemon ends with 78, says the words, opened no partition and no transaction of the relay's."""
    before = state(stack)
    for daemon in which:
        started = (stack.consumer if daemon == "consumer" else stack.relay)("--until-caught-up", env=env)
        code, said = started.wait(), started.said()
        if code != 78:
            raise Failed(f"{daemon} exited with {code}: {said[-500:]}")
        for word in words if isinstance(words, tuple) else (words,):
            if word not in said:
                raise Failed(f"{daemon} does not say {word!r}: {said[-500:]}")
        if '"assigned"' in said:
            raise Failed(f"{daemon} was given partitions before it refused")
    if state(stack) != before:
        raise Failed("a position was touched")


def taken_in(stack, person, env=None):
    """The way out works: the event goes through."""
    for started in (stack.consumer("--until-caught-up", env=env), stack.relay("--until-caught-up", env=env)):
        if started.wait() != 0:
            raise Failed(f"{started.program} exited with {started.process.returncode}: {started.said()[-500:]}")
    if stack.sql("SELECT count(*) FROM person WHERE person = %s AND opened", person)[0][0] != 1:
        raise Failed("the event was not taken in")


# ---- keys and vaults -------------------------------------------------------------------------------------------------

def key_file(stack, name, content):
    path = os.path.join(stack.directory, "secrets", name)
    if content is not None:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
            file.write(content)
    return {"KUNDREGISTER_KEYS_KEK_FILE": path}


def keys(stack):
    stack.send(registered(RUN + "-keys"))
    stack.flush()
    refused(stack, key_file(stack, "no-such-kek", None), "no-such-kek")
    refused(stack, key_file(stack, "short-kek", "abc\n"), "short-kek")
    refused(stack, key_file(stack, "other-kek", os.urandom(32).hex() + "\n"), ("key-encryption key", "kek.file"))
    taken_in(stack, RUN + "-keys")


def vault_of(stack, database):
    """An environment in which the vault is another database of the vault's cluster."""
    env, section = {}, None
    with open(stack.env["KUNDREGISTER_CONFIG"], encoding="utf-8") as file:
        for line in file:
            if line.startswith("["):
                section = line.strip("[]\n ")
            role, _, value = (part.strip() for part in line.partition("="))
            if section == "vault" and role in ROLES:
                env["KUNDREGISTER_VAULT_" + role.upper()] = re.sub(r"dbname=\w+", "dbname=" + database, value)
    return env


@contextlib.contextmanager
def copied_vault(stack, name, changes=""):
    """The vault as it is now, under another name, and what was done to it; gone afterwards."""
    elsewhere = stack.env["VAULT_CONNINFO"].replace("dbname=vault", "dbname=postgres")
    with psycopg.connect(elsewhere, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name} TEMPLATE vault OWNER kr_owner")
        try:
            if changes:
                with psycopg.connect(stack.env["VAULT_CONNINFO"].replace("dbname=vault", "dbname=" + name)) as copy:
                    copy.execute(changes)
            yield vault_of(stack, name)
        finally:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def foreign_vault(stack):
    renamed = "UPDATE setting SET value = repeat('ab', 16) WHERE name = 'vault_id'"
    with copied_vault(stack, "edge_foreign", renamed) as env:
        refused(stack, env, ("belongs to vault", "[vault]"))
    with copied_vault(stack, "edge_empty", "TRUNCATE ring, lookup, setting") as env:
        refused(stack, env, ("belongs to vault", "[vault]"))
    with copied_vault(stack, "edge_bare", "DROP TABLE ring, lookup, setting, tombstone, schema_version") as env:
        refused(stack, env, ("the vault has no schema", "kundregister migrate"))
        kept, stack.env = stack.env, {**stack.env, **env}
        try:  # and what is named does not make a second vault in silence
            done = stack.cli("migrate", check=False)
            if done.returncode == 0 or "restore" not in done.stderr:
                raise Failed(f"migrate beside a known register: {done.returncode}, {done.stderr}")
        finally:
            stack.env = kept


def older_vault(stack):
    """A real one: copied, then lived past."""
    with copied_vault(stack, "edge_older") as env:
        stack.send(registered(RUN + "-later"))
        stack.flush()
        taken_in(stack, RUN + "-later")
        refused(stack, env, ("older vault", "restore reconcile"))
        found = stack.cli("doctor", "--json", check=False)
        if found.returncode != 0:
            raise Failed(found.stdout)
        kept, stack.env = stack.env, {**stack.env, **env}
        try:
            found = stack.cli("doctor", "--json", check=False)
        finally:
            stack.env = kept
        if found.returncode != 1 or "older vault" not in found.stdout:
            raise Failed("doctor does not see it: " + found.stdout)
    stack.send(registered(RUN + "-newest"))
    stack.flush()
    taken_in(stack, RUN + "-newest")


# ---- schema and policy -----------------------------------------------------------------------------------------------

def schemas(stack):
    for connect, which in ((stack.register, "register"), (stack.vault, "vault")):
        with connect() as server:
            server.execute("INSERT INTO schema_version (version) VALUES (999)")
            try:
                refused(stack, {}, (f"the {which}'s schema", "newer"))
                server.execute("DELETE FROM schema_version")
                refused(stack, {}, (f"the {which}'s schema", "kundregister migrate"))
            finally:
                server.execute("TRUNCATE schema_version; INSERT INTO schema_version (version) VALUES (1), (2)")
    with stack.register() as server:
        server.execute("ALTER TABLE schema_version RENAME TO schema_version_away")
        try:
            refused(stack, {}, ("the register has no schema", "kundregister migrate"))
        finally:
            server.execute("ALTER TABLE schema_version_away RENAME TO schema_version")


def policies(stack):
    with open(os.path.join(stack.directory, "policy.json"), encoding="utf-8") as file:
        body = file.read()
    path = os.path.join(stack.directory, "log", "edge-policy.json")
    for text, words in ((body + "\n", "policy activate"), (body.replace('"purposes"', '"porpoises"', 1), "porpoises"),
                        (body[:-20], "policy")):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        refused(stack, {"KUNDREGISTER_POLICY_FILE": path}, words)
    refused(stack, {"KUNDREGISTER_POLICY_FILE": path + ".none"}, "edge-policy.json.none")
    stack.sql("UPDATE policy SET active = false")
    try:
        refused(stack, {}, "policy activate")
    finally:
        stack.cli("policy", "activate")


def main():
    stack, report = Stack(*sys.argv[1:3]), Report()
    stories = (("nasty 30: a lost, a damaged and a wrong key-encryption key are refused", keys),
               ("nasty 30: another's vault, an emptied one and one without a schema are refused", foreign_vault),
               ("nasty 30: a vault restored from before the last start is refused", older_vault),
               ("an older, a newer and an absent schema of register or vault are refused", schemas),
               ("a policy that is not active, broken or absent is refused", policies))
    for name, story in stories:
        report.case(name, story, stack)
        stack.stop_all()
    return report.exit_code()


if __name__ == "__main__":
    sys.exit(main())
