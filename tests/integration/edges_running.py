#!/usr/bin/env python3
"""What happens around running daemons, and what a user sees of it: edges_running.py STACK_DIR BUILD_DIR.

A key ring lost from the vault (nasty 30), topics that go, come and widen (nasty 11), a carrier without topics, policies
that change, a clock that jumps back, large and strange data. Daemons are stopped when it begins.
"""
import json
import os
import sys
import unicodedata

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from administer import administer  # noqa: E402
from stack import Failed, Report, Stack, headers_of, now, wait_for  # noqa: E402

import confluent_kafka as ck  # noqa: E402
from confluent_kafka.admin import (AclBinding, AclBindingFilter, AclOperation, AclPermissionType,  # noqa: E402
                                   AdminClient, NewPartitions, NewTopic, ResourcePatternType, ResourceType)

RUN = "edge" + os.urandom(4).hex()
CONTACT = {"first_name": "Ainokaisa", "last_name": "Öhman", "street": "Hämeenkatu 1", "postcode": "33100", "city": "Tampere",
           "country": "FI", "phone": "+358401234567"}
LINES = [{"sku": "s1", "quantity": 1, "price": 1200}]


def expect(fine, why):
    if not fine:
        raise Failed(why)


# ---- events ----------------------------------------------------------------------------------------------------------

def registered(person, contact=None, **more):
    return {"topic": "shop.customer.v1", "type": "shop.customer.registered.v1", "key": person, "time": now(), **more,
            "data": {"customer_id": person, "kind": "account",
                     "contact": {**CONTACT, "email": person + "@example.fi", **(contact or {})},
                     "notice": {"id": "n1", "sha256": "0" * 64, "language": "fi"}}}


def changed(person, contact):
    return {"topic": "shop.customer.v1", "type": "shop.customer.changed.v1", "key": person, "time": now(),
            "data": {"customer_id": person, "contact": contact}}


def placed(person, order, lines=None):
    lines = lines or LINES
    return {"topic": "shop.order.v1", "type": "shop.order.placed.v1", "key": person, "time": now(),
            "data": {"order_id": order, "customer_id": person, "guest": False, "currency": "EUR",
                     "total": sum(line["quantity"] * line["price"] for line in lines), "lines": lines}}


def requested(person, shipment, carrier="matkahuolto", service="pickup"):
    return {"topic": "shop.shipment.v1", "type": "shop.shipment.requested.v1", "key": person, "time": now(),
            "data": {"shipment_id": shipment, "order_id": "o-" + shipment, "customer_id": person, "consignee": CONTACT,
                     "direction": "outbound", "carrier": carrier, "service": service, "pickup_point": "p1", "parcels": 1}}


# ---- the stack -------------------------------------------------------------------------------------------------------

class Both:
    """The two daemons, and what their /readyz says."""

    def __init__(self, stack, env=None):
        self.stack = stack
        self.consumer, self.relay = stack.consumer(env=env), stack.relay(env=env)

    def ready(self, seconds=30):
        self.stack.ready("CONSUMER", seconds)
        self.stack.ready("PRODUCER", seconds)
        return self

    def says(self, which, words, seconds=30):
        """Waits for /readyz to be false with these words."""
        def answer():
            try:
                status, body = self.stack.http(which, "/readyz")
                return status == 503 and words in body
            except OSError:
                return False
        wait_for(f"{which} /readyz to say {words!r}", answer, seconds)

    def stop(self):
        for daemon in (self.consumer, self.relay):
            code = daemon.stop()
            expect(code == 0, f"{daemon.program} ended with {code}: {daemon.said()[-400:]}")


def count(stack, text, *parameters):
    return stack.sql("SELECT count(*) FROM " + text, *parameters)[0][0]


def arrives(stack, text, *parameters, expected=1, seconds=20):
    wait_for(f"{expected} of {text}", lambda: count(stack, text, *parameters) == expected, seconds)


def send(stack, *events):
    for event in events:
        stack.send(event)
    stack.flush()


# ---- the stories -----------------------------------------------------------------------------------------------------

