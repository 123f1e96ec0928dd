#!/usr/bin/env python3
"""Erasures while disclosures are on their way: relay_withheld.py STACK_DIR BINARIES_DIR [NAME ...]."""
import signal

from relay_support import TOPICS, main, until

PERSONS = 12
TOPIC = TOPICS[0]


def fill(stack):
    """Two disclosures a person; returns where they begin and whose they are."""
    after = stack.last_seq()
    prefix = f"withheld{after}-"
    stack.fill("fill", str(2 * PERSONS), str(PERSONS), TOPIC, prefix)
    ids = {}
    for line in stack.sql(f"SELECT output_id, person FROM outbox WHERE seq > {after}").splitlines():
        identity, person = line.split("|")
        ids.setdefault(int(person.removeprefix(prefix)), set()).add(identity)
    return after, prefix, ids


def waiting(ids):
    return set().union(*(ids[person] for person in range(0, PERSONS, 3)))


def erased(ids):
    return set().union(*ids.values()) - waiting(ids)


def appended(stack):
    """Every record ever appended, those of aborted transactions too, in the topic's order: (offset, id)."""
    text = stack.kcat("-C", "-t", TOPIC, "-e", "-q", "-X", "isolation.level=read_uncommitted", "-X",
                      "auto.offset.reset=earliest", "-f", "%p %o %h\n")
    return [(line.split(" ")[0], int(line.split(" ")[1]), line.split("ce_id=")[1][:36]) for line in text.splitlines()]


def states(stack, after):
    return {line.split("|")[0]: tuple(line.split("|")[1:]) for line in stack.sql(
        f"SELECT output_id, state, detail FROM publication WHERE seq > {after}").splitlines()}


def expect_withheld(stack, after, ids, seen_before):
    """What was erased is recorded withheld and appended nowhere since; what waits is out once."""
    assert states(stack, after) == {identity: ("withheld", "key_destroyed") for identity in erased(ids)}, states(stack, after)
    stack.expect_whole(after, excused=erased(ids))
    later = [record for record in appended(stack) if record not in seen_before]
    assert not [record for record in later if record[2] in erased(ids)], "produced after its key was destroyed"


def unread(stack):
    """nasty 19: erased while its disclosure is unread: withheld, what waits goes out under its fresh key"""
    after, prefix, ids = fill(stack)
    before = appended(stack)
    stack.fill("doom", prefix, str(PERSONS))
    relay = stack.publish_all()
    expect_withheld(stack, after, ids, before)
    assert prefix not in relay.log() and "Planted street" not in relay.log()


def read_not_opened(stack):
    """nasty 19: erased between the relay's read of the rows and its fetch of the keys: the same"""
    after, prefix, ids = fill(stack)
    before = appended(stack)
    relay = stack.relay("--until-caught-up", KUNDREGISTER_STOP_AT="relay.after_begin")
    await_stopped(relay)
    stack.fill("doom", prefix, str(PERSONS))
    relay.process.send_signal(signal.SIGCONT)
    assert relay.wait() == 0, relay.log()[-600:]
    expect_withheld(stack, after, ids, before)


def aborted(stack):
    """nasty 19: erased after the transaction that carried it was given up: never produced again"""
    after, prefix, ids = fill(stack)
    relay = stack.relay(KUNDREGISTER_KILL_AT="relay.after_positions")
    assert relay.wait() == -signal.SIGKILL
    before = appended(stack)
    stack.fill("doom", prefix, str(PERSONS))
    stack.publish_all()
    expect_withheld(stack, after, ids, before)


def uncommitted(stack):
    """nasty 19: erased while it is produced but not committed: that transaction, begun before, may end; no other carries it"""
    after, prefix, ids = fill(stack)
    relay = stack.relay("--until-caught-up", KUNDREGISTER_STOP_AT="relay.before_commit")
    await_stopped(relay)
    stack.fill("doom", prefix, str(PERSONS))
    relay.process.send_signal(signal.SIGCONT)
    assert relay.wait() == 0, relay.log()[-600:]
    before = appended(stack)
    stack.expect_whole(after)  # and a notice follows: the ledger has them as disclosed
    assert states(stack, after) == {}
    stack.publish_all()
    assert appended(stack) == before


def await_stopped(relay):
    def stopped():
        with open(f"/proc/{relay.process.pid}/stat", encoding="ascii") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] == "T"
    until(stopped, 20, "the relay to stop at its point")


if __name__ == "__main__":
    main([unread, read_not_opened, aborted, uncommitted])
