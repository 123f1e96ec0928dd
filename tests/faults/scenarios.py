"""Named scenarios in a world under load that is judged afterwards: a function of (world, random) each, as a fault is."""
import json
import os
import re
import signal
import time

from processes import into_next_partition
from proxy import TO_CLIENT
from stack import headers_of, now
from state import halt, resume
from table import demand
from topics import POISON, busy_topics, denying, inputs
from scene import CONSUMERS, SESSION_MS

EVENTS = int(os.environ.get("KUNDREGISTER_CHAOS_EVENTS", "6000"))  # of three_topics; SCENARIOS.md has a million
SCENARIOS = {}


def scenario(title):
    def enter(function):
        SCENARIOS[function.__name__] = (title, function)
        return function
    return enter


# ---- nasty 4 ---------------------------------------------------------------------------------------------------------

@scenario("nasty 4: a worker silent after a pipelined UPDATE without Sync: its successor commits")
def silent_worker(world, random):
    first, second = (world.processes[name] for name in CONSUMERS)
    world.load.pause_between_shops()
    world.recovered()
    name = f"silent{random.randrange(10 ** 6)}"
    first.signal(signal.SIGSTOP)
    for number in range(1500):  # so many at once that libpq sends the UPDATE before it is asked to
        who = f"{name}-{number}"
        world.stack.send({"topic": "shop.customer.v1", "type": "shop.customer.registered.v1", "key": who, "time": now(-5), "data": {
            "customer_id": who, "kind": "account", "notice": {"id": "n1", "sha256": "ab" * 32, "language": "fi"},
            "contact": {"first_name": "Tyyne", "last_name": who, "street": f"{who}-katu 1", "email": f"{who}@example.fi"}}})
    world.stack.flush()
    first.order("stop", "consumer.write_unsynced")
    first.signal(signal.SIGCONT)
    try:
        world.wait_for("the first consumer to stop there", lambda: first.stopped, 30)
        began = time.monotonic()
        held = world.stack.sql("""SELECT count(*) FROM pg_stat_activity WHERE usename = 'kr_consumer' AND state = 'active'
                                  AND wait_event = 'ClientRead'""")[0][0]
        ends = world.stack.ends(world.stack.input_topics())
        world.wait_for("the second to take over and commit", lambda: not behind(world, ends), SESSION_MS / 1000 + 30)
        took = time.monotonic() - began
        demand(first.stopped, "it went on meanwhile")
    finally:
        first.take_back_order()
        first.signal(signal.SIGCONT)
        world.load.resume()
    demand(held, "no backend was left with an UPDATE and no Sync")
    demand(second.running, "the second consumer ended")
    return f"{took:.1f} s after the silence began, of which the session's {SESSION_MS / 1000:.0f} s; {held} backends waited"


def behind(world, ends):
    at = {(row[0], row[1]): row[2] for row in world.stack.sql("SELECT topic, partition, next FROM position")}
    return [place for place, end in ends.items() if at.get(place, 0) < end]


# ---- nasty 8 ---------------------------------------------------------------------------------------------------------

CONTACT = {"first_name": "Aino", "last_name": "Öhman", "street": "Katu 1", "postcode": "33100", "city": "Tampere",
           "country": "FI", "phone": "+358401112223"}


