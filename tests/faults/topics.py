"""Faults of the topics: wider, made anew, expired, denied, held by a foreign transaction, full of poison."""
import contextlib
import json

import confluent_kafka as ck
from confluent_kafka.admin import (AclBinding, AclBindingFilter, AclOperation, AclPermissionType, NewPartitions, NewTopic,
                                   ResourcePatternType, ResourceType)

from administer import administer
from table import NotStruck, await_strike, demand, fault
from scene import accept, audited, is_input, parked

SETTINGS = {"retention.ms": str(30 * 86400 * 1000), "max.message.bytes": "1048576"}  # an input's, as deploy/stack makes it
WIDE = 12


def inputs(world, but=()):
    return sorted(topic for topic in world.stack.topics() if is_input(topic) and topic not in but)


# ---- wider -----------------------------------------------------------------------------------------------------------

@fault("partitions added, 3 to 12", nasty=(11,), weight=2, fits=lambda world: len(world.widened) < 8)
def widened(world, random):
    topics = inputs(world, world.widened)
    if not topics:
        raise NotStruck("all are wide already")
    topic = random.choice(topics)
    widen(world, topic)
    return topic


def widen(world, topic):
    """A customer's own events keep their order, which is the shop's promise: their topic grows between two shops."""
    if topic == "shop.customer.v1":
        world.load.pause_between_shops()
    administer(world.stack, "create_partitions", [NewPartitions(topic, WIDE)])
    world.widened.add(topic)
    world.wait_for("the broker to show them", lambda: world.stack.topics()[topic] == WIDE, 20)
    if topic == "shop.customer.v1":
        world.recovered()
    else:
        world.load.pause()
    world.stack.forget_producers()
    world.load.resume()


# ---- made anew -------------------------------------------------------------------------------------------------------

@fault("a topic made anew, shorter or longer", nasty=(9,), weight=2, deadline=120)
def made_anew(world, random):
    """The same records at the same places, at first fewer of them, or with other timestamps: another log, which parks. It is
    accepted, and in the end holds what it held."""
    topics = [one for one in inputs(world, world.trimmed | world.widened) if len(world.stack.read_all(one)) > 10]
    if not topics:
        raise NotStruck("no topic has enough in it")
    topic, shorter, running = random.choice(topics), random.random() < 0.5, random.random() < 0.5
    world.load.pause_between_shops()
    world.recovered()
    records = world.stack.read_all(topic)
    dated = {tuple(row) for table in ("dead_letter", "parked") for row in
             world.stack.sql(f"SELECT partition, record_offset FROM {table} WHERE topic = %s", topic)}
    if not running:
        for process in world.consumers():
            process.wanted = False
            process.stop()
    administer(world.stack, "delete_topics", [topic], operation_timeout=20)
    world.wait_for("the topic to go", lambda: topic not in world.stack.topics(), 20)
    if running:
        world.quiet(random.uniform(0, 4))
    world.wait_for("the topic to come", lambda: create(world, topic, 3), 30)
    world.stack.forget_producers()
    kept = {number: random.randrange(0, sum(one.partition() == number for one in records) + 1) for number in range(3)}
    first = [one for one in records if not shorter or one.offset() < kept[one.partition()]]
    # A dead letter's id and what is parked hang on the record's timestamp: with another it would be another record's.
    later = {(one.partition(), one.offset()): 0 if shorter or (one.partition(), one.offset()) in dated else 1 for one in first}
    for one in first:
        refill(world, [one], later[one.partition(), one.offset()], False)
    world.stack.flush()
    claim_anew(world, topic)
    # A partition whose last record is another one parks when that is read again: not before it is claimed, and soon after.
    last = {partition: later[partition, offset] for partition, offset in sorted(later)}
    world.wait_for(f"another log of {topic} to be noticed", lambda: {number for number, changed in last.items() if changed} <=
                   {number for where, number, _ in parked(world.stack) if where == topic}, 60)
    accept_all(world, topic, ("out_of_range", "fingerprint", "gap"))
    if shorter:
        refill(world, [one for one in records if one not in first], 0)
        accept_all(world, topic, ("out_of_range", "fingerprint", "gap"))
    world.load.resume()
    return f"{topic}, {'shorter' if shorter else 'longer'}, the consumers {'running' if running else 'stopped'}"