def lost_ring(stack):
    """One person's ring is gone; an event that opens his profile and one that only adds to him: neither is applied
    over the loss, other partitions and later persons go on, and with the ring back all is as if nothing had been."""
    one, two, other = RUN + "-ring1", RUN + "-ring2", RUN + "-ring3"
    daemons = Both(stack).ready()
    send(stack, registered(one), registered(two))
    stack.settle()
    daemons.stop()
    with stack.vault() as vault:
        vault.execute("CREATE TABLE edge_kept AS SELECT * FROM ring WHERE person = ANY(%s)", ([one, two],))
        vault.execute("DELETE FROM ring WHERE person = ANY(%s)", ([one, two],))
    daemons = Both(stack).ready()  # nobody needs them yet
    send(stack, changed(one, {"city": "Turku"}), placed(two, RUN + "-ring-o"))
    arrives(stack, "position WHERE parked = 'missing_key'", expected=2)
    daemons.says("CONSUMER", "missing_key")
    daemons.says("CONSUMER", "consumer position accept")
    expect("partition_parked" in daemons.consumer.said(), "the log does not tell")
    expect(one not in daemons.consumer.said() + stack.http("CONSUMER", "/readyz")[1], "a person's id is told")
    parked = stack.sql("SELECT topic, partition FROM position WHERE parked IS NOT NULL ORDER BY 1")
    expect([topic for topic, _ in parked] == ["shop.customer.v1", "shop.order.v1"], parked)
    send(stack, requested(other, RUN + "-ring-s"))
    arrives(stack, "shipment WHERE customer_id = %s", other)
    stack.wait_relayed()
    with stack.vault() as vault:
        rings = vault.execute("SELECT count(*) FROM ring WHERE person = ANY(%s)", ([one, two],)).fetchone()[0]
    expect(rings == 0, "a new ring hides that the old one is lost")
    expect(count(stack, "customer_order WHERE customer_id = %s", two) == 0, "an order was added to a lost person")
    found = stack.cli("doctor", "--deep", "--json", check=False)
    findings = [row["finding"] for row in json.loads(found.stdout)["findings"] if row["about"] == "rings"]
    expect(found.returncode == 1 and any(one in text for text in findings) and any(two in text for text in findings),
           findings)
    shown = stack.cli("customer", "show", one, "--reason", "an edge", check=False)
    expect(shown.returncode not in (0, None) and "doctor" in shown.stderr, shown.stderr)
    listed = stack.cli("consumer", "position", "list", check=False)
    expect(listed.returncode == 1 and "missing_key" in listed.stdout, listed.stdout)
    with stack.vault() as vault:
        vault.execute("INSERT INTO ring SELECT * FROM edge_kept; DROP TABLE edge_kept")
    for topic, partition in parked:
        stack.cli("consumer", "position", "accept", topic, str(partition), "--reason", RUN)
    daemons.ready()
    stack.settle()
    opened = [json.loads(line) for line in stack.dump("--open", "--reason", "an edge")]
    cities = [line["profile"]["value"]["city"] for line in opened if line["line"] == "person" and line["person"] == one]
    expect(cities == ["Turku"], cities)
    expect(count(stack, "customer_order WHERE customer_id = %s AND known", two) == 1, "the order is not there")
    expect(json.loads(stack.cli("doctor", "--deep", "--json").stdout)["errors"] == 0, "doctor still finds something")
    expect(count(stack, "audit WHERE action = 'position accept' AND reason = %s", RUN) == len(parked), "not audited")
    daemons.stop()


def wider_topic(stack):
    """Nasty 11, light: partitions added while running begin at 0 and are taken in; nothing is read twice."""
    daemons = Both(stack).ready()
    people = [f"{RUN}-wide{number}" for number in range(40)]
    send(stack, *(placed(person, person + "-before") for person in people))
    stack.settle()
    width = stack.topics()["shop.order.v1"]
    administer(stack, "create_partitions", [NewPartitions("shop.order.v1", width + 3)])
    wait_for("the broker to show the new partitions", lambda: stack.topics()["shop.order.v1"] == width + 3)
    shop = ck.Producer({**stack.principal("shop"), "acks": "all"})  # one that knows of them
    stack._producers["shop"] = shop
    send(stack, *(placed(person, person + "-after") for person in people))
    ends = stack.ends(["shop.order.v1"])
    expect(any(ends["shop.order.v1", number] for number in range(width, width + 3)), f"all went to the old ones: {ends}")
    arrives(stack, "customer_order WHERE customer_id LIKE %s AND known", RUN + "-wide%", expected=80, seconds=45)
    stack.settle()
    daemons.ready()
    expect(stack.sql("SELECT sum(revision) FROM person WHERE person LIKE %s", RUN + "-wide%")[0][0] <= 80, "read twice")
    expect(count(stack, "position WHERE topic = 'shop.order.v1' AND parked IS NULL") == width + 3, "not all are claimed")
    daemons.stop()


