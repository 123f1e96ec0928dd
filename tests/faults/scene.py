"""The world in which faults strike: a real stack of its own, the daemons as processes that a keeper starts again, each
behind proxies of its own, a shop that never closes, and the answer to "is all as it should be again?"."""
import configparser
import glob
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "judge")]
import hanging  # noqa: E402
from load import Load  # noqa: E402
from proxy import Proxy, conninfo_through  # noqa: E402
from small_disk import SmallDisk  # noqa: E402
from stack import ROOT, SHOP_TOPICS, Daemon, Failed, Stack  # noqa: E402

PARTS = ("register", "vault", "kafka")
CONSUMERS, RELAYS = ("consumer-0", "consumer-1"), ("relay", "standby")
SESSION_MS = 3000
SLOW_END_S = 10
START_EVERY_S = 0.5  # as a supervisor that does not spin
HANGS_S = 20  # twice as long as a relay's transaction may take
RECOVERY_S = 90  # unless a fault says otherwise; others may be at work on this machine
BAD_WORDS = ("worker_ended", "erasure_stuck", "calendar_act_failed", "output_unpublishable", "Assertion", "runtime error",
             "Sanitizer", "@example.fi")


class ChaosStack(Stack):
    """A stack that remembers the input records that a fault took away after they were read: the judge still wants them."""

    def __init__(self, directory, build):
        super().__init__(directory, build)
        self.archive = {}

    def principal(self, name):
        return {**super().principal(name), "log_level": 0}  # that a broker is away is no news here

    def keep(self, messages):
        for message in messages:
            self.archive[message.topic(), message.partition(), message.offset()] = message

    def read_all(self, *topics, **options):
        found = {(one.topic(), one.partition(), one.offset()): one for one in self.archive.values() if one.topic() in topics}
        for message in super().read_all(*topics, **options):
            found[message.topic(), message.partition(), message.offset()] = message
        return [found[place] for place in sorted(found)]

    def cli(self, *arguments, check=True, stdin=None):
        """As an operator: what says that a server is away is run again."""
        for _ in range(4):
            done = super().cli(*arguments, check=False, stdin=stdin)
            if done.returncode != os.EX_UNAVAILABLE:
                break
            time.sleep(5)
        if check and done.returncode != 0:
            raise Failed(f"kundregister {' '.join(arguments[:2])} exited {done.returncode}: {done.stderr.strip()}")
        return done

    def flush(self):
        for producer in list(self._producers.values()):  # the shop's thread may add one meanwhile
            if producer.flush(60):
                raise Failed("records were not delivered")

    def forget_producers(self):
        """After topics changed: new clients learn of them at once."""
        self.flush()
        self._producers.clear()

    def switch(self, action, part, *more):
        done = subprocess.run([os.path.join(ROOT, "deploy", "stack"), f"{action}-{part}", self.directory, *more],
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise Failed(f"deploy/stack {action}-{part}: {done.stdout[-300:]}{done.stderr[-300:]}")


class Process:
    """One daemon. Whoever ends it says so first (`doomed`); any other end is an anomaly."""

    def __init__(self, world, name, number):
        self.world, self.name, self.number = world, name, number
        self.role = "consumer" if name.startswith("consumer") else "producer"
        self.proxies = {part: Proxy(world.ports[part] if part != "kafka" else world.kafka_ports[number], f"{name} {part}")
                        for part in PARTS}
        self.config = os.path.join(world.directory, "chaos", name + ".ini")
        self.orders = os.path.join(world.directory, "chaos", name + ".orders")
        self.daemon, self.wanted, self.doomed, self.url, self.begun = None, True, False, None, 0.0
        self.ordered = False

    def write_config(self):
        ini = configparser.ConfigParser(interpolation=None)
        ini.optionxform = str
        ini.read(self.world.stack.env["KUNDREGISTER_CONFIG"], encoding="utf-8")
        ini["kafka"]["bootstrap.servers"] = f"127.0.0.1:{self.proxies['kafka'].port}"
        for part in ("register", "vault"):
            ini[part][self.role] = conninfo_through(self.world.stack, part, self.role, self.proxies[part])
        ini["consumer"].update({"http.port": "-1", "instance": str(self.number), "session.timeout.ms": str(SESSION_MS),
                                "workers": str(self.world.workers)})
        ini["producer"].update({"http.port": "-1", "batch.outputs": "50"})
        with open(os.open(self.config, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            ini.write(file)

    @property
    def running(self):
        return self.daemon is not None and self.daemon.running

    @property
    def pid(self):
        return self.daemon.process.pid

    def start(self, *arguments, env=None):
        self.doomed, self.url = False, None
        self.daemon = Daemon(self.world.stack, f"kundregister-{self.role}", "--config", self.config, *arguments,
                             env={"KUNDREGISTER_ORDERS": self.orders, **(env or {})}, name=f"chaos-{self.name}")
        self.daemon.log.close()  # the daemon has its own; a campaign starts very many
        self.begun = time.monotonic()
        return self.daemon

    def signal(self, number):
        if self.running:
            self.daemon.signal(number)

    def kill(self):
        self.doomed = True
        self.signal(signal.SIGKILL)

    def stop(self):
        """SIGTERM; whether it ended in time and well."""
        self.doomed = True
        if self.running:
            self.signal(signal.SIGCONT)
            began = time.monotonic()
            code = self.daemon.stop(60)
            if time.monotonic() - began > SLOW_END_S:
                self.world.tell(f"# {self.name} took {time.monotonic() - began:.0f} s to end: {self.tail()}")
            if code not in (0, 75):
                self.world.say(f"{self.name} ended with {code} when it was asked to: {self.tail()}")

    def order(self, what, label):
        """The next time that it comes by the labelled point, it is killed or stopped there."""
        self.ordered = what == "kill"
        with open(self.orders + ".new", "w", encoding="ascii") as file:
            file.write(f"{what} {label}\n")
        os.rename(self.orders + ".new", self.orders)

    def take_back_order(self):
        """Or sees that it was carried out: who takes the file away dies a moment later."""
        if os.path.exists(self.orders):
            os.unlink(self.orders)
        elif self.ordered and self.running:
            try:
                self.daemon.process.wait(5)
            except subprocess.TimeoutExpired:
                pass
        self.world.keep()
        self.ordered = False

    @property
    def stopped(self):
        try:
            with open(f"/proc/{self.pid}/stat", encoding="ascii", errors="replace") as file:
                return file.read().rsplit(")", 1)[1].split()[0] == "T"
        except (FileNotFoundError, ProcessLookupError):
            return False

    def http(self, path):
        """(status, body), or (0, reason) when it does not answer."""
        if self.url is None and self.daemon:
            found = re.search(r'"event":"http",.*?"port":(\d+)', self.daemon.said())
            if not found:
                return 0, "no port yet"
            self.url = f"http://127.0.0.1:{found[1]}"
        try:
            with urllib.request.urlopen(self.url + path, timeout=2) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def tail(self):
        return " / ".join(line[:240] for line in self.daemon.said().splitlines()[-6:])

    def heal(self):
        for proxy in self.proxies.values():
            proxy.heal()


class World:
    def __init__(self, directory, build, seed=1, pace=20, workers=2, say=print):
        """Brings the stack up, and the daemons; the shop is opened by load.start()."""
        self.directory, self.build, self.workers, self.tell = directory, build, workers, say
        self.anomalies, self.trimmed, self.widened, self.disks, self.processes = [], set(), set(), {}, {}
        self.known = []  # anomalies that the judge is to pass over, with a reason
        self.hanging = 0  # transactions that Kafka left open
        self.gaps = {}  # {(topic, partition): [(from, to)]}: deleted before anybody read it
        done = subprocess.run([os.path.join(ROOT, "deploy", "stack"), "up", directory, "--build", build],
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise Failed(f"no stack: {done.stdout[-500:]}{done.stderr[-500:]}")
        self.stack = ChaosStack(directory, build)
        os.mkdir(os.path.join(directory, "chaos"))
        self.ports = {part: int(re.search(rf"^{part}_port=(\d+)", self.conf(), re.MULTILINE)[1]) for part in PARTS}
        self.kafka_ports = {}
        names = (*CONSUMERS, *RELAYS)
        try:
            self.kafka_ports = dict(enumerate(free_ports(len(names))))
            for number, name in enumerate(names):
                self.processes[name] = Process(self, name, number)
            self.rebuild_servers()
            for process in self.processes.values():
                process.write_config()
                process.start()
            self.load = Load(self.stack, seed, pace)
        except BaseException:
            self.down()
            raise

    def conf(self):
        with open(os.path.join(self.directory, "stack.conf"), encoding="utf-8") as file:
            return file.read()

    def rebuild_servers(self):
        """Kafka gets a listener a process, whose advertised port is that process's proxy; it and the register's WAL move to
        small disks, where this machine allows such."""
        self.stack.switch("stop", "kafka")
        path = os.path.join(self.directory, "secrets", "kafka-server.properties")
        with open(path, encoding="utf-8") as file:
            text = file.read()
        for process in self.processes.values():
            name, port = f"VIA{process.number}", self.kafka_ports[process.number]
            text = re.sub(r"^(listeners=.*)$", rf"\1,{name}://127.0.0.1:{port}", text, flags=re.MULTILINE)
            text = re.sub(r"^(listener.security.protocol.map=.*)$", rf"\1,{name}:SASL_PLAINTEXT", text, flags=re.MULTILINE)
            jaas = re.search(r"^listener.name.client.plain.sasl.jaas.config=(.*)$", text, re.MULTILINE)[1]
            text += f"listener.name.{name.lower()}.plain.sasl.jaas.config={jaas}\n"
        text += f"advertised.listeners=CLIENT://127.0.0.1:{self.ports['kafka']}," + ",".join(
            f"VIA{one.number}://127.0.0.1:{one.proxies['kafka'].port}" for one in self.processes.values()) + "\n"
        disk = SmallDisk.make(os.path.join(self.directory, "small-kafka"), 400)
        if disk:
            self.disks["kafka"] = disk
            shutil.copytree(os.path.join(self.directory, "kafka", "data"), os.path.join(disk.path, "data"))
            text = re.sub(r"^log.dirs=.*$", f"log.dirs={disk.path}/data", text, flags=re.MULTILINE)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        self.stack.switch("start", "kafka")
        disk = disk and SmallDisk.make(os.path.join(self.directory, "small-register"), 256, "postgres")
        if disk:
            self.disks["register"] = disk
            self.stack.sql("ALTER SYSTEM SET max_wal_size = '96MB'")
            self.stack.switch("stop", "register")
            self.move_wal()
            self.stack.switch("start", "register")

    def move_wal(self):
        """The register, stopped, gets its WAL on the small disk."""
        wal, there = os.path.join(self.directory, "register", "pg_wal"), os.path.join(self.disks["register"].path, "wal")
        shutil.rmtree(there, ignore_errors=True)
        subprocess.run(["cp", "-a", wal, there], check=True)
        shutil.rmtree(wal)
        os.symlink(there, wal)

    # ---- what goes wrong unasked ----

    def say(self, what):
        self.anomalies.append(what)
        self.tell(f"# anomaly: {what}")

    def keep(self):
        """Starts what has ended and is wanted. Whoever ended unasked is told of."""
        for process in self.processes.values():
            if process.daemon is None or process.running:
                continue
            code = process.daemon.process.returncode
            expected = process.doomed or (process.ordered and code == -signal.SIGKILL)
            process.doomed = True  # told once, though it may not be started at once
            process.ordered = process.ordered and os.path.exists(process.orders)  # else it was carried out
            if not expected:
                self.say(f"{process.name} ended with {code}: {process.tail()}")
            if process.wanted and time.monotonic() - process.begun > START_EVERY_S:
                process.start()
        if self.load.failure:
            failure, self.load.failure = self.load.failure, None
            self.say(f"the load ended: {failure}")

    def wait_for(self, what, condition, seconds, every=0.1):
        """As stack.wait_for, with the keeper at work meanwhile."""
        end = time.monotonic() + seconds
        while True:
            self.keep()
            value = condition()
            if value:
                return value
            if time.monotonic() > end:
                raise Failed(f"waited {seconds} s for {what}")
            time.sleep(every)

    def quiet(self, seconds):
        """A spell in which nothing is done to anybody."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.keep()
            time.sleep(0.1)

    # ---- whether all is well again ----

    def consumers(self):
        return [one for one in self.processes.values() if one.role == "consumer"]

    def relays(self):
        return [one for one in self.processes.values() if one.role == "producer"]

    def active_relay(self):
        """The one that publishes: its backend holds the relays' lock."""
        for relay in self.relays():
            if relay.running and relay.http("/readyz")[0] == 200:
                return relay
        return None

    def unready(self):
        """What /readyz of the processes complains of, None when nothing."""
        for process in self.consumers():
            status, body = process.http("/readyz")
            if status != 200:
                return f"{process.name}: {body.strip()[:200]}"
        if not self.active_relay():
            return "; ".join(f"{one.name}: {one.http('/readyz')[1].strip()[:200]}" for one in self.relays())
        return None

    def recovered(self, seconds=RECOVERY_S):
        """Waits until every process is well, everything that is there now is taken in and published, and the keys of whoever
        is erased by now are destroyed. Returns how long that took."""
        began = time.monotonic()
        end = began + seconds
        last, held_since = [None], [None]

        def left():
            return max(1, end - time.monotonic())

        def well():
            last[0] = self.unready()
            if "foreign_transaction" not in (last[0] or ""):
                held_since[0] = None
            elif held_since[0] is None:
                held_since[0] = time.monotonic()
            elif time.monotonic() - held_since[0] > HANGS_S:
                hanging.end(self)
                held_since[0] = None
            return last[0] is None
        try:
            self.wait_for("readiness", well, seconds)
        except Failed as error:
            raise Failed(f"{error}: {last[0]}") from error
        ends = {**self.stack.ends(self.stack.input_topics()), **self.stack.command_ends()}
        with self.stack.register() as register:
            seq = register.execute("SELECT last_value FROM outbox_seq").fetchone()[0]
            pending = register.execute("SELECT subject, cut FROM tombstone WHERE destroyed IS NULL AND person IS NOT NULL").fetchall()

            def behind():
                at = {(topic, number): next_ for topic, number, next_ in
                      register.execute("SELECT topic, partition, next FROM position")}
                return [f"{topic}/{number} at {at.get((topic, number))} of {wanted}"
                        for (topic, number), wanted in ends.items() if at.get((topic, number), 0) < wanted]
            self.wait_named(behind, left(), "records that are not taken in")
            self.wait_named(lambda: register.execute(
                """SELECT DISTINCT o.topic FROM outbox o LEFT JOIN mirror m USING (topic)
                   WHERE o.seq <= %s AND o.seq > coalesce(m.seq, 0) AND NOT EXISTS
                       (SELECT FROM publication p WHERE p.seq = o.seq AND p.state IN ('withheld', 'unpublishable'))""",
                (seq,)).fetchall(), left(), "outputs that are not published")
            self.wait_named(lambda: [one for one in register.execute(
                "SELECT subject, cut FROM tombstone WHERE destroyed IS NULL AND person IS NOT NULL") if one in pending],
                left(), "erasures that are not destroyed")
        return time.monotonic() - began

    def wait_named(self, missing, seconds, what):
        """Waits until missing() is empty."""
        last = [None]

        def none():
            last[0] = missing()
            return not last[0]
        try:
            self.wait_for(what, none, seconds)
        except Failed as error:
            raise Failed(f"{what} after {seconds:.0f} s: {last[0][:6]}; {self.unready()}") from error

    # ---- the end ----

    def settle(self, seconds=180):
        """The shop closes, everything comes through. Then the daemons end."""
        self.load.end()
        if self.load.failure:
            self.say(f"the load ended: {self.load.failure}")
        self.stack.flush()
        self.recovered(seconds)
        if hanging.end(self):
            self.recovered(seconds)
        self.wait_named(lambda: self.stack.sql("SELECT topic, partition, parked FROM position WHERE parked IS NOT NULL"), 1,
                        "partitions that are parked")

    def stop_daemons(self):
        for process in self.processes.values():
            process.wanted = False
            if process.running:
                process.stop()

    def look_through_logs(self):
        """Lines that no log may have, whatever happened."""
        for path in glob.glob(os.path.join(self.directory, "log", "chaos-*.log")):
            with open(path, encoding="utf-8", errors="replace") as file:
                for line in file:
                    if any(word in line for word in BAD_WORDS):
                        self.say(f"{os.path.basename(path)}: {line.strip()[:300]}")

    def down(self):
        for process in self.processes.values():
            process.wanted = False
            if process.running:
                process.doomed = True
                process.daemon.kill()
            for proxy in process.proxies.values():
                proxy.close()
        if getattr(self, "load", None) and self.load.is_alive():
            self.load.ended = True
        stop_server = [os.path.join(ROOT, "deploy", "stack"), "down", self.directory]
        if self.disks:
            subprocess.run([*stop_server, "--keep-data"], capture_output=True)
            for disk in self.disks.values():
                disk.remove()
        subprocess.run(stop_server, capture_output=True)
        shutil.rmtree(self.directory, ignore_errors=True)


def free_ports(count):
    """Where nobody listens now, below the range of outgoing connections."""
    found = set()
    while len(found) < count:
        port = random.SystemRandom().randrange(20000, 32000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                found.add(port)
            except OSError:
                pass
    return found


def is_input(topic):
    return topic in SHOP_TOPICS or topic.startswith("carrier.")


def parked(stack):
    return stack.sql("SELECT topic, partition, parked FROM position WHERE parked IS NOT NULL ORDER BY 1, 2")


def accept(stack, topic, partition, reason="a fault of a test"):
    stack.cli("consumer", "position", "accept", topic, str(partition), "--reason", reason)


def audited(stack, action, reason="a fault of a test"):
    return stack.sql("SELECT count(*) FROM audit WHERE action = %s AND reason = %s", action, reason)[0][0]


def reasons(process):
    status, body = process.http("/readyz")
    return json.loads(body)["reasons"] if status in (200, 503) else []