def claim_anew(world, topic):
    """Whoever never saw it gone takes it for the same until its next claim."""
    def epochs():
        return dict(world.stack.sql("SELECT partition, epoch FROM position WHERE topic = %s", topic))
    for process in world.consumers():
        process.wanted = False
        process.stop()
    before = epochs()
    for process in world.consumers():
        process.wanted = True
    world.wait_for(f"{topic} to be claimed", lambda: all(epochs()[number] > epoch for number, epoch in before.items()), 90)


def create(world, topic, width):
    """False while the broker still deletes its predecessor."""
    try:
        administer(world.stack, "create_topics", [NewTopic(topic, width, 1, config=SETTINGS)], operation_timeout=20)
        return True
    except ck.KafkaException as error:
        if error.args[0].code() == ck.KafkaError.TOPIC_ALREADY_EXISTS:
            return False
        raise


def refill(world, records, later_ms, flush=True):
    """Each record in its partition, in its order; an empty topic gets them at their former offsets."""
    for one in records:
        world.stack.send_raw(one.topic(), one.key(), one.value(), one.headers() or (), partition=one.partition(),
                             timestamp=one.timestamp()[1] + later_ms)
    if flush:
        world.stack.flush()


def accept_all(world, topic, codes, seconds=90):
    """Until all of the topic is read: what parks for one of these reasons is accepted, each time on record."""
    def through():
        for where, number, reason in parked(world.stack):
            demand(where == topic and reason in codes, f"{where}/{number} is parked: {reason}")
            before = audited(world.stack, "position accept")
            accept(world.stack, topic, number)
            demand(audited(world.stack, "position accept") == before + 1, "the acceptance is not audited")
        ends = world.stack.ends([topic])
        at = {(row[0], row[1]): row[2] for row in world.stack.sql("SELECT topic, partition, next FROM position")}
        return all(at.get(place, 0) == end for place, end in ends.items()) and not parked(world.stack)
    world.wait_for(f"{topic} to be read", through, seconds, 0.5)


# ---- expired ---------------------------------------------------------------------------------------------------------

@fault("retention passes the position", nasty=(10,), weight=2, deadline=120)
def expired(world, random):
    """While no consumer runs, Kafka deletes what was not read: a gap, which parks. The shop publishes again, an operator
    accepts."""
    topics = [one for one in inputs(world, {"shop.customer.v1"}) if not one.startswith("carrier.letterhouse")]
    for process in world.consumers():
        process.wanted = False
        process.stop()
    try:
        at = {(row[0], row[1]): row[2] for row in world.stack.sql("SELECT topic, partition, next FROM position")}
        topic = await_strike(world, "unread records", lambda: next(
            (place[0] for place, end in world.stack.ends(topics).items() if end > at.get(place, 0) + 1), None))
        records = world.stack.read_all(topic)
        ends = {}
        for one in records:
            ends[one.partition()] = max(ends.get(one.partition(), 0), one.offset() + 1)
        world.stack.keep([one for one in records if one.offset() < at.get((topic, one.partition()), 0)])
        unread = [one for one in records if one.offset() >= at.get((topic, one.partition()), 0)]
        world.trimmed.add(topic)
        for number, end in ends.items():  # what nobody has read is passed over, and published again
            if at.get((topic, number), 0) < end:
                world.gaps.setdefault((topic, number), []).append((at.get((topic, number), 0), end))
        administer(world.stack, "delete_records", [ck.TopicPartition(topic, number, end) for number, end in ends.items()])
        refill(world, unread, 0)
    finally:
        for process in world.consumers():
            process.wanted = True
    missing = {one.partition() for one in unread if (topic, one.partition()) in at}
    world.wait_for("the gap to be seen", lambda: {(row[1], row[2]) for row in parked(world.stack) if row[0] == topic} ==
                   {(number, "gap") for number in missing}, 40)
    world.wait_for("/readyz to name the way out",
                   lambda: any("position accept" in one.http("/readyz")[1] for one in world.consumers()), 20)
    accept_all_once(world, topic)
    return f"{topic}, {len(unread)} records in {len(missing)} partitions"