def wider_while_stopped(stack):
    """Nasty 11: partitions added while the consumer is away for a moment. A static member that comes back is given what it
    had, and nobody looks whether there is more: the new partitions are asked for."""
    patient = {"KUNDREGISTER_CONSUMER_SESSION_TIMEOUT_MS": "60000"}
    daemons = Both(stack, patient).ready()
    daemons.stop()
    width = stack.topics()["shop.customer.v1"]
    administer(stack, "create_partitions", [NewPartitions("shop.customer.v1", width + 3)])
    wait_for("the broker to show the new partitions", lambda: stack.topics()["shop.customer.v1"] == width + 3)
    stack.flush()
    stack._producers.clear()  # the next one knows of them
    people = [f"{RUN}-added{number}" for number in range(40)]
    send(stack, *(registered(person) for person in people))
    ends = stack.ends(["shop.customer.v1"])
    expect(any(ends["shop.customer.v1", number] for number in range(width, width + 3)), f"all went to the old ones: {ends}")
    daemons = Both(stack, patient)
    arrives(stack, "person WHERE person LIKE %s AND opened", RUN + "-added%", expected=40, seconds=45)
    daemons.ready()
    daemons.stop()


def topic_gone(stack):
    """An input topic is deleted under the running consumer: named, the others flow; made again it is read from its
    start."""
    topic, width = "shop.return.v1", stack.topics()["shop.return.v1"]
    expect(not any(stack.ends([topic]).values()), "this test wants an unused topic")
    daemons = Both(stack).ready()
    administer(stack, "delete_topics", [topic], operation_timeout=20)
    daemons.says("CONSUMER", "topics_missing: " + topic, 45)
    send(stack, registered(RUN + "-gone1"))
    arrives(stack, "person WHERE person = %s AND opened", RUN + "-gone1")
    found = stack.cli("doctor", "--json", check=False)
    expect(found.returncode == 1 and "no topic " + topic in found.stdout, found.stdout)
    daemons.stop()
    daemons = Both(stack)  # a start without it works as well
    daemons.says("CONSUMER", "topics_missing: " + topic)
    send(stack, registered(RUN + "-gone2"))
    arrives(stack, "person WHERE person = %s AND opened", RUN + "-gone2")
    administer(stack, "create_topics", [NewTopic(topic, width, 1)], operation_timeout=20)
    daemons.ready(45)
    daemons.stop()


def taken_back(stack):
    """Records of a transaction that its producer has aborted are not there for us; those behind them are."""
    gone, there, later = RUN + "-back1", RUN + "-back2", RUN + "-back3"
    daemons = Both(stack).ready()
    shop = ck.Producer({**stack.principal("shop"), "transactional.id": stack.principal("shop")["sasl.username"] + RUN})
    shop.init_transactions(20)

    def produce(event):
        shop.produce(event["topic"], json.dumps(event["data"]).encode(), event["key"], partition=0, headers=[
            ("ce_specversion", "1.0"), ("ce_id", event["key"]), ("ce_source", "urn:shop"), ("ce_type", event["type"]),
            ("ce_time", event["time"]), ("content-type", "application/json")])
    shop.begin_transaction()
    produce(registered(gone))
    expect(shop.flush(20) == 0, "the record did not arrive")
    shop.abort_transaction(20)
    shop.begin_transaction()
    produce(registered(there))
    shop.commit_transaction(20)
    arrives(stack, "person WHERE person = %s AND opened", there)
    expect(count(stack, "person WHERE person = %s", gone) == 0, "a record that was taken back was taken in")
    produce_plainly(stack, registered(later))  # behind the transaction's marker, so that positions reach the log's end
    arrives(stack, "person WHERE person = %s AND opened", later)
    stack.settle()
    daemons.stop()


def produce_plainly(stack, event):
    stack.send_raw(event["topic"], event["key"], json.dumps(event["data"]).encode(), [
        ("ce_specversion", "1.0"), ("ce_id", event["key"]), ("ce_source", "urn:shop"), ("ce_type", event["type"]),
        ("ce_time", event["time"]), ("content-type", "application/json")], partition=0)
    stack.flush()