def three_streams(customer, count, width):
    """Events of one customer on three topics, each topic's on a partition of its own, so that three workers have them."""
    order, shipment = customer + "-o", customer + "-s"
    yield "shop.customer.v1", 0, "shop.customer.registered", {
        "customer_id": customer, "kind": "account", "contact": {**CONTACT, "email": customer + "@example.fi"},
        "notice": {"id": "n1", "sha256": "ab" * 32, "language": "fi"}}
    for number in range(count):
        if number % 3 == 0:
            yield "shop.order.v1", 0, "shop.order.paid", {
                "order_id": f"{order}{number % 30}", "customer_id": customer, "amount": number, "currency": "EUR"}
        elif number % 3 == 1:
            yield "shop.shipment.v1", 1 % width, "shop.shipment.changed", {
                "shipment_id": f"{shipment}{number % 9}", "order_id": f"{order}{number % 30}", "customer_id": customer,
                "consignee": {**CONTACT, "street": f"Katu {number}", "email": customer + "@example.fi"},
                "direction": "outbound", "carrier": ("matkahuolto", "posti")[number // 9 % 2],
                "service": ("home", "2104")[number // 9 % 2], "parcels": 1}
        else:
            yield "shop.customer.v1", 2 % width, "shop.customer.changed", {
                "customer_id": customer, "contact": {"street": f"Tie {number}", "city": "Turku"}}


@scenario("nasty 8: three topics of one customer on three workers: no lost update, deadlocks retried")
def three_topics(world, random):
    """The judge looks for lost updates; that there was contention is seen here."""
    before = redone(world)
    customers = [f"three{random.randrange(10 ** 6)}-{number}" for number in range(8)]
    streams = [list(three_streams(customer, EVENTS // len(customers), 3)) for customer in customers]
    sent = 0
    for number in range(max(map(len, streams))):
        for customer, stream in zip(customers, streams):
            if number < len(stream):
                topic, partition, kind, data = stream[number]
                world.stack.send_raw(topic, customer, json.dumps(data).encode(), [
                    ("ce_specversion", "1.0"), ("ce_id", f"{customer}/{number}"), ("ce_source", "urn:three"),
                    ("ce_type", kind + ".v1"), ("ce_time", now()), ("content-type", "application/json")],
                    partition=partition)
                sent += 1
    world.stack.flush()
    began = time.monotonic()
    world.recovered(180 + EVENTS / 100)
    done = redone(world) - before
    demand(done > 0, "no batch had to be done again: nobody met anybody")
    return f"{sent} events taken in {time.monotonic() - began:.1f} s after the last was sent, {done:.0f} batches done again"


def redone(world):
    """Since the processes began: nobody may end meanwhile."""
    total = 0
    for process in world.consumers():
        found = re.search(r"^kundregister_redone_batches_total (\S+)", process.http("/metrics")[1], re.MULTILINE)
        total += float(found[1]) if found else 0
    return total


# ---- nasty 12 --------------------------------------------------------------------------------------------------------

@scenario("nasty 12: kill -9 after an abort, before and after a partition of the outbox is dropped: each output once, in order")
def killed_where_it_seldom_comes(world, random):
    topic = world.wait_for("outputs", lambda: busy_topics(world), 20)[0]
    with denying(world, topic):
        kill_at(world, "relay.after_abort")
    world.recovered()
    halt(world, "producer")  # a second after it began a relay looks for what may be dropped
    partition, begin = into_next_partition(world)
    world.wait_for("outputs in the next", lambda: world.stack.sql("SELECT 1 FROM outbox WHERE seq >= %s", begin), 30)
    world.load.pause()  # a drop gives way to whoever holds the table

    def there():
        return world.stack.sql("SELECT to_regclass(%s) IS NOT NULL", partition)[0][0]
    resume(world)
    kill_at(world, "relay.before_drop")
    demand(there() and world.stack.sql("SELECT 1 FROM outbox_floor WHERE seq >= %s", begin), f"{partition} was not due")
    kill_at(world, "relay.after_drop")
    demand(not there(), f"{partition} is still there")
    world.load.resume()
    return f"{topic} was denied, {partition} dropped"


def kill_at(world, label, seconds=20):
    """Whichever relay comes by."""
    relays = world.relays()
    for relay in relays:
        relay.order("kill", label)
    try:
        world.wait_for(f"a relay to die at {label}", lambda: not all(os.path.exists(one.orders) for one in relays), seconds)
    finally:
        for relay in relays:
            relay.take_back_order()


# ---- nasty 13 --------------------------------------------------------------------------------------------------------

@scenario("nasty 13: the reply to the end of a transaction is lost: each output once, per key in order")
def end_of_transaction_lost(world, random):
    """Several times: the relay stands before the commit, from then on no answer reaches it, then the line is cut."""
    times = 0
    for _ in range(3):
        relay = world.wait_for("a relay at work", world.active_relay, 60)
        relay.order("stop", "relay.after_flush")
        world.wait_for("the relay to come to its commit", lambda: relay.stopped, 60)
        relay.take_back_order()
        line = relay.proxies["kafka"]
        line.silence(TO_CLIENT)
        relay.signal(signal.SIGCONT)
        world.quiet(random.uniform(0.2, 2))  # the commit arrives, its answer does not
        line.cut()
        line.heal()
        times += 1
        world.recovered()
    return f"{times} times"


# ---- nasty 27 --------------------------------------------------------------------------------------------------------

REFUSED = r"bad\d+-refused\d"  # what the constraint below refuses, in the data


@scenario("nasty 27: bad records of every kind, PostgreSQL's own refusals among them: neighbours commit")
def poison(world, random):
    """Dead letters are exactly the bad ones, while the shop is silent, whose own may be refused too. The constraint stays: what
    it refuses may be read again, and the judge knows of it."""
    name = f"bad{random.randrange(10 ** 6)}"
    world.load.pause_between_shops()
    world.recovered()
    world.stack.sql(f"ALTER TABLE customer_order ADD CONSTRAINT {name} CHECK (order_id NOT LIKE '{name}-refused%')")
    before = world.stack.sql("SELECT count(*) FROM dead_letter")[0][0]
    expected = 0
    for number in range(60):
        topic = random.choice(inputs(world))
        world.stack.send_raw(topic, f"{name}{number}", POISON[number % len(POISON)], [("ce_id", "x")])
        expected += 1
        if number % 4 == 0:
            data = {"order_id": f"{name}-refused{number}", "customer_id": f"{name}{number}", "amount": 1, "currency": "EUR"}
            world.stack.send({"topic": "shop.order.v1", "type": "shop.order.paid.v1", "key": f"{name}{number}", "data": data,
                              "id": f"{name}{number}", "time": now(-5)})
            expected += 1
        good = {"customer_id": f"{name}-good{number}"}
        world.stack.send({"topic": "shop.customer.v1", "type": "shop.customer.seen.v1", "key": good["customer_id"],
                          "data": good, "id": f"{name}g{number}", "time": now(-5)})
    world.stack.flush()
    world.recovered()
    dead = world.stack.sql("SELECT count(*) FROM dead_letter")[0][0] - before
    refused = world.stack.sql("SELECT count(*) FROM dead_letter WHERE reason = 'refused_by_database' AND detail = '23514'")[0][0]
    demand(dead == expected, f"{dead} dead letters for {expected} bad records")
    demand(refused >= 15, f"{refused} refused by the database")
    good = world.stack.sql("SELECT count(*) FROM person WHERE person LIKE %s", f"{name}-good%")[0][0]
    demand(good == 60, f"{good} of 60 good neighbours are there")
    world.load.resume()
    return f"{dead} dead letters, {refused} of them PostgreSQL's"


# ---- nasty 29 --------------------------------------------------------------------------------------------------------

IDENTIFYING = re.compile(r"[A-Za-z0-9_-]{16,}")  # refs, UUIDs, traces: nothing else in a disclosure is that long


def names_in(message):
    """Every header's and value's parts that could identify something, the key's too. The person's own data, which both
    have for the same parcel's sake, are left out."""
    body = {name: value for name, value in json.loads(message.value()).items() if name != "fields"}
    text = "\n".join([*(value or "" for value in headers_of(message).values()), (message.key() or b"").decode(),
                      json.dumps(body)])
    return set(IDENTIFYING.findall(text)), text


@scenario("nasty 29: two carriers' streams, joined on every header and value: no shared id, trace or UUID")
def streams_joined(world, random):
    seen, records = {}, 0
    recipients = sorted(topic.split(".")[1] for topic in world.stack.topics() if topic.startswith("disclosure."))
    ours = {row[0] for row in world.stack.sql("""SELECT customer_id FROM shipment UNION SELECT order_id FROM shipment
                                                 UNION SELECT shipment_id FROM shipment""")}
    for recipient in recipients:
        names = seen.setdefault(recipient, set())
        for message in world.stack.read_all(f"disclosure.{recipient}.v1"):
            found, text = names_in(message)
            names |= found
            records += 1
            clear = next((one for one in ours if len(one) > 6 and one in text), None)
            demand(clear is None, f"{recipient} is told our own id {clear}")
    allowed = {word for word in set().union(*seen.values()) if re.fullmatch(r"[a-z_]+|[A-Z][a-z_]+|\d{4}-\d\d-\d\d.*", word)}
    allowed |= {row[0] for row in world.stack.sql("SELECT digest FROM policy")}  # the same in everything
    for first in recipients:
        for second in recipients:
            shared = (seen[first] & seen[second]) - allowed if first < second else set()
            demand(not shared, f"{first} and {second} share {sorted(shared)[:5]}")
    demand(all(len(seen[name]) > 20 for name in ("matkahuolto", "posti")), "there is too little to be joined")
    return f"{records} records, {sum(map(len, seen.values()))} names of {len(recipients)} recipients"