def accept_all_once(world, topic):
    for where, number, reason in parked(world.stack):
        demand(where == topic and reason == "gap", f"{where}/{number} is parked: {reason}")
        before = audited(world.stack, "position accept")
        accept(world.stack, topic, number)
        demand(audited(world.stack, "position accept") == before + 1, "the acceptance is not audited")


# ---- denied, held, poisoned ------------------------------------------------------------------------------------------

@contextlib.contextmanager
def denying(world, topic):
    """Kafka takes nothing of the relay's for it."""
    rule = (ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, "User:kundregister-producer", "*", AclOperation.WRITE,
            AclPermissionType.DENY)
    administer(world.stack, "create_acls", [AclBinding(*rule)])
    try:
        yield
    finally:
        administer(world.stack, "delete_acls", [AclBindingFilter(*rule)])


def busy_topics(world):
    """To which outputs were decided lately, the busiest first."""
    return [row[0] for row in world.stack.sql("""SELECT topic FROM outbox WHERE seq > (SELECT last_value - 200 FROM outbox_seq)
                                                 GROUP BY topic ORDER BY count(*) DESC, topic""")]


@fault("one output topic is denied", nasty=(18,), weight=3)
def denied(world, random):
    topics = busy_topics(world)
    if not topics:
        raise NotStruck("nothing was decided lately")
    topic = random.choice(topics)
    with denying(world, topic):
        await_strike(world, f"the relay to be refused on {topic}", lambda: any(
            f"topic_stalled: Kafka takes nothing for {topic}" in relay.http("/readyz")[1] for relay in world.relays()), 30)
        world.quiet(random.choice([1, 4, 10]))
    return topic


@fault("a foreign open transaction on the relay's position", nasty=(15,), weight=2, deadline=120)
def foreign_transaction(world, random):
    """A start meanwhile waits for it, and never takes a stale position."""
    foreign = ck.Producer({**world.stack.principal("admin"), "transactional.id": f"foreign-{random.randrange(10 ** 6)}",
                           "transaction.timeout.ms": 60000})
    foreign.init_transactions(20)
    foreign.begin_transaction()
    foreign.produce("register.outbox-position.v1", None, "foreign")
    foreign.flush(10)
    for relay in world.relays():
        relay.kill()
    held = random.choice([1, 5, 15])
    try:
        await_strike(world, "a relay to be held up by it", lambda: any(
            "foreign_transaction" in relay.http("/readyz")[1] for relay in world.relays()), 30)
        world.quiet(held)
        demand(not world.active_relay(), "a relay went to work with a position that is not read to its end")
    finally:
        foreign.abort_transaction(20)
    return f"for {held} s"


POISON = [b"", None, b"\xff\xfe", b"{", b"{}{}", b'{"a":1,"a":2}', b'"\\u0000"', b'"\\ud800"', b"[[[[[[[[[[1]]]]]]]]]]",
          b"x" * 70000, b"null", b"[]", b'{"customer_id":"0"}', b'{"customer_id":"guest:1"}', b"\xc0\xaf"]


@fault("a burst of poison", nasty=(27,), weight=3)
def poisoned(world, random):
    """Records that are none, among the shop's, on every input."""
    headers = [("ce_specversion", "1.0"), ("ce_id", "poison"), ("ce_source", "urn:poison"),
               ("ce_type", "shop.customer.seen.v1"), ("ce_time", "2026-01-01T00:00:00Z"), ("content-type", "application/json")]
    topics, count = inputs(world), random.randrange(20, 120)
    for number in range(count):
        value = random.choice(POISON)
        some = random.sample(headers, random.randrange(0, len(headers) + 1))
        if value == b"" and random.random() < 0.5:
            value = json.dumps({"customer_id": f"poison{number}"}).encode()[:-1]
        world.stack.send_raw(random.choice(topics), f"poison{number}", value, some)
    return f"{count} records"