def strings_of(value):
    """Every string in JSON, but for what the consignee is called and where he lives."""
    if isinstance(value, dict):
        return {one for key, part in value.items() if key != "fields" for one in strings_of(part)}
    if isinstance(value, list):
        return {one for part in value for one in strings_of(part)}
    return {value} if isinstance(value, str) else set()


def streams_share_nothing(stack):
    """Nasty 29: what two carriers got of the same persons has no id, trace or ref in common, and none twice for two
    messages but the refs; nobody's own ids are in it."""
    people = [f"{RUN}-joined{number}" for number in range(5)]
    daemons = Both(stack).ready()
    for carrier, service in (("matkahuolto", "home"), ("posti", "2103")):
        send(stack, *(requested(person, f"{person}-{carrier}", carrier, service) for person in people))
    stack.settle()
    daemons.stop()
    streams, traces = [], []
    for carrier in ("matkahuolto", "posti"):
        ours = {row[0] for row in stack.sql("SELECT output_id::text FROM ledger WHERE recipient = %s AND subject LIKE %s",
                                            carrier, RUN + "-joined%")}
        seen = set()
        for message in stack.read_all(f"disclosure.{carrier}.v1"):
            headers = headers_of(message)
            if headers["ce_id"] not in ours:
                continue
            version, trace, parent, flags = headers["traceparent"].split("-")
            expect((version, len(trace), len(parent), flags) == ("00", 32, 16, "01"), headers["traceparent"])
            traces += [trace, parent]
            seen |= {headers["ce_id"], trace, parent, message.key().decode()} | strings_of(json.loads(message.value()))
            expect(not any(person in str(headers) + message.key().decode() + message.value().decode() for person in people),
                   "a message names its person")
        expect(len(ours) == len(people), ours)
        streams.append(seen)
    expect(len(traces) == len(set(traces)), "two messages share a trace")
    shared = streams[0] & streams[1]
    told = {"order", "consignee"}  # the purpose and the role; the policy's digest, and the day until which it may be kept
    expect(all(len(one) in (10, 64) or one in told for one in shared), f"both streams have {shared - told}")


def add_recipient(stack, recipient, like):
    """The two topics of a new recipient, with the rights that another one's have."""
    client = AdminClient(stack.principal("admin"))
    every = AclBindingFilter(ResourceType.TOPIC, None, ResourcePatternType.ANY, None, None, AclOperation.ANY,
                             AclPermissionType.ANY)
    for topic in (f"disclosure.{like}.v1", f"carrier.{like}.v1"):
        rights = [AclBinding(right.restype, right.name.replace(like, recipient), right.resource_pattern_type,
                             right.principal.replace(like, recipient), right.host, right.operation, right.permission_type)
                  for right in client.describe_acls(every).result(20) if right.name == topic]
        administer(stack, "create_topics", [NewTopic(topic.replace(like, recipient), 1, 1)], operation_timeout=20)
        administer(stack, "create_acls", rights)


def policy_text(stack, change):
    with open(os.path.join(stack.directory, "policy.json"), encoding="utf-8") as file:
        policy = json.load(file)
    change(policy)
    return json.dumps(policy, ensure_ascii=False, indent=1)


