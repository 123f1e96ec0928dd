"""Each input record is exactly one of: taken in, parked, a dead letter; each dead letter once, with its exact reason; and the
register's own tables and positions say the same. (Of what is taken in, check_register.py says whether it shows; what is
forgotten on arrival shows nowhere, as it must.)
"""
import collections
import struct

from history import header
from world import PARKING_US

GRACE_US = 600 * 1000000  # how long after its end a parked record may still wait for the calendar's turn


def known_notices(world):
    """{notice_ref: its recipient}"""
    return {output.data["notice_ref"]: output.recipient for output in world.outputs
            if output.recipient and "notice_ref" in output.data}


def settle_fates(world):
    """[(record, "taken", "parked", "waiting" for either parked or unknown_ref, or a reason)]"""
    notices = known_notices(world)
    unknown = {fact.name() for fact in world.model.unknown}
    foreign = {fact.name() for fact in world.model.foreign}
    fates = []
    for record, verdict in world.verdicts:
        fate = verdict.reason or "taken"
        if not verdict.reason:
            fact = verdict.fact
            if fact.kind == "carrier.notice.acknowledged":
                whose = notices.get(fact.data["notice_ref"])
                found, mine = whose is not None, whose == fact.sender
            else:
                found, mine = fact.name() not in unknown, fact.name() not in foreign
            if not found:
                end = record.timestamp * 1000 + PARKING_US
                fate = "parked" if end > world.history.now else \
                    "unknown_ref" if end < world.history.now - GRACE_US else "waiting"
            elif not mine:
                fate = "not_yours"
        fates.append((record, fate))
    return fates


def check(world, say):
    fates = settle_fates(world)
    world.look("inputs: records", len(fates))
    check_dead_letters(world, fates, say)
    check_parked(world, fates, say)
    check_positions(world, say)
    check_counters(world, say)


def check_dead_letters(world, fates, say):
    """By place; where a topic was made anew, a place has several records."""
    expected, actual, rows = (collections.defaultdict(collections.Counter) for _ in range(3))
    parked = {row[:3] for row in world.history.parked}
    for record, fate in fates:
        if fate == "waiting":
            fate = "parked" if record.place in parked else "unknown_ref"
        expected[record.place][fate] += 1
    for output in world.outputs:
        if output.kind == "register.dead-letter":
            data = output.data
            actual[data.get("topic"), data.get("partition"), data.get("offset")][data.get("reason")] += 1
            check_pointer(output, say)
    for row in world.history.dead_letters:
        rows[row.topic, row.partition, row.offset][row.reason] += 1
        if row.reason == "refused_by_database" and row.detail[:2] not in ("22", "23"):
            say("misjudged", f"{row[:3]} is refused by the database with {row.detail}")
    world.look("inputs: dead letters", sum(sum(actual[place].values()) for place in actual))
    for place in sorted({*expected, *actual, *rows}):
        compare_place(world, place, expected[place], actual[place], rows[place], say)


def check_pointer(output, say):
    """Spring's headers name the same record as the data."""
    record, data = output.record, output.data
    raw = dict(record.headers)
    told = (header(record, "kafka_dlt-original-topic"), raw.get("kafka_dlt-original-partition"),
            raw.get("kafka_dlt-original-offset"))
    if told != (data.get("topic"), struct.pack(">i", data.get("partition", -1)), struct.pack(">q", data.get("offset", -1))):
        say("malformed", f"the dead letter {output.key} has other kafka_dlt-original- headers than data")


