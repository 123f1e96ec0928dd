"""Named scenarios that have a world of their own, since no judge could look at it afterwards, or that need two."""
import json
import os
import shutil
import subprocess
import tempfile

from administer import administer
from stack import ROOT, Stack, headers_of, now
from table import demand
from topics import WIDE, create, inputs, widen
from scene import accept, parked, reasons

SCENARIOS = {}


def scenario(title):
    def enter(function):
        SCENARIOS[function.__name__] = (title, function)
        return function
    return enter


# ---- nasty 9 ---------------------------------------------------------------------------------------------------------

def returned(name, number):
    """Valid, and a dead letter since its effect is not built: that it was taken in shows."""
    return {"topic": "shop.return.v1", "type": "shop.return.received.v1", "key": "t1", "id": f"{name}{number}", "time": now(-5),
            "data": {"return_id": f"{name}{number}", "order_id": "to1", "customer_id": "t1"}}


def fill(stack, name, count):
    for number in range(count):
        event = returned(name, number)
        stack.send_raw(event["topic"], event["key"], json.dumps(event["data"]).encode(), [
            ("ce_specversion", "1.0"), ("ce_id", event["id"]), ("ce_source", "urn:shop"), ("ce_type", event["type"]),
            ("ce_time", event["time"]), ("content-type", "application/json")], partition=number % 3)
    stack.flush()


@scenario("nasty 9: a topic made anew under running consumers, shorter and longer: parked, nothing applied; accepted")
def made_anew_under_it(world, random):
    stack, topic = world.stack, "shop.return.v1"
    fill(stack, "one", 12)
    world.recovered()
    for name, count, codes in (("two", 3, ("out_of_range", "fingerprint")), ("three", 60, ("out_of_range", "fingerprint"))):
        letters = stack.sql("SELECT count(*) FROM dead_letter WHERE topic = %s", topic)[0][0]
        administer(stack, "delete_topics", [topic], operation_timeout=20)
        world.wait_for("the topic to go", lambda: topic not in stack.topics(), 20)
        world.quiet(1.5)  # a client that never saw it gone takes it for the same until the next claim
        world.wait_for("the topic to come", lambda: create(world, topic, 3), 30)
        stack.forget_producers()
        fill(stack, name, count)
        world.wait_for("the three partitions to be parked", lambda: [row for row in parked(stack) if row[0] == topic and
                                                                     row[2] in codes][2:], 90)
        now_there = stack.sql("SELECT count(*) FROM dead_letter WHERE topic = %s", topic)[0][0]
        demand(now_there == letters, f"{now_there - letters} records of the new topic were taken in before anybody looked")
        world.wait_for("the way out to be named", lambda: any("position accept" in reason for one in world.consumers()
                                                              for reason in reasons(one)), 30)
        for where, number, _ in parked(stack):
            accept(stack, where, number)
        world.recovered()
        now_there = stack.sql("SELECT count(*) FROM dead_letter WHERE topic = %s", topic)[0][0]
        demand(now_there == letters + count, f"{now_there - letters} of {count} are there after it was accepted")
    return ""


# ---- nasty 17 --------------------------------------------------------------------------------------------------------

def wipe_kafka(world):
    """Everything that Kafka had; a new cluster with the same topics and rules, as deploy/kafka/kafka.sh makes it."""
    stack = world.stack
    stack.switch("stop", "kafka")
    data = os.path.join(world.disks["kafka"].path, "data") if "kafka" in world.disks else \
        os.path.join(world.directory, "kafka", "data")
    shutil.rmtree(data)
    java = subprocess.run([os.path.join(ROOT, "deploy", "install"), "--java"], capture_output=True, text=True,
                          check=True).stdout.splitlines()
    properties = os.path.join(world.directory, "secrets", "kafka-server.properties")
    subprocess.run([*java, "kafka.tools.StorageTool", "format", "--standalone", "-t", "k" + os.urandom(16).hex()[:21], "-c",
                    properties], check=True, capture_output=True)
    stack.switch("start", "kafka")
    subprocess.run([*java, "Provision", os.path.join(world.directory, "principals", "admin.conf"),
                    os.path.join(world.directory, "kafka", "provision")], check=True, capture_output=True)
    stack._producers.clear()