def another_policy(stack):
    """The file changes under running daemons: nothing. Another policy becomes active: both stop with 78, nothing is
    decided under the old one. A carrier whose topics nobody made stalls itself, named, the others flow; once they are
    made it flows as well."""
    path = os.path.join(stack.directory, "log", "edge-express.json")
    file_of = os.path.join(stack.directory, "policy.json")

    def add_express(policy):
        policy["version"] += "-express"
        policy["recipients"]["express"] = {**policy["recipients"]["matkahuolto"], "name": "Express Oy"}
    with open(path, "w", encoding="utf-8") as file:
        file.write(policy_text(stack, add_express))
    daemons = Both(stack).ready()
    with open(file_of, encoding="utf-8") as file:
        body = file.read()
    try:
        with open(file_of, "w", encoding="utf-8") as file:
            file.write("half a policy")
        send(stack, registered(RUN + "-policy1"))
        arrives(stack, "person WHERE person = %s AND opened", RUN + "-policy1")
    finally:
        with open(file_of, "w", encoding="utf-8") as file:
            file.write(body)
    stack.settle()
    stack.cli("policy", "activate", path)
    number = stack.sql("SELECT policy FROM policy WHERE active")[0][0]
    send(stack, registered(RUN + "-policy2"), requested(RUN + "-policy2", RUN + "-express", "express"))
    code = daemons.consumer.wait(20)
    expect(code == 78 and "policy" in daemons.consumer.said(), f"the consumer ended with {code}")
    code = daemons.relay.wait(20)
    expect(code == 78 and "policy activate" in daemons.relay.said(), f"the relay ended with {code}")
    expect(count(stack, "person WHERE person = %s", RUN + "-policy2") == 0, "decided under a policy that was not active")

    daemons = Both(stack, {"KUNDREGISTER_POLICY_FILE": path})
    daemons.says("CONSUMER", "topics_missing: carrier.express.v1")
    send(stack, requested(RUN + "-policy3", RUN + "-other"))
    arrives(stack, "shipment WHERE customer_id = %s", RUN + "-policy3")
    arrives(stack, "person WHERE person = %s AND opened AND policy = %s", RUN + "-policy2", number)
    daemons.says("PRODUCER", "disclosure.express.v1")
    wait_for("the other carrier's disclosure", lambda: count(
        stack, "ledger l JOIN mirror m USING (topic) WHERE l.shipment_id = %s AND l.seq <= m.seq", RUN + "-other") == 1)
    found = stack.cli("doctor", "--json", check=False)
    expect(found.returncode == 1 and "carrier.express.v1" in found.stdout and "disclosure.express.v1" in found.stdout,
           found.stdout)
    add_recipient(stack, "express", "posti")
    daemons.ready(45)
    stack.settle()
    sent = [json.loads(message.value()) for message in stack.read_all("disclosure.express.v1")]
    expect(len(sent) == 1, sent)
    daemons.stop()
    stack.cli("policy", "activate")


def clock_back(stack):
    """The clock jumps back by an hour (the register has seen later): `now` stands still, decisions go on."""
    stack.sql("UPDATE position SET decided = now() + interval '1 hour' WHERE topic = 'shop.shipment.v1'")
    later = {row[:2]: row[2] for row in stack.sql(
        "SELECT topic, partition, decided FROM position WHERE topic = 'shop.shipment.v1'")}
    daemons = Both(stack)
    stack.ready("CONSUMER")
    people = [f"{RUN}-clock{number}" for number in range(9)]
    send(stack, *(requested(person, person) for person in people))
    arrives(stack, "shipment WHERE customer_id LIKE %s", RUN + "-clock%", expected=9)
    stack.wait_consumed()
    after = {row[:2]: row[2] for row in stack.sql(
        "SELECT topic, partition, decided FROM position WHERE topic = 'shop.shipment.v1'")}
    expect(all(after[place] >= later[place] for place in later), f"decided went back: {later} {after}")
    first = min(later.values())
    expect(count(stack, "ledger WHERE customer_id LIKE %s AND decided >= %s", RUN + "-clock%", first) == 9,
           "a decision stands before one that came earlier")
    stack.wait_relayed()
    keys = {row[0] for row in stack.sql("SELECT output_id::text FROM ledger WHERE customer_id LIKE %s", RUN + "-clock%")}
    times = [headers_of(message)["ce_time"] for message in stack.read_all("disclosure.matkahuolto.v1")
             if headers_of(message)["ce_id"] in keys]
    expect(len(times) == 9 and all(time >= first.strftime("%Y-%m-%dT%H:%M:%S") for time in times), times)
    daemons.stop()


NAMES = [("Åsa", "Öhman"), ("Ολυμπία", "Παπαδοπούλου"), ("Владимир", "Щербаков"), ("محمد", "الأنصاري"), ("יעל", "כהן"),
         ("さくら", "髙橋"), ("สมชาย", "ใจดี"), ("নন্দিনী", "দাশগুপ্ত"), ("🦊", "👩‍👩‍👧‍👦 Fox 🇫🇮"), ("Zo\u0065\u0308", "Nguye\u0302\u0303n"),
         ("e\u0301" * 40, "a\u0323\u0307\u0301\u0302"), ("ﬁ", "Å\u212b"), ("\u200fRTL\u200e", "O'Brien-“Smith”; DROP TABLE person;--")]


