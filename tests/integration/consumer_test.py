#!/usr/bin/env python3
"""The consumer on a real broker and a real database: python3 consumer_test.py STACK_DIR BUILD_DIR [NAME...]

Each test is a story: given, when, then. It prints `ok - name` or `not ok - name`, and exits 1 when any failed.
The stack must be a fresh one; both daemons are stopped when it begins."""
import datetime
import json
import os
import signal
import subprocess
import sys
import time
import traceback
import urllib.request

STACK, BUILD = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
CHECKOUT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CONTACT = {"first_name": "Åsa-Lovisa", "last_name": "Öhman", "street": "Testgatan 1", "postcode": "33100", "city": "Ödebygd",
           "country": "FI", "phone": "+358401234567", "email": "kundtjänst@jerone.fi"}


def stack_environment():
    out = subprocess.run(["bash", "-c", f"source {STACK}/env && env -0"], capture_output=True, check=True).stdout
    return dict(pair.split("=", 1) for pair in out.decode().split("\0") if "=" in pair)


ENV = stack_environment()


def conninfo(role, cluster="register"):
    section = None
    for line in open(ENV["KUNDREGISTER_CONFIG"], encoding="utf-8"):
        if line.startswith("["):
            section = line.strip("[]\n ")
        elif section == cluster and line.split("=")[0].strip() == role:
            return line.split("=", 1)[1].strip()
    raise KeyError(role)


def sql(text, conn=None):
    done = subprocess.run(["psql", "-X", "-At", "-v", "ON_ERROR_STOP=1", conn or ENV["REGISTER_CONNINFO"], "-c", text],
                          capture_output=True, check=True, text=True)
    return done.stdout.strip()


def event(kind, event_id, key, data, at=None):
    at = at or datetime.datetime.now(datetime.timezone.utc).isoformat()
    return key, json.dumps({"specversion": "1.0", "id": event_id, "source": "urn:shop", "type": kind + ".v1",
                            "time": at, "data": data})


def publish(topic, events):
    lines = "".join(f"{key}\x1f{value}\n" for key, value in events)
    subprocess.run(["kcat", "-F", ENV["KAFKA_ADMIN_CONFIG"], "-P", "-t", topic, "-K", "\x1f", "-H",
                    "content-type=application/cloudevents+json", "-X", "partitioner=murmur2_random"],
                   input=lines.encode(), check=True, stderr=subprocess.DEVNULL)


def seen(customer, number=""):
    return event("shop.customer.seen", f"seen-{customer}-{number}", customer, {"customer_id": customer})


def registered(customer):
    return event("shop.customer.registered", f"reg-{customer}", customer,
                 {"customer_id": customer, "kind": "account", "contact": CONTACT,
                  "notice": {"id": "n1", "sha256": "a" * 64, "language": "sv"}})


def placed(customer, order):
    return event("shop.order.placed", f"placed-{order}", customer,
                 {"order_id": order, "customer_id": customer, "guest": False, "currency": "EUR", "total": 1000,
                  "lines": [{"sku": "s1", "quantity": 1, "price": 1000}]})


def requested(customer, order, shipment):
    return event("shop.shipment.requested", f"requested-{shipment}", customer,
                 {"shipment_id": shipment, "order_id": order, "customer_id": customer, "consignee": CONTACT,
                  "direction": "outbound", "carrier": "matkahuolto", "service": "pickup", "pickup_point": "p1",
                  "parcels": 1})


def await_that(condition, seconds=20.0, what="the condition"):
    deadline = time.monotonic() + seconds
    while True:
        if condition():
            return
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come within {seconds} s")
        time.sleep(0.02)


def await_sql(text, expected, seconds=20.0):
    await_that(lambda: quiet_sql(text) == str(expected), seconds, f"{text} = {expected}")


def quiet_sql(text):
    try:
        return sql(text)
    except subprocess.CalledProcessError:
        return None


class Consumer:
    """One process; http gives what its server answers."""

    def __init__(self, instance=0, port=None, environment=None):
        self.port = port or int(ENV["CONSUMER_HTTP"].rsplit(":", 1)[1])
        env = dict(os.environ, **ENV, KUNDREGISTER_CONSUMER_HTTP_PORT=str(self.port), **(environment or {}))
        self.log = open(f"{STACK}/log/consumer-{instance}.log", "ab")
        self.process = subprocess.Popen([f"{BUILD}/kundregister-consumer", "--instance", str(instance)], env=env,
                                        stderr=self.log, stdout=self.log)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(25)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()

    def http(self, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=2) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def ready(self, seconds=20.0):
        await_that(lambda: self.http("/readyz")[0] == 200, seconds, "/readyz")
        return self


