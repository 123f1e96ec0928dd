"""What the relay's scenarios share: a stack, rows in its outbox, relays as processes, and the judge of what Kafka shows."""
import collections
import os
import re
import shlex
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from scan import mark  # noqa: E402

TOPICS = ["disclosure.posti.v1", "disclosure.matkahuolto.v1", "register.request.v1"]
POSITION_TOPIC = "register.outbox-position.v1"
REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def read_env(path):
    env = {}
    for line in open(path, encoding="utf-8"):
        name, value = line.removeprefix("export ").strip().split("=", 1)
        env[name] = shlex.split(value)[0]
    return env


class Relay:
    """One kundregister-producer."""

    def __init__(self, stack, *arguments, **env):
        self.log_path = os.path.join(stack.directory, "log", f"relay-{time.monotonic_ns()}.log")
        self.log_file = open(self.log_path, "wb")
        self.process = subprocess.Popen(
            [os.path.join(stack.bins, "kundregister-producer"), *arguments],
            env={**os.environ, **stack.env, "KUNDREGISTER_PRODUCER_HTTP_PORT": "0", **env},
            stdin=subprocess.DEVNULL, stdout=self.log_file, stderr=self.log_file)
        stack.relays.append(self)

    def log(self):
        return open(self.log_path, encoding="utf-8", errors="replace").read()

    def wait(self, timeout_s=40):
        code = self.process.wait(timeout_s)
        self.log_file.close()
        return code

    def await_log(self, text, timeout_s=20):
        until(lambda: text in self.log() or self.process.poll() is not None, timeout_s, f"log line {text!r}")
        assert text in self.log(), f"the relay ended without {text!r}: {self.log()[-600:]}"

    def kill(self, number=signal.SIGKILL):
        if self.process.poll() is None:
            self.process.send_signal(number)
            if number == signal.SIGKILL:
                self.wait()


def until(condition, timeout_s, what):
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout_s} s in vain for {what}")
        time.sleep(0.03)


