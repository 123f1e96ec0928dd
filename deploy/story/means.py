"""What the story is told with: the daemons of a stack, its topics, its register's own command line, and tables.

Standard library, kcat and kundregister's command line only.
"""
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request

INPUTS = ["shop.customer.v1", "shop.order.v1", "shop.shipment.v1", "shop.consent.v1", "privacy.request.v1",
          "carrier.matkahuolto.v1", "carrier.posti.v1", "carrier.letterhouse.v1"]
COMMANDS = "register.command.v1"  # an output that is an input too: employees' commands come back by it
REGISTER = ["register.anonymization.v1", "register.marketing-permission.v1", "register.request.v1", "register.erasure.v1",
            COMMANDS, "register.dead-letter.v1"]
RECIPIENTS = {"matkahuolto": "Oy Matkahuolto Ab", "posti": "Posti Group Oyj", "letterhouse": "Example Mail Oy"}
CARRIERS = ["matkahuolto", "posti"]


class Untrue(Exception):
    """A step of the story that is not so."""


def say(text=""):
    print(text, flush=True)


def must(true, otherwise):
    if not true:
        raise Untrue(otherwise)


def table(heads, rows):
    rows = [["" if cell is None else str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [heads, *rows]) for i in range(len(heads))]
    for row in [heads, ["-" * width for width in widths], *rows]:
        say("    " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def quote(text):
    """What a program printed, set off."""
    for line in text.rstrip().splitlines():
        say(("    | " + line).rstrip())


class Message:
    """One message of a topic, its headers by name."""

    def __init__(self, message):
        headers = message.get("headers") or []
        self.headers = dict(zip(headers[::2], headers[1::2]))
        self.key, self.payload = message.get("key"), message.get("payload")
        self.place = (message["topic"], message["partition"], message["offset"])

    @property
    def kind(self):
        return self.headers.get("ce_type", "").removeprefix("register.").removesuffix(".v1")

    @property
    def data(self):
        return json.loads(self.payload)

    @property
    def id(self):
        return self.headers["ce_id"]

    @property
    def what(self):
        """All that must not change: where it is, whose it is, what it says."""
        return (*self.place, self.key, self.id, self.headers["ce_type"], self.payload)


class Means:
    def __init__(self, stack, build):
        self.stack, self.build, self.here = stack, build, os.path.dirname(os.path.abspath(__file__))
        self.running = []
        sourced = subprocess.run(["bash", "-c", '. "$1/env" && env -0', "bash", stack], capture_output=True, text=True, check=True)
        self.env = dict(line.split("=", 1) for line in sourced.stdout.split("\0") if line)
        self.admin = ["kcat", "-F", self.env["KAFKA_ADMIN_CONFIG"], "-q"]

    def principal(self, name):
        return os.path.join(self.stack, "principals", name + ".conf")

    def cli(self, *arguments):
        done = subprocess.run([os.path.join(self.build, "kundregister"), *arguments], env=self.env, capture_output=True, text=True)
        if done.returncode not in (0, 1):
            raise Untrue(f"kundregister {' '.join(arguments[:2])} exited with {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def json(self, *arguments):
        return json.loads(self.cli(*arguments, "--json"))

    # -- daemons --

    def start(self, *command, log):
        marked = {**self.env, "KUNDREGISTER_STACK": os.path.realpath(self.stack)}  # for `deploy/stack down`
        with open(os.path.join(self.stack, "log", log), "ab") as file:
            process = subprocess.Popen(command, env=marked, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
        self.running.append((log, process))
        return process

    def http(self, which, path):
        try:
            with urllib.request.urlopen(f"http://{self.env[which + '_HTTP']}{path}", timeout=2) as reply:
                return reply.read().decode()
        except OSError:
            return None

    def start_daemons(self):
        daemons = [self.start(os.path.join(self.build, program), log=program + ".log")
                   for program in ("kundregister-consumer", "kundregister-producer")]
        for which in ("CONSUMER", "PRODUCER"):
            self.wait(f"{which.lower()} to be ready", lambda w=which: self.http(w, "/readyz") is not None)
        return daemons

    def start_recipients(self):
        """The carriers and the mail house; Matkahuolto is at odds with one addressee over a parcel."""
        at_odds = {"matkahuolto": ["--claim-of", "Tositemaa"]}
        return [self.start(sys.executable, "-B", os.path.join(self.here, "carrier.py"), name,
                           self.principal(f"carrier-{name}"), *at_odds.get(name, []), log=f"carrier-{name}.log")
                for name in RECIPIENTS]

    def stop(self, processes):
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for process in processes:
            if process.wait(60) != 0:
                raise Untrue(f"a daemon ended with {process.returncode} instead of draining")

    def kill_all(self):
        for _log, process in self.running:
            if process.poll() is None:
                process.kill()

    def wait(self, what, condition, seconds=60):
        end = time.monotonic() + seconds
        while not condition():
            for log, process in self.running:
                if process.poll() not in (None, 0):
                    raise Untrue(f"{log} ended with {process.returncode}; see {self.stack}/log/{log}")
            if time.monotonic() > end:
                raise Untrue(f"waited {seconds} s for {what}")
            time.sleep(0.1)

    # -- topics --

    def ends(self, topics):
        """{(topic, partition): offset of the next record}"""
        listed = json.loads(subprocess.run([*self.admin, "-L", "-J"], capture_output=True, check=True).stdout)
        places = [f"{topic['topic']}:{partition['partition']}:-1" for topic in listed["topics"] if topic["topic"] in topics
                  for partition in topic["partitions"]]
        asked = subprocess.run([*self.admin, "-Q", *[word for place in places for word in ("-t", place)]],
                               capture_output=True, text=True, check=True).stdout
        return {(topic, int(partition)): int(offset)
                for topic, partition, offset in re.findall(r"(\S+) \[(\d+)\] offset (\d+)", asked)}

    def raw(self, topic):
        """Key, headers and value of each message of a topic, whatever they are, as one stretch of bytes."""
        return subprocess.run([*self.admin, "-C", "-e", "-o", "beginning", "-f", "%k\n%h\n%s\n", "-t", topic, "-X",
                               "isolation.level=read_committed", "-X", "fetch.wait.max.ms=20"],
                              capture_output=True, check=True).stdout

    def read(self, topic):
        """A topic's messages as a reader of committed ones has them, by partition and offset."""
        done = subprocess.run([*self.admin, "-C", "-J", "-u", "-e", "-o", "beginning", "-t", topic, "-X",
                               "isolation.level=read_committed", "-X", "fetch.wait.max.ms=20"], capture_output=True, check=True)
        # Some headers are numbers, no text.
        lines = done.stdout.decode("utf-8", "replace").split("\n")[:-1]
        return sorted((Message(json.loads(line)) for line in lines), key=lambda one: one.place)

    def disclosed(self):
        """{recipient: messages}, all that each was ever told."""
        return {name: self.read(f"disclosure.{name}.v1") for name in RECIPIENTS}

    def outputs(self):
        """Everything that was ever published, by topic."""
        topics = [f"disclosure.{name}.v1" for name in RECIPIENTS] + REGISTER
        return {topic: [message.what for message in self.read(topic)] for topic in topics}

    def told(self, topic, key=None):
        """Contents of a topic, or of one key, in order."""
        return [message.data for message in self.read(topic) if key is None or message.key == key]

    # -- until all is through --

    def positions(self):
        return {(row["topic"], row["partition"]): row["next"] for row in self.json("consumer", "position", "list")["positions"]}

    def relayed(self):
        return all(row["waiting"] == 0 for row in self.json("status")["outputs"])

    def destroyed(self):
        """No erasure waits for the vault."""
        found = re.findall(r"^kundregister_erasures_pending\S* (\S+)$", self.http("CONSUMER", "/metrics") or "", re.M)
        return found and not any(map(float, found))

    def commanded(self, at):
        """Commands that came back were taken in; behind the last of them stands only the mark of its transaction."""
        return all(at.get(message.place[:2], 0) > message.place[2] for message in self.read(COMMANDS))

    def through(self):
        """All input taken in, all output published, all doomed keys destroyed, and nobody said anything more meanwhile."""
        ends, at = self.ends(INPUTS), self.positions()
        return (all(at.get(place, 0) >= end for place, end in ends.items()) and self.relayed() and self.destroyed()
                and self.commanded(at) and sum(self.ends(INPUTS).values()) == sum(ends.values()))

    def answered(self):
        """Each recipient has answered each message that asks for an answer."""
        for name, messages in self.disclosed().items():
            asked = {data.get("notice_ref") or data.get("shipment_ref") for data in (message.data for message in messages)}
            if not asked - {None} <= {message.key for message in self.read(f"carrier.{name}.v1")}:
                return False
        return True

    def settled(self):
        return self.through() and self.answered() and self.through()

    # -- the register --

    def dump(self):
        """The dump's lines by kind, those of persons' own also by person: what the register holds, sealed values as
        digests."""
        lines = [json.loads(line) for line in self.cli("dump").splitlines()]
        return {kind: [line for line in lines if line["line"] == kind] for kind in {line["line"] for line in lines}}
