"""A stack made by deploy/stack, as tests see it: events in, daemons, register, outputs.

Shares nothing with the C: what a test expects comes from the contract, not from here.
"""
import json
import os
import signal
import subprocess
import time
import urllib.request
import uuid

import confluent_kafka as ck
import psycopg

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SHOP_TOPICS = ["shop.customer.v1", "shop.order.v1", "shop.shipment.v1", "shop.return.v1", "shop.consent.v1",
               "privacy.request.v1"]


class Failed(Exception):
    """A condition that did not come true in time, or a claim that does not hold."""


def wait_for(what, condition, seconds=30, every=0.05):
    """Waits for a truthy condition() and returns it; Failed when the deadline passes."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failed(f"waited {seconds} s for {what}")
        time.sleep(every)


def sourced(path):
    """The environment after a shell has read the file."""
    done = subprocess.run(["bash", "-c", '. "$1" && env -0', "bash", path], capture_output=True, text=True, check=True)
    return dict(line.split("=", 1) for line in done.stdout.split("\0") if line)


def properties(path):
    with open(path, encoding="utf-8") as file:
        return dict(line.strip().split("=", 1) for line in file if "=" in line and not line.startswith("#"))


class Daemon:
    """One of the two daemons, its log in the stack's directory."""

    def __init__(self, stack, program, *arguments, env=None, name=None):
        self.stack, self.program = stack, program
        self.log_path = os.path.join(stack.directory, "log", (name or program) + f".{uuid.uuid4().hex[:6]}.log")
        self.log = open(self.log_path, "wb")
        self.process = subprocess.Popen([os.path.join(stack.build, program), *arguments], stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log, env={**stack.env, **(env or {})})
        stack.daemons.append(self)

    @property
    def running(self):
        return self.process.poll() is None

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        self.signal(signal.SIGKILL)
        self.process.wait()

    def port(self):
        """Where it answers, as its log says; None before that. A second process finds the configured port taken."""
        for line in self.said().splitlines():
            if line.startswith("{") and '"event":"http"' in line:
                return json.loads(line)["port"]
        return None

    def keep_metrics(self):
        """What /metrics says now, beside the log: whoever searches what a run leaves behind searches it, too."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port()}/metrics", timeout=2) as reply:
                said = reply.read()
        except (OSError, ValueError):  # it does not answer any more, or never did
            return
        with open(self.log_path + ".metrics", "wb") as file:
            file.write(said)

    def stop(self, seconds=30):
        """SIGTERM and the exit code."""
        if self.running:
            self.keep_metrics()
            self.signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired as late:
            self.kill()
            raise Failed(f"{self.program} did not stop within {seconds} s") from late

    def wait(self, seconds=60):
        return self.process.wait(seconds)

    def said(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()


class Stack:
    def __init__(self, directory, build):
        self.directory, self.build, self.daemons = os.path.abspath(directory), os.path.abspath(build), []
        self.env = sourced(os.path.join(self.directory, "env"))
        self._producers = {}
        self.client = {}  # more properties of the test's own Kafka clients

    # -- daemons --

    def consumer(self, *arguments, env=None):
        return Daemon(self, "kundregister-consumer", *arguments, env=env)

    def relay(self, *arguments, env=None):
        return Daemon(self, "kundregister-producer", *arguments, env=env)

    def ready(self, which, seconds=30):
        """Waits for /readyz of CONSUMER or PRODUCER."""
        def answer():
            try:
                with urllib.request.urlopen(f"http://{self.env[which + '_HTTP']}/readyz", timeout=2) as reply:
                    return reply.status == 200
            except OSError:
                return False
        wait_for(f"{which.lower()} ready", answer, seconds)

    def http(self, which, path):
        """(status, body)"""
        try:
            with urllib.request.urlopen(f"http://{self.env[which + '_HTTP']}{path}", timeout=5) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metric(self, which, name):
        """Sum of a metric's samples."""
        body = self.http(which, "/metrics")[1]
        return sum(float(line.rsplit(" ", 1)[1]) for line in body.splitlines()
                   if line.startswith(name + "{") or line.startswith(name + " "))

    def stop_all(self):
        for daemon in self.daemons:
            if daemon.running:
                try:
                    daemon.signal(signal.SIGCONT)
                    daemon.stop()
                except Failed:
                    pass

    def cli(self, *arguments, check=True, stdin=None):
        done = subprocess.run([os.path.join(self.build, "kundregister"), *arguments], env=self.env, input=stdin,
                              capture_output=True, text=True)
        if check and done.returncode != 0:
            raise Failed(f"kundregister {' '.join(arguments[:2])} exited {done.returncode}: {done.stderr.strip()}")
        return done

    # -- Kafka --

    def principal(self, name):
        path = (self.env["KAFKA_ADMIN_CONFIG"] if name == "admin"
                else os.path.join(self.directory, "principals", name + ".conf"))
        return {**properties(path), **self.client}

    def _producer(self, principal):
        if principal not in self._producers:
            self._producers[principal] = ck.Producer({**self.principal(principal), "linger.ms": 5, "acks": "all",
                                                      "enable.idempotence": True})
        return self._producers[principal]

    def send_raw(self, topic, key, value, headers=(), principal=None, partition=-1, timestamp=0):
        principal = principal or ("carrier-" + topic.split(".")[1] if topic.startswith("carrier.") else "shop")
        producer = self._producer(principal)
        failed = []
        while True:
            try:
                producer.produce(topic, value, key, partition=partition, headers=list(headers), timestamp=timestamp,
                                 on_delivery=lambda error, _message: error and failed.append(str(error)))
                break
            except BufferError:
                producer.poll(0.1)
        return failed

    def send(self, event):
        """One event: {topic, type, key, data, and optionally id, source, time, sequence}."""
        headers = [("ce_specversion", "1.0"), ("ce_id", event.get("id") or str(uuid.uuid4())),
                   ("ce_source", event.get("source", "urn:shop")), ("ce_type", event["type"]),
                   ("ce_time", event.get("time") or now()), ("content-type", "application/json")]
        if "sequence" in event:
            headers.append(("ce_sequence", event["sequence"]))
        return self.send_raw(event["topic"], event["key"], json.dumps(event["data"], ensure_ascii=False).encode(),
                             headers)

    def flush(self):
        for producer in self._producers.values():
            if producer.flush(30):
                raise Failed("records were not delivered")

    def read_all(self, *topics, isolation="read_committed"):
        """Every message of these topics from their starts to their ends now, by topic, partition and offset."""
        consumer = ck.Consumer({**self.principal("admin"), "group.id": "test-" + uuid.uuid4().hex,
                                "isolation.level": isolation, "enable.auto.commit": False,
                                "auto.offset.reset": "earliest", "enable.partition.eof": True, "fetch.wait.max.ms": 20})
        try:
            listing = consumer.list_topics(timeout=10).topics
            places = [ck.TopicPartition(topic, number, ck.OFFSET_BEGINNING)
                      for topic in topics for number in listing[topic].partitions]
            consumer.assign(places)
            at_end, messages = set(), []
            end = time.monotonic() + 60
            while len(at_end) < len(places):
                message = consumer.poll(1)
                if message is None:
                    if time.monotonic() > end:
                        raise Failed(f"reading {topics} did not end")
                    continue
                end = time.monotonic() + 60
                if message.error():
                    if message.error().code() == ck.KafkaError._PARTITION_EOF:
                        at_end.add((message.topic(), message.partition()))
                    continue
                messages.append(message)
            return sorted(messages, key=lambda one: (one.topic(), one.partition(), one.offset()))
        finally:
            consumer.close()

    def topics(self):
        listing = ck.Consumer({**self.principal("admin"), "group.id": "test"})
        try:
            return {name: len(topic.partitions) for name, topic in listing.list_topics(timeout=10).topics.items()}
        finally:
            listing.close()

    def input_topics(self):
        return [name for name in self.topics() if name in SHOP_TOPICS or name.startswith("carrier.")]

    def watermarks(self, topics):
        """{(topic, partition): (low, high)}"""
        consumer = ck.Consumer({**self.principal("admin"), "group.id": "test"})
        try:
            listing = consumer.list_topics(timeout=10).topics
            return {(topic, number): consumer.get_watermark_offsets(ck.TopicPartition(topic, number), 10)
                    for topic in topics for number in listing[topic].partitions}
        finally:
            consumer.close()

    def ends(self, topics):
        """{(topic, partition): high watermark}"""
        return {where: high for where, (_, high) in self.watermarks(topics).items()}

    def command_ends(self):
        """The same of the commands, after the last record: behind it stands what ended the relay's transaction."""
        ends = self.ends(["register.command.v1"])
        if not any(ends.values()):
            return ends
        return {(message.topic(), message.partition()): message.offset() + 1
                for message in self.read_all("register.command.v1")}

    # -- PostgreSQL --

    def register(self):
        return psycopg.connect(self.env["REGISTER_CONNINFO"], autocommit=True)

    def vault(self):
        return psycopg.connect(self.env["VAULT_CONNINFO"], autocommit=True)

    def sql(self, text, *parameters):
        with self.register() as connection:
            cursor = connection.execute(text, parameters or None)
            return cursor.fetchall() if cursor.description else None

    # -- settled --

    def wait_consumed(self, seconds=60):
        """Until every input record that is there now is taken in."""
        self.flush()
        ends = {**self.ends(self.input_topics()), **self.command_ends()}
        with self.register() as connection:
            def through():
                at = {(topic, partition): next_ for topic, partition, next_ in
                      connection.execute("SELECT topic, partition, next FROM position")}
                return all(at.get(where, 0) >= end for where, end in ends.items())
            wait_for("the input to be consumed", through, seconds)

    def wait_relayed(self, seconds=60):
        """Until every outbox row that is there now is published (or recorded as not to be)."""
        with self.register() as connection:
            def through():
                return connection.execute(
                    """SELECT NOT EXISTS (SELECT FROM outbox o LEFT JOIN mirror m USING (topic)
                       WHERE o.seq > coalesce(m.seq, 0) AND NOT EXISTS
                           (SELECT FROM publication p WHERE p.seq = o.seq AND p.state IN ('withheld', 'unpublishable')))"""
                ).fetchone()[0]
            wait_for("the outbox to be relayed", through, seconds)

    def wait_erased(self, seconds=60):
        """Until the vault has let go of every key that an erasure doomed. The rows, not the gauge, which a restart resets."""
        with self.register() as connection:
            wait_for("erasures to be finished", lambda: connection.execute(
                """SELECT NOT EXISTS (SELECT FROM doomed) AND NOT EXISTS
                       (SELECT FROM tombstone WHERE destroyed IS NULL AND person IS NOT NULL)""").fetchone()[0], seconds)

    def settle(self, seconds=60):
        self.wait_consumed(seconds)
        self.wait_relayed(seconds)

    def dump(self, *options):
        """The register's dump as text lines."""
        return self.cli("dump", *options).stdout.splitlines()


def headers_of(message):
    return {name: (value.decode("utf-8", "replace") if value is not None else None)
            for name, value in message.headers() or []}


def now(offset_s=0.0):
    """RFC 3339, microseconds, UTC."""
    at = time.time() + offset_s
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + f".{int(at % 1 * 1e6):06d}Z"


class Report:
    """ok - / not ok - lines, and the exit code at the end."""

    def __init__(self):
        self.failed = 0

    def check(self, name, fine, why=""):
        print(("ok - " if fine else "not ok - ") + name, flush=True)
        if not fine:
            self.failed += 1
            if why:
                print("# " + str(why).replace("\n", "\n# "), flush=True)

    def case(self, name, function, *arguments):
        """Runs function; an exception is a failure."""
        started = time.monotonic()
        try:
            function(*arguments)
            self.check(f"{name} ({time.monotonic() - started:.1f} s)", True)
        except Exception as error:  # a test's failure must not hide the next test
            self.check(name, False, f"{type(error).__name__}: {error}")

    def exit_code(self):
        return 1 if self.failed else 0