@scenario("nasty 17: Kafka wiped, PostgreSQL kept: both daemons refuse with the way out named; and it is one")
def kafka_wiped(world, random):
    stack = world.stack
    world.load.pause_between_shops()
    world.recovered()
    dump = stack.dump()
    for process in world.processes.values():
        process.wanted = False
        process.stop()
    wipe_kafka(world)
    relay, consumer = world.processes["relay"], world.processes["consumer-0"]
    code = relay.start("--until-caught-up").wait(120)
    relay.doomed = True
    demand(code == 78 and "producer reconcile" in relay.daemon.said(), f"the relay ended with {code}: {relay.tail()}")
    consumer.start()
    world.wait_for("the consumer to refuse", lambda: any("wrong_cluster" in one and "position accept" in one
                                                         for one in reasons(consumer)), 60)
    stack.send({"topic": "shop.customer.v1", "type": "shop.customer.seen.v1", "key": "wiped", "time": now(-5),
                "data": {"customer_id": "wiped"}})
    stack.flush()
    world.quiet(3)
    demand(stack.sql("SELECT count(*) FROM person WHERE person = 'wiped'")[0][0] == 0, "it read on in another Kafka")
    demand(stack.dump() == dump, "the dump has changed")

    def all_parked():
        width = stack.topics()  # some had been widened in the Kafka that is no more
        there = [place for place in stack.sql("SELECT topic, partition FROM position WHERE topic <> 'calendar'")
                 if place[1] < width.get(place[0], 0)]
        return len(parked(stack)) == len(there)
    world.wait_for("every partition to be parked", all_parked, 60)
    for where, number, reason in parked(stack):
        demand(reason == "wrong_cluster", f"{where}/{number}: {reason}")
        accept(stack, where, number)
    stack.cli("producer", "reconcile")
    for process in world.processes.values():
        process.wanted = True
        if not process.running:
            process.start()
    world.recovered(120)
    demand(stack.sql("SELECT count(*) FROM person WHERE person = 'wiped'")[0][0] == 1, "what came afterwards is not taken in")
    demand([line for line in stack.dump() if '"wiped"' not in line] == dump, "the way out changed the dump")
    outbox = {row[0] for row in stack.sql("""SELECT output_id::text FROM outbox o WHERE NOT EXISTS (SELECT FROM publication p
                                            WHERE p.seq = o.seq AND p.state IN ('withheld', 'unpublishable'))""")}
    outputs = [topic for topic in stack.topics() if topic.startswith(("disclosure.", "register.")) and "position" not in topic]
    again = [headers_of(one)["ce_id"] for one in stack.read_all(*outputs)]
    demand(set(again) == outbox and len(again) == len(outbox), f"{len(again)} outputs for {len(outbox)} rows of the outbox")
    return f"{len(outbox)} outputs came again"


# ---- nasty 11 --------------------------------------------------------------------------------------------------------

@scenario("nasty 11: partitions 3 to 12 in mid-load: the dump is that of a run with one partition")
def as_one_partition(world, random):
    """The same records, under the same keys, into a stack of one partition, in the order of their timestamps."""
    world.quiet(4)
    for topic in inputs(world):
        widen(world, topic)
        world.quiet(1)
    demand(all(world.stack.topics()[topic] == WIDE for topic in inputs(world)), "not all are wide")
    world.quiet(8)
    world.settle()
    dump, records = world.stack.dump(), world.stack.read_all(*inputs(world))
    used = {(one.topic(), one.partition()) for one in records if one.partition() > 2}
    demand(len(used) > 10, f"only {len(used)} of the new partitions got anything")
    with tempfile.TemporaryDirectory(prefix="kundregister-chaos.") as directory:
        os.chmod(directory, 0o711)
        keys = [os.path.join(directory, name) for name in ("digest", "ref")]
        for key in keys:
            shutil.copy(os.path.join(world.directory, "secrets", os.path.basename(key)), key)
        build, narrow = world.build, os.path.join(directory, "stack")
        world.down()
        deploy = os.path.join(ROOT, "deploy", "stack")
        try:
            subprocess.run([deploy, "up", narrow, "--build", build, "--partitions", "1", "--dump-key", keys[0], "--ref-key",
                            keys[1]], check=True, stdout=subprocess.DEVNULL)
            stack = Stack(narrow, build)
            for one in sorted(records, key=lambda record: (record.timestamp()[1], record.topic(), record.offset())):
                stack.send_raw(one.topic(), one.key(), one.value(), one.headers() or (), timestamp=one.timestamp()[1])
            stack.flush()
            code = stack.consumer("--until-caught-up").wait(300)
            demand(code == 0, f"the consumer ended with {code}")
            other = stack.dump()
        finally:
            subprocess.run([deploy, "down", narrow], stdout=subprocess.DEVNULL)
    differing = sorted(set(dump) ^ set(other))
    demand(dump == other, f"{len(differing)} lines differ:\n" + "\n".join(differing[:6]))
    return f"{len(records)} records, {len(used)} of the new partitions in use, {len(dump)} lines"