class Stack:
    def __init__(self, directory, bins):
        self.directory, self.bins = directory, bins
        self.env = read_env(os.path.join(directory, "env"))
        self.scratch = os.environ.get("TMPDIR", "/tmp")
        self.relays = []

    # ---- servers ----

    def stack(self, *words):
        subprocess.run([os.path.join(REPOSITORY, "deploy", "stack"), words[0], self.directory, *words[1:]], check=True,
                       stdout=subprocess.DEVNULL)

    def psql_command(self, *arguments):
        return ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", self.env["REGISTER_CONNINFO"], *arguments]

    def sql(self, text):
        done = subprocess.run(self.psql_command("-f", "-"), input=text, text=True, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def kafka_java(self, name, *arguments, text=None):
        """A tool of Kafka's own, as the stack's superuser."""
        config = os.path.join(self.scratch, "relay-admin.properties")
        read = dict(line.strip().split("=", 1) for line in open(self.env["KAFKA_ADMIN_CONFIG"], encoding="utf-8"))
        with open(config, "w", encoding="utf-8") as file:
            file.write(f"security.protocol={read['security.protocol']}\nsasl.mechanism={read['sasl.mechanism']}\n"
                       "sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required "
                       f"username=\"{read['sasl.username']}\" password=\"{read['sasl.password']}\";\n")
        java = subprocess.run([os.path.join(REPOSITORY, "deploy", "install"), "--java"], capture_output=True, text=True,
                              check=True).stdout.splitlines()
        return subprocess.run([*java, name, "--bootstrap-server", self.env["KAFKA_BOOTSTRAP_SERVERS"], "--command-config",
                               config, *arguments], input=text, capture_output=True, text=True, check=True).stdout

    def kcat(self, *arguments, text=None):
        done = subprocess.run(["kcat", "-F", self.env["KAFKA_ADMIN_CONFIG"], *arguments], input=text, capture_output=True,
                              text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    # ---- rows ----

    def add_rows(self, count, topics=None, keys=5, body_bytes=20):
        names = ",".join(f"'{topic}'" for topic in topics or TOPICS)
        self.sql(f"""BEGIN; SELECT pg_current_xact_id();
            INSERT INTO outbox (seq, row_id, topic, key, type, output_id, decided, person, generation, category, body)
            SELECT nextval('outbox_seq'), uuid_send(gen_random_uuid()), (ARRAY[{names}])[1 + n % {len(topics or TOPICS)}],
                   'key-' || n % {keys}, 'register.test', gen_random_uuid(), now(), '', -1, 1,
                   convert_to('{{"n":' || n || ',"x":"' || repeat('x', {body_bytes}) || '"}}', 'UTF8')
            FROM generate_series(1, {count}) n; COMMIT""")

    def fill(self, *words):
        """relay_fill_test: rows as the consumer seals them, with a street in each."""
        mark(self.directory, "Planted street 1", *(topic.split(".")[1] for topic in TOPICS))
        subprocess.run([os.path.join(self.bins, "tests", "relay_fill_test"), *words], check=True, stdout=subprocess.DEVNULL,
                       env={**os.environ, **self.env})

    def last_seq(self):
        return int(self.sql("SELECT coalesce(max(seq), 0) FROM outbox"))

    # ---- relays ----

    def relay(self, *arguments, **env):
        return Relay(self, *arguments, **env)

    def publish_all(self, **env):
        relay = self.relay("--until-caught-up", **env)
        code = relay.wait()
        assert code == 0, f"exit code {code}: {relay.log()[-800:]}"
        return relay

    def end_relays(self):
        for relay in self.relays:
            if relay.process.poll() is None:
                relay.process.send_signal(signal.SIGCONT)
                relay.kill()
        self.relays.clear()

    # ---- the judge ----

    def outputs(self, topic):
        """(partition, key, id) as a read_committed consumer sees them, in order of each partition."""
        text = self.kcat("-C", "-t", topic, "-e", "-q", "-X", "isolation.level=read_committed", "-X", "auto.offset.reset=earliest",
                         "-f", "%p\t%k\t%h\n")
        seen = []
        for line in text.splitlines():
            partition, key, headers = line.split("\t")
            seen.append((int(partition), key, re.search(r"ce_id=([0-9a-f-]{36})", headers).group(1)))
        return seen

    def judge(self, after, topics=None, excused=(), in_order=True):
        """Every row above `after` is in Kafka once, and per key in the outbox's order. Returns what is wrong, or None."""
        rows = [line.split("|") for line in self.sql(
            f"SELECT output_id, topic, key FROM outbox WHERE seq > {after} ORDER BY seq").splitlines()]
        place = {row[0]: number for number, row in enumerate(rows)}
        seen = collections.Counter()
        for topic in topics or sorted({row[1] for row in rows}):
            last = {}
            for _, key, identity in self.outputs(topic):
                if identity not in place:
                    continue
                seen[identity] += 1
                if in_order and last.get(key, -1) > place[identity]:
                    return f"{topic}: key {key} is out of order"
                last[key] = place[identity]
        missing = [row for row in rows if not seen[row[0]] and row[0] not in excused]
        double = [identity for identity, times in seen.items() if times > 1]
        if missing or double:
            return f"{len(missing)} of {len(rows)} missing, {len(double)} twice"
        return None

    def expect_whole(self, after, **how):
        wrong = self.judge(after, **how)
        assert wrong is None, wrong


def main(scenarios):
    """Runs each scenario: a function of the stack whose first line of documentation names it."""
    if len(sys.argv) < 3:
        sys.exit(f"usage: {sys.argv[0]} STACK_DIRECTORY BINARIES_DIRECTORY [NAME ...]")
    stack = Stack(sys.argv[1], sys.argv[2])
    failures = 0
    for scenario in scenarios:
        if sys.argv[3:] and scenario.__name__ not in sys.argv[3:]:
            continue
        began = time.monotonic()
        try:
            scenario(stack)
            print(f"ok - {scenario.__doc__.splitlines()[0]} ({time.monotonic() - began:.1f} s)", flush=True)
        except (AssertionError, subprocess.SubprocessError) as wrong:
            failures += 1
            print(f"not ok - {scenario.__doc__.splitlines()[0]}: {wrong}", flush=True)
        finally:
            stack.end_relays()
    sys.exit(1 if failures else 0)