def names(stack):
    """Names in every script come back as they are (NFC); an e-mail with ä is found whatever its form and case."""
    daemons = Both(stack).ready()
    persons = [f"{RUN}-name{number}" for number in range(len(NAMES))]
    send(stack, *(registered(person, {"first_name": first, "last_name": last})
                  for person, (first, last) in zip(persons, NAMES)))
    email = "kundtjänst@jerone.fi"
    decomposed, owner = unicodedata.normalize("NFD", email), RUN + "-mail"
    send(stack, registered(owner, {"email": decomposed}))
    stack.settle()
    for person, (first, last) in zip(persons, NAMES):
        shown = json.loads(stack.cli("customer", "show", person, "--reason", "an edge", "--json").stdout)
        value = next(row["value"] for row in shown["held"] if row["category"] == "profile")
        expected = [unicodedata.normalize("NFC", part) for part in (first, last)]
        expect([value["first_name"], value["last_name"]] == expected, f"{value} for {expected}")
    for asked in (email, decomposed, email.upper(), f" {email} "):
        found = json.loads(stack.cli("customer", "find", "--email", asked, "--reason", "an edge", "--json").stdout)
        expect(owner in [row["person"] for row in found["found"]], f"{asked!r}: {found}")
    expect(count(stack, "dead_letter WHERE record_hash IS NULL") == 0, "dead letters")
    logs = daemons.consumer.said() + daemons.relay.said()
    expect("Щербаков" not in logs and "jerone.fi" not in logs, "personal data in a log")
    daemons.stop()


def much(stack):
    """10,000 events of one customer, in batches as large as they can be, and an order of 500 lines."""
    person = RUN + "-much"
    lines = [{"sku": f"sku-{number}", "name": f"Thing {number} – ä", "quantity": 1 + number % 3, "price": 100 + number}
             for number in range(500)]
    for number in range(5000):
        stack.send(changed(person, {"street": f"Street {number}"}))
        stack.send({**placed(person, person + "-o"), "type": "shop.order.paid.v1",
                    "data": {"order_id": person + "-o", "customer_id": person, "amount": 1, "currency": "EUR"},
                    "id": f"pay-{number % 100}"})
    send(stack, registered(person, time=now(-5)), placed(person, person + "-o", lines))
    started = stack.consumer("--until-caught-up", env={"KUNDREGISTER_CONSUMER_BATCH_RECORDS": "20000"})
    code = started.wait(90)
    expect(code == 0, f"exit code {code}: {started.said()[-400:]}")
    opened = [json.loads(line) for line in stack.dump("--open", "--reason", "an edge") if person in line]
    profile = next(line["profile"]["value"] for line in opened if line["line"] == "person")
    order = next(line for line in opened if line["line"] == "order")
    expect(profile["street"] == "Street 4999", profile)
    expect(len(order["claim"]["value"]["lines"]) == 500 and len(order["payments"]) == 100, "the order is not whole")
    expect(order["voucher"]["value"]["lines"] == order["claim"]["value"]["lines"], "the voucher's lines differ")
    dead = stack.sql("SELECT reason, count(*) FROM dead_letter GROUP BY 1")
    expect(dict(dead).get("refused_by_database") is None, dead)


def main():
    stack, report = Stack(*sys.argv[1:3]), Report()
    stories = (("nasty 30: a lost ring parks its partitions, doctor --deep names it, put back all goes on", lost_ring),
               ("nasty 11: partitions added while running are taken in from their start", wider_topic),
               ("nasty 11: partitions added while stopped are taken in from their start", wider_while_stopped),
               ("an input topic deleted under the consumer is named, the others flow", topic_gone),
               ("what a producer takes back (an aborted transaction) is not taken in", taken_back),
               ("nasty 29: two carriers' streams of the same persons share no id, trace or ref", streams_share_nothing),
               ("a clock that jumps back never lowers a decision's time", clock_back),
               ("names in every script, combining marks, emoji, an e-mail with ä", names),
               ("10,000 events of one customer in one batch, an order of 500 lines", much),
               ("another policy stops running daemons; a carrier without topics stalls only itself", another_policy))
    try:
        for name, story in stories:
            if len(sys.argv) == 3 or story.__name__ in sys.argv[3:]:
                report.case(name, story, stack)
                stack.stop_all()
    finally:
        stack.stop_all()
    return report.exit_code()


if __name__ == "__main__":
    sys.exit(main())
