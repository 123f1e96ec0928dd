"""Reads a stack's history: topics, register, ledger, vault. Knows where things lie, judges nothing."""
import json
import os
import subprocess
import time

from history import DeadRow, History, LedgerRow, ParkedRow, PositionRow, Record, SealedRow, TieRow, TombstoneRow, header
from refs import read_key
from stack import SHOP_TOPICS
from terms import parse_time

NOT_OUTPUTS = ("register.outbox-position.v1",)
MICROSECONDS = "(extract(epoch FROM {}) * 1000000)::bigint"
CONSTRAINT = "judge_refuses"  # a constraint that play.py plants: the word in it is the name of whom it refuses


def is_input(topic):
    return topic in SHOP_TOPICS or topic.startswith("carrier.")


def is_output(topic):
    return topic.startswith(("disclosure.", "register.")) and topic not in NOT_OUTPUTS


def record_of(message):
    kind, stamp = message.timestamp()
    return Record(message.topic(), message.partition(), message.offset(), stamp if kind else None, message.key(),
                  message.value(), message.headers() or [])


def records(stack, topics):
    return [record_of(message) for message in stack.read_all(*sorted(topics))] if topics else []


def inputs_of(stack):
    """Everything in the input topics now: to be kept by who is about to destroy one, and given to Judge as `earlier`."""
    return records(stack, [topic for topic in stack.topics() if is_input(topic)])


def time_columns(text):
    """{name} in a query becomes the column in µs."""
    while "{" in text:
        before, rest = text.split("{", 1)
        name, after = rest.split("}", 1)
        text = before + MICROSECONDS.format(name) + after
    return text


def read(stack, earlier=()):
    """The history of a stack that is at rest. earlier: records of topics that were made anew since."""
    history = History()
    topics = stack.topics()
    secrets = os.path.join(stack.directory, "secrets")
    history.ref_key, history.digest_key = (read_key(os.path.join(secrets, name)) for name in ("ref", "digest"))
    inputs = [topic for topic in topics if is_input(topic)]
    there = records(stack, inputs)
    have = {(record.place, record.timestamp, record.value) for record in there}
    history.inputs = [record for record in earlier if (record.place, record.timestamp, record.value) not in have] + there
    history.outputs = records(stack, [topic for topic in topics if is_output(topic)])
    history.ends = {where: list(ends) for where, ends in stack.watermarks(inputs).items()}
    history.dump = [json.loads(line) for line in stack.dump("--open", "--reason", "judge")]
    history.notices = [line for line in map(json.loads, stack.dump("--open", "--notices", "--reason", "judge"))
                       if line["line"] == "notice"]
    read_register(stack, history)
    read_vault(stack, history)
    read_ties(stack, history)
    read_counters(stack, history)
    history.now = int(time.time() * 1000000)
    return history


def read_register(stack, history):
    with stack.register() as register:
        def rows(kind, text):
            return [kind(*row) for row in register.execute(time_columns(text))]
        history.policy, history.policy_digest = register.execute("SELECT body, digest FROM policy WHERE active").fetchone()
        history.policy = json.loads(history.policy)
        history.ledger = rows(LedgerRow, """SELECT seq, output_id::text, topic, kind, subject, generation, recipient, customer_id,
            shipment_id, service, role, disclosure_ref, {decided} FROM ledger ORDER BY seq""")
        history.dead_letters = rows(DeadRow, "SELECT topic, partition, record_offset, reason, detail FROM dead_letter")
        history.parked = rows(ParkedRow, "SELECT topic, partition, record_offset, {expires} FROM parked")
        history.positions = rows(PositionRow, "SELECT topic, partition, next, parked FROM position WHERE topic <> 'calendar'")
        history.tombstones = rows(TombstoneRow, """SELECT subject, person, generation, {cut}, cause, complete, valid, {destroyed}
            FROM tombstone""")
        history.suppressed = [row[0] for row in register.execute(
            "SELECT output_id::text FROM publication WHERE state IN ('withheld', 'unpublishable')")]
        found = register.execute("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = %s",
                                 (CONSTRAINT,)).fetchone()
        history.refused = found[0].split("%")[1] if found else None


def read_vault(stack, history):
    """Whether the vault still opens what the outbox has of those who were erased, by core's own means (tests/lib/ring.c)."""
    with stack.register() as register:
        rows = register.execute("""SELECT seq, person, generation, category, encode(row_id, 'hex'), encode(body, 'hex') FROM outbox
            WHERE person IN (SELECT person FROM tombstone WHERE valid) ORDER BY seq""").fetchall()
    with stack.vault() as vault:
        vault_id = vault.execute("SELECT value FROM setting WHERE name = 'vault_id'").fetchone()[0]
        rings = {row[:2]: row[2:] for row in vault.execute(
            "SELECT person, generation, encode(key_id, 'hex'), encode(transit, 'hex') FROM ring")}
    asked = [row for row in rows if row[1:3] in rings]
    lines = "".join(" ".join(map(str, (*row[1:3], *rings[row[1:3]], *row[3:]))) + "\n" for row in asked)
    done = subprocess.run([os.path.join(stack.build, "tests", "ring"), os.path.join(stack.directory, "secrets", "kek"), vault_id,
                           "opens"], input=lines, capture_output=True, text=True, check=True)
    opens = {row[0]: answer == "yes" for row, answer in zip(asked, done.stdout.split(), strict=True)}
    history.sealed = [SealedRow(*row[:4], opens.get(row[0], False)) for row in rows]


def read_ties(stack, history):
    """Which case was tied to whom, by the audit; when, by the journal, whose commands are sealed."""
    told = {record.key.decode(): parse_time(header(record, "ce_time")) for record in history.outputs
            if record.topic == "register.command.v1"}
    for person, detail in stack.sql("SELECT subject, detail FROM audit WHERE action = 'request tie' ORDER BY audit"):
        request = detail.removeprefix("request ")
        if request in told:
            history.ties.append(TieRow(request, person, told[request]))


def read_counters(stack, history):
    """What the consumer that runs now has counted since it started."""
    try:
        history.counters = {name: int(stack.metric("CONSUMER", f"kundregister_{name}_total"))
                            for name in ("records", "applied", "forgotten", "dead_letters")}
    except OSError:  # none runs
        history.counters = {}