def compare_place(world, place, expected, actual, rows, say):
    where = "/".join(map(str, place))
    refusals = collections.Counter({fate: count for fate, count in expected.items() if fate not in ("taken", "parked")})
    for reason, count in (actual - refusals).items():
        if not expected:
            low = world.history.ends.get(place[:2], [0])[0]
            if place[2] >= low and place[:2] not in world.gaps:
                say("phantom", f"{where}: a dead letter ({reason}) of a record that is not there")
        elif reason in refusals:
            say("duplicate", f"{where}: {count} dead letters too many ({reason})")
        elif refusals - actual:
            say("misjudged", f"{where}: refused as {reason}, it is {next(iter(refusals - actual))}")
        else:
            say("misjudged", f"{where}: refused as {reason}, though it is good")
    if not actual - refusals:
        for reason in refusals - actual:
            fine = "its row is there, the dead letter is not" if rows[reason] else "neither applied nor dead"
            say("lost" if rows[reason] else "uncounted", f"{where}: {reason}, {fine}")
    for reason in {*actual, *rows}:
        if rows[reason] > actual[reason] and (reason not in refusals or actual[reason] >= refusals[reason]):
            say("different", f"{where}: the register has a dead letter ({reason}) that its topic lacks")
        if rows[reason] < actual[reason] and reason in refusals and expected:
            say("different", f"{where}: the register lacks the dead letter ({reason}) that its topic has")


def check_parked(world, fates, say):
    expected = {record.place: record for record, fate in fates if fate == "parked"}
    may = {record.place for record, fate in fates if fate == "waiting"}
    actual = {row[:3]: row for row in world.history.parked}
    world.look("inputs: parked", len(actual))
    dead = {row[:3] for row in world.history.dead_letters}
    for place, record in expected.items():
        if place not in actual and place not in dead:
            say("uncounted", f"{'/'.join(map(str, place))}: its ref is unknown, but it is neither parked nor dead")
        elif place in actual and actual[place].expires != record.timestamp * 1000 + PARKING_US:
            say("different", f"{'/'.join(map(str, place))}: parked until {actual[place].expires}, not 30 days")
    for place in actual.keys() - expected.keys() - may:
        known = any(record.place == place for record, _ in fates)
        if known or place[:2] not in world.gaps:
            say("uncounted" if known else "phantom", f"{'/'.join(map(str, place))}: parked, though it must not be")
    for place in actual.keys() & dead:
        say("uncounted", f"{'/'.join(map(str, place))}: parked and dead at once")


def check_positions(world, say):
    """Every record stands behind its partition's position."""
    last, history, there = {}, world.history, collections.defaultdict(set)
    for record in history.inputs:
        last[record.place[:2]] = max(record.offset, last.get(record.place[:2], -1))
        there[record.place[:2]].add(record.offset)
    for where, (start, _) in sorted(history.ends.items()):
        passed = {offset for begin, end in world.gaps.get(where, ()) for offset in range(begin, end)}
        if any(offset not in there[where] and offset not in passed for offset in range(start)):
            say("uncounted", f"{where[0]}/{where[1]}: what stood below offset {start} is gone, nobody can judge it")
    rows = {(row.topic, row.partition): row for row in history.positions}
    world.look("inputs: positions", len(last))
    for where, offset in sorted(last.items()):
        row, end = rows.get(where), history.ends.get(where, [0, 0])[1]
        name = f"{where[0]}/{where[1]}"
        if row is None or row.next <= min(offset, end - 1):
            say("uncounted", f"{name}: the position is {row.next if row else 'nowhere'}, records go to {offset}")
        elif row.next > end:
            say("different", f"{name}: the position {row.next} is past the log's end {end}")
        if row is not None and row.parked:
            say("uncounted", f"{name}: parked ({row.parked})")


def check_counters(world, say):
    """applied + forgotten + parked + dead letters = input, when one consumer has taken in all that there is, once."""
    history, counted = world.history, world.history.counters
    commands = sum(record.topic == "register.command.v1" for record in history.outputs)
    there = len(history.inputs) + commands
    fits = counted.get("records") == there
    world.look("inputs: records that a consumer counted", there if fits else 0)
    if not fits:
        world.remark("whether applied + forgotten + parked + dead letters = input: " + (
            f"the consumer that runs has counted {counted['records']} records since it started, {there} are there"
            if counted else "no consumer runs, or none that counts"))
        return
    total = counted["applied"] + counted["forgotten"] + counted["dead_letters"] + len(history.parked)
    if total != counted["records"]:
        say("uncounted", f"{counted['records']} records were taken in, {total} are applied, forgotten, parked or dead")