def until_caught_up(environment=None, *arguments):
    done = subprocess.run([f"{BUILD}/kundregister-consumer", "--until-caught-up", *arguments],
                          env=dict(os.environ, **ENV, KUNDREGISTER_CONSUMER_HTTP_PORT="0", **(environment or {})),
                          capture_output=True, timeout=60)
    if done.returncode != 0:
        print("#", done.stderr.decode(errors="replace").strip().replace("\n", "\n# "), flush=True)
    return done


def deploy(command, *more):
    subprocess.run([f"{CHECKOUT}/deploy/stack", command, STACK, *more], check=True, stdout=subprocess.DEVNULL)


def java_properties():
    """The superuser's properties as Java's clients read them."""
    given = dict(line.strip().split("=", 1) for line in open(ENV["KAFKA_ADMIN_CONFIG"], encoding="utf-8") if "=" in line)
    path = f"{STACK}/secrets/admin-java.properties"
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(f"security.protocol={given['security.protocol']}\nsasl.mechanism={given['sasl.mechanism']}\n"
                   "sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required "
                   f"username=\"{given['sasl.username']}\" password=\"{given['sasl.password']}\";\n")
    return path


def kafka_tool(name, *arguments):
    java = subprocess.run([f"{CHECKOUT}/deploy/install", "--java"], capture_output=True, check=True, text=True)
    subprocess.run([*java.stdout.split("\n")[:-1], name, "--bootstrap-server", ENV["KAFKA_BOOTSTRAP_SERVERS"],
                    "--command-config", java_properties(), *arguments],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


# ---- the stories -----------------------------------------------------------------------------------------------------

def test_whole_way():
    """Events go in once each, and a bad one becomes a dead letter beside them."""
    publish("shop.customer.v1", [registered("w1"), ("w1", "{\"not\": "), seen("w1")])
    publish("shop.order.v1", [placed("w1", "wo1")])
    publish("shop.shipment.v1", [requested("w1", "wo1", "ws1")])
    assert until_caught_up().returncode == 0
    assert sql("SELECT count(*) FROM person WHERE person = 'w1' AND opened") == "1"
    assert sql("SELECT string_agg(reason, ',') FROM dead_letter") == "not_json"
    assert sql("SELECT count(*) FROM ledger WHERE subject = 'w1' AND kind = 'register.disclosure.shipment'") == "1"
    told = "register.dead-letter,register.disclosure.shipment,register.marketing.permission"
    assert sql("SELECT string_agg(o.type, ',' ORDER BY o.type) FROM outbox o JOIN ledger l USING (seq, output_id)") == told
    assert until_caught_up().returncode == 0
    assert sql("SELECT count(*) FROM outbox") == "3"


def test_same_instance_refuses():
    """Two processes of one number: the second refuses, the first works on."""
    with Consumer() as first:
        first.ready()
        second = until_caught_up()
        assert second.returncode == 78, second.returncode
        assert b"--instance" in second.stderr
        publish("shop.customer.v1", [registered("i1")])
        await_sql("SELECT count(*) FROM person WHERE person = 'i1'", 1)


def test_refusals():
    """Another policy, a newer schema: exit code 78, with the way out."""
    policy = f"{STACK}/log/other-policy.json"
    with open(f"{STACK}/policy.json", encoding="utf-8") as source, open(policy, "w", encoding="utf-8") as target:
        target.write(source.read() + "\n")
    refused = until_caught_up({"KUNDREGISTER_POLICY_FILE": policy})
    assert refused.returncode == 78 and b"policy activate" in refused.stderr, refused.stderr
    sql("INSERT INTO schema_version (version) VALUES (999)")
    try:
        refused = until_caught_up()
        assert refused.returncode == 78 and b"newer" in refused.stderr, refused.stderr
    finally:
        sql("DELETE FROM schema_version WHERE version = 999")


def test_killed_and_started_again():
    """kill -9 in mid-load, again and again: each event once, and the next commit comes soon."""
    publish("shop.order.v1", [placed(f"k{i}", f"ko{i}") for i in range(3000)])
    for _ in range(3):
        with Consumer(environment={"KUNDREGISTER_CONSUMER_BATCH_RECORDS": "50"}) as consumer:
            count = int(sql("SELECT count(*) FROM customer_order WHERE order_id LIKE 'ko%'"))
            if count == 3000:
                break
            await_that(lambda: int(sql("SELECT count(*) FROM customer_order WHERE order_id LIKE 'ko%'")) > count)
            consumer.process.kill()
            consumer.process.wait()
    began = time.monotonic()
    publish("shop.customer.v1", [registered("k0")])
    with Consumer() as consumer:
        await_sql("SELECT count(*) FROM person WHERE person = 'k0' AND kind IS NOT NULL", 1, 10)
        print(f"# first commit {time.monotonic() - began:.2f} s after the start, broker and all on a shared machine")
        await_sql("SELECT count(*) FROM customer_order WHERE order_id LIKE 'ko%'", 3000)
    assert sql("SELECT sum(revision) FROM person WHERE person LIKE 'k%'") == "3001"


def test_silent_predecessor():
    """Nasty 4: a backend of our role holds a position and says nothing; the successor commits within 5 s."""
    assert until_caught_up().returncode == 0 and sql("SELECT count(*) FROM position") != "0"
    silent = subprocess.Popen(["psql", "-X", "-q", conninfo("consumer")], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    silent.stdin.write("BEGIN; UPDATE position SET owner = owner; SELECT 'held';\n")
    silent.stdin.flush()
    silent.stdout.readline()
    try:
        publish("shop.customer.v1", [registered("n4")])
        began = time.monotonic()
        with Consumer() as consumer:
            await_sql("SELECT count(*) FROM person WHERE person = 'n4'", 1, 15)
            print(f"# committed {time.monotonic() - began:.2f} s after the start")
            consumer.ready()
    finally:
        silent.kill()
        silent.wait()


def test_stopped_and_continued():
    """Nasty 5: a process stopped past the session timeout; its successor works; continued, it changes nothing twice."""
    short = {"KUNDREGISTER_CONSUMER_SESSION_TIMEOUT_MS": "1500"}
    with Consumer(environment=short) as first:
        first.ready()
        first.process.send_signal(signal.SIGSTOP)
        with Consumer(instance=1, port=first.port + 1 if first.port < 60000 else first.port - 1,
                      environment=short) as second:
            publish("shop.customer.v1", [registered(f"z{i}") for i in range(30)])
            await_sql("SELECT count(*) FROM person WHERE person LIKE 'z%'", 30)
            first.process.send_signal(signal.SIGCONT)
            publish("shop.order.v1", [placed(f"z{i}", f"zo{i}") for i in range(30)])
            await_sql("SELECT count(*) FROM customer_order WHERE order_id LIKE 'zo%'", 30)
            second.ready()
            first.ready()
    assert sql("SELECT sum(revision) FROM person WHERE person LIKE 'z%'") == "60"


def test_refused_by_database():
    """Nasty 27, PostgreSQL's part: what it alone refuses is bisected out; its neighbours commit."""
    sql("ALTER TABLE customer_order ADD CONSTRAINT planted CHECK (order_id NOT LIKE 'ro%7')")
    try:
        publish("shop.order.v1", [placed(f"r{i}", f"ro{i}") for i in range(100)])
        assert until_caught_up().returncode == 0
    finally:
        sql("ALTER TABLE customer_order DROP CONSTRAINT planted")
    assert sql("SELECT count(*) FROM customer_order WHERE order_id LIKE 'ro%'") == "90"
    assert sql("SELECT count(*) FROM dead_letter WHERE reason = 'refused_by_database' AND detail = '23514'") == "10"


def test_one_busy_customer():
    """10,000 events of one customer are one row."""
    publish("shop.customer.v1", [registered("b1")] + [seen("b1", i) for i in range(9999)])
    assert until_caught_up({"KUNDREGISTER_CONSUMER_BATCH_RECORDS": "20000"}).returncode == 0
    assert sql("SELECT count(*) FROM person WHERE person = 'b1'") == "1"
    assert int(sql("SELECT revision FROM person WHERE person = 'b1'")) < 2000


def test_outages():
    """Register, vault and broker away, one after the other: waited out, said by /readyz, nothing lost."""
    with Consumer() as consumer:
        consumer.ready()
        for part, code, number in (("register", "register_away", 1), ("vault", "vault_away", 2),
                                   ("kafka", "broker_away", 3)):
            deploy(f"stop-{part}", "--immediate")
            if part != "kafka":
                publish("shop.customer.v1", [registered(f"a{number}")])
            await_that(lambda c=code: c in consumer.http("/readyz")[1], 30, code)
            for _ in range(25):  # and goes on saying so
                answer = consumer.http("/readyz")[1]
                assert code in answer, f"{code}: {answer}"
                time.sleep(0.1)
            assert consumer.http("/healthz")[0] == 200
            deploy(f"start-{part}")
            if part == "kafka":
                publish("shop.customer.v1", [registered(f"a{number}")])
            await_sql(f"SELECT count(*) FROM person WHERE person = 'a{number}'", 1, 30)
            consumer.ready(30)


def log_lines(instance, event):
    path = f"{STACK}/log/consumer-{instance}.log"
    with open(path if os.path.exists(path) else os.devnull, encoding="utf-8") as file:
        return [line for line in file if f'"event":"{event}"' in line]


def test_client_lost():
    """Another client takes a worker's member id, so Kafka fences ours for good: a new client is made, nothing ends."""
    lost = len(log_lines(0, "client_lost"))
    with Consumer() as consumer:
        consumer.ready()
        rival = subprocess.Popen(["kcat", "-F", ENV["KAFKA_ADMIN_CONFIG"], "-X", "partition.assignment.strategy=range",
                                  "-X", f"group.instance.id={os.uname().nodename}-0-0", "-X", "enable.auto.commit=false",
                                  "-G", "kundregister", "shop.customer.v1"], stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)
        try:
            await_that(lambda: len(log_lines(0, "client_lost")) > lost, 20, "the lost client")
        finally:
            rival.kill()
            rival.wait()
        publish("shop.customer.v1", [registered(f"cl{i}") for i in range(20)])
        await_sql("SELECT count(*) FROM person WHERE person LIKE 'cl%'", 20, 40)
        consumer.ready(40)
        assert consumer.process.poll() is None


def test_idle_after_outage():
    """While the register is away the group gives everything to others: nothing to claim, but ready again once it is back."""
    def held():
        line = [one for one in consumer.http("/metrics")[1].splitlines() if one.startswith("kundregister_partitions_assigned ")]
        return line and float(line[0].split()[1])
    topics = [line for line in sql("SELECT DISTINCT topic FROM position WHERE topic <> 'calendar'").splitlines()]
    with Consumer() as consumer:
        consumer.ready()
        deploy("stop-register", "--immediate")
        others = []
        try:
            await_that(lambda: "register_away" in consumer.http("/readyz")[1], 30, "register_away")
            for _ in range(3):  # their names come before ours, so that a topic's three partitions are theirs
                others.append(subprocess.Popen(
                    ["kcat", "-F", ENV["KAFKA_ADMIN_CONFIG"], "-X", "partition.assignment.strategy=range", "-X",
                     "enable.auto.commit=false", "-G", "kundregister", *topics],
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            await_that(lambda: held() == 0, 40, "the others to have everything")
            deploy("start-register")
            consumer.ready(30)
            assert held() == 0, held()
        finally:
            for other in others:
                other.terminate()  # it leaves the group
                other.wait()
            deploy("start-register")
        publish("shop.customer.v1", [registered("idle1")])
        await_sql("SELECT count(*) FROM person WHERE person = 'idle1'", 1, 60)


def test_parked_is_not_caught_up():
    """--until-caught-up with a parked partition: exit code 1, and the log names it with the reason."""
    sql("UPDATE position SET parked = 'gap' WHERE topic = 'shop.order.v1' AND partition = 1")
    try:
        done = until_caught_up()
        assert done.returncode == 1, done.returncode
        told = [line for line in done.stderr.decode().splitlines() if '"not_caught_up"' in line]
        assert len(told) == 1 and "shop.order.v1" in told[0] and '"gap"' in told[0], told
    finally:
        sql("UPDATE position SET parked = NULL")
    assert until_caught_up().returncode == 0


def test_port_taken():
    """The configured HTTP port is another's: a free one is taken, and the log says which."""
    with Consumer() as first:
        first.ready()
        told = len(log_lines(1, "http_port_taken"))
        with Consumer(instance=1, port=first.port) as second:
            await_that(lambda: len(log_lines(1, "http_port_taken")) > told, 10, "the warning")
            second.port = json.loads(log_lines(1, "http_port_taken")[-1])["port"]
            assert second.port != first.port
            second.ready()
        producer = subprocess.run([f"{BUILD}/kundregister-producer", "--until-caught-up"], capture_output=True, timeout=60,
                                  env=dict(os.environ, **ENV, KUNDREGISTER_PRODUCER_HTTP_PORT=str(first.port)))
        assert producer.returncode == 0 and b"http_port_taken" in producer.stderr, producer.stderr


def positions_of(topic):
    return sql(f"SELECT string_agg(DISTINCT parked, ',') FROM position WHERE topic = '{topic}' AND parked IS NOT NULL")


def test_topic_made_anew():
    """Nasty 9: a topic re-created shorter than the position, and longer: parked both times, nothing applied."""
    topic = "shop.return.v1"

    def fill(count, name):
        publish(topic, [event("shop.return.received", f"{name}{i}", "t1",
                              {"return_id": f"{name}{i}", "order_id": "to1", "customer_id": "t1"}) for i in range(count)])

    def anew():
        kafka_tool("org.apache.kafka.tools.TopicCommand", "--delete", "--topic", topic)
        kafka_tool("org.apache.kafka.tools.TopicCommand", "--create", "--topic", topic, "--partitions", "3")

    fill(5, "one")
    assert until_caught_up().returncode == 0
    letters = sql("SELECT count(*) FROM dead_letter")
    anew()
    fill(2, "two")
    with Consumer() as consumer:
        await_that(lambda: "out_of_range" in positions_of(topic))
        await_that(lambda: "consumer position accept" in consumer.http("/readyz")[1])
    fill(8, "three")
    sql(f"UPDATE position SET parked = NULL WHERE topic = '{topic}'")
    with Consumer():
        await_that(lambda: "fingerprint" in positions_of(topic))
    assert sql("SELECT count(*) FROM dead_letter") == letters
    sql(f"DELETE FROM position WHERE topic = '{topic}'")


def test_gap():
    """Nasty 10: Kafka's retention passes the position while we are stopped: parked as a gap."""
    topic = "privacy.request.v1"

    def fill(name):
        publish(topic, [event("privacy.request.identified", f"{name}{i}", f"{name}{i}",
                              {"request_id": f"{name}{i}", "identity": "clerk"}) for i in range(9)])

    fill("ga")
    assert until_caught_up().returncode == 0
    letters = sql("SELECT count(*) FROM dead_letter")
    fill("gb")
    plan = f"{STACK}/log/delete-records.json"
    with open(plan, "w", encoding="utf-8") as file:
        json.dump({"version": 1, "partitions": [{"topic": topic, "partition": n, "offset": -1} for n in range(3)]}, file)
    kafka_tool("org.apache.kafka.tools.DeleteRecordsCommand", "--offset-json-file", plan)
    with Consumer() as consumer:
        await_that(lambda: "gap" in positions_of(topic))
        await_that(lambda: "consumer position accept" in consumer.http("/readyz")[1])
    assert sql("SELECT count(*) FROM dead_letter") == letters
    sql(f"DELETE FROM position WHERE topic = '{topic}'")


def has_kill_points():
    return subprocess.run([f"{BUILD}/kundregister-consumer", "--list-kill-points"], capture_output=True, text=True)


def test_stopped_in_rebalance():
    """Nasty 6: stopped inside the rebalance callback, before the claim; others go on, and it claims late."""
    if has_kill_points().returncode:
        print("# skipped: this build has no kill points")
        return
    short = {"KUNDREGISTER_CONSUMER_SESSION_TIMEOUT_MS": "1500"}
    with Consumer(environment=dict(short, KUNDREGISTER_STOP_AT="consumer.rebalance")) as zombie:
        await_that(lambda: open(f"/proc/{zombie.process.pid}/stat").read().rsplit(")", 1)[1].split()[0] == "T",
                   20, "the stop")
        with Consumer(instance=1, port=zombie.port - 1, environment=short) as second:
            publish("shop.customer.v1", [registered(f"x{i}") for i in range(20)])
            await_sql("SELECT count(*) FROM person WHERE person LIKE 'x%'", 20)
            zombie.process.send_signal(signal.SIGCONT)
            publish("shop.order.v1", [placed(f"x{i}", f"xo{i}") for i in range(20)])
            await_sql("SELECT count(*) FROM customer_order WHERE order_id LIKE 'xo%'", 20, 10)
            second.ready()
    assert sql("SELECT sum(revision) FROM person WHERE person LIKE 'x%'") == "40"


def bury(name):
    sql(f"""INSERT INTO tombstone (subject, cut, person, generation, cause, categories, valid, complete, restored, policy)
            SELECT md5('{name}') || md5('{name}'), to_timestamp(1), 'gone-{name}', -1, 'request', '{{profile}}', true, true, false,
                   max(policy) FROM policy""")


def test_erasures_wait_for_the_vault():
    """What is doomed while the vault is away shows as waiting, and is destroyed once it is back."""
    with Consumer() as consumer:
        consumer.ready()
        subprocess.run(["deploy/stack", "stop-vault", STACK, "--immediate"], check=True, capture_output=True)
        try:
            bury("waits")
            await_that(lambda: "vault_away" in consumer.http("/readyz")[1])
            await_that(lambda: "erasures_pending 1\n" in consumer.http("/metrics")[1])
            assert consumer.http("/healthz")[0] == 200
        finally:
            subprocess.run(["deploy/stack", "start-vault", STACK], check=True, capture_output=True)
        await_sql("SELECT count(destroyed) FROM tombstone WHERE person = 'gone-waits'", 1)
        consumer.ready()
        await_that(lambda: "erasures_pending 0\n" in consumer.http("/metrics")[1])


def test_killed_at_each_label():
    """kill -9 at every labelled point: in the end each event and each output once."""
    labels = has_kill_points()
    if labels.returncode:
        print("# skipped: this build has no kill points")
        return
    for number, label in enumerate(labels.stdout.split()):
        name = f"l{number}x"
        publish("shop.order.v1", [placed(f"{name}{i}", f"{name}o{i}") for i in range(5)])
        publish("shop.shipment.v1", [requested(f"{name}{i}", f"{name}o{i}", f"{name}s{i}") for i in range(5)])
        # A tombstone whose subject the vault has not been told of: the erasing loop passes each of its steps.
        bury(name)
        killed = until_caught_up({"KUNDREGISTER_KILL_AT": label})
        assert killed.returncode == -signal.SIGKILL, f"{label}: {killed.returncode}"
        assert until_caught_up().returncode == 0
        counts = sql(f"""SELECT (SELECT count(*) FROM customer_order WHERE customer_id LIKE '{name}%' AND known),
                                (SELECT count(*) FROM shipment WHERE customer_id LIKE '{name}%'),
                                (SELECT count(*) FROM ledger WHERE subject LIKE '{name}%' AND recipient IS NOT NULL),
                                (SELECT count(*) FROM ledger WHERE subject LIKE '{name}%' AND recipient IS NULL),
                                (SELECT count(*) FROM outbox JOIN ledger USING (seq) WHERE subject LIKE '{name}%')""")
        assert counts == "5|5|5|5|10", f"{label}: {counts}"
        assert sql(f"SELECT count(destroyed) FROM tombstone WHERE person = 'gone-{name}'") == "1", label


def test_wrong_cluster():
    """Nasty 17, the consumer's half: positions made with another Kafka are not read on."""
    assert until_caught_up().returncode == 0 and sql("SELECT count(*) FROM position") != "0"
    sql("UPDATE position SET cluster_id = 'another' || cluster_id")
    try:
        with Consumer() as consumer:
            await_that(lambda: "wrong_cluster" in consumer.http("/readyz")[1])
    finally:
        sql("UPDATE position SET cluster_id = substr(cluster_id, 8), parked = NULL")


def main():
    names = sys.argv[3:]
    failed = 0
    for name, test in list(globals().items()):
        if not name.startswith("test_") or (names and name[5:] not in names):
            continue
        began = time.monotonic()
        try:
            test()
            print(f"ok - consumer {name[5:]}", flush=True)
        except Exception as error:  # noqa: the story is told, the next one goes on
            failed += 1
            where = traceback.extract_tb(error.__traceback__)[1]
            print(f"not ok - consumer {name[5:]}: line {where.lineno}: {type(error).__name__}: {error}", flush=True)
        print(f"# {time.monotonic() - began:.1f} s", flush=True)
    sys.exit(1 if failed else 0)


main()
