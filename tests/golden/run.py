#!/usr/bin/env python3
"""Runs the golden scenarios: tests/golden/run.py STACK BUILD [NAME ...]

Each folder tests/golden/NNN-what/ holds events.jsonl (given, when) and expected.jsonl (then). All run on one stack,
one after the other, so each uses ids of its own, beginning with its number (g005-...), and e-mails and phones of its
own, since an objection holds against whoever has the address.

events.jsonl, a line each, sent in order:
  {"topic": ..., "type": ..., "key": ..., "data": {...}, "time": ..., ["id": ..., "source": ..., "sequence": ...]}
  {"raw": {"topic": ..., "key": ..., "hex" or "text": value, "headers": {...}}, "times": N}    a record as it is
  {"settle": true}                     wait until all is consumed and relayed, and no erasure is pending
  {"read": {"topic": ..., "type": ..., "field": ...}, "as": "$name"}    the newest such output's field
  {"replay": true}                     all input positions back to the log's start, daemons stopped and started
  {"replay": "nothing"}                the same, and the whole dump and all outputs are the same afterwards
  {"kill": "consumer" | "relay"}       kill -9, start again
Strings in data and keys: "$name" is what was read; "@shipment:RECIPIENT:CUSTOMER:SHIPMENT",
"@person:RECIPIENT:PERSON" and "@token:CUSTOMER:GENERATION" are the refs that the register will give, computed by core's
own function. GENERATION: "first", or the time of the cut before it.

expected.jsonl, where such strings stand for the same:
  {"dump": {...}}      a line of `dump --open`; all those of the scenario's ids, in the dump's order
  {"notice": {...}}    a line of `dump --notices --open`; when there is one, all those of the scenario's ids
  {"output": {"topic": ..., "type": ..., "key": ..., "data": {...}}}    in order of decision by key, none besides
  {"ledger": {...}}    a row of the ledger: recipient, kind, fields (in order of decision by recipient)
  {"dead_letter": {"reason": ..., "times": N}}
  {"metric": {"name": ..., "delta": N}}    how much a counter of the consumer grew (daemons were not restarted)
  {"search": [...]}    strings that stand nowhere but in inputs and disclosures (lib/markers.py says where it looks)
"$name" stands for any string, always the same one, different from that of other names; "now+P14D" for the local date
of the output plus the term.
"""
import datetime
import json
import os
import re
import subprocess
import sys
import zoneinfo

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import markers  # noqa: E402
from stack import Failed, Report, Stack, headers_of  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
NOT_OUTPUTS = ("register.outbox-position.v1", "register.dead-letter.v1")
ZONE = zoneinfo.ZoneInfo("Europe/Helsinki")


def lines(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def microseconds(time):
    """A generation's name, for the program that computes refs."""
    if time == "first":
        return "-1"
    since = datetime.datetime.fromisoformat(time.replace("Z", "+00:00")) - EPOCH
    return str(since // datetime.timedelta(microseconds=1))


def add_term(date, term):
    years, months, days = (int(part or 0) for part in
                           re.fullmatch(r"P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)D)?", term).groups())
    month = date.month - 1 + months + 12 * years
    year, month = date.year + month // 12, month % 12 + 1
    last = (datetime.date(year + month // 12, month % 12 + 1, 1) - datetime.timedelta(1)).day
    return datetime.date(year, month, min(date.day, last)) + datetime.timedelta(days)


def matches(expected, actual, names, today):
    """Whether actual is what is expected; binds $names on the way."""
    if isinstance(expected, str) and expected.startswith("now+"):
        return actual == add_term(today, expected[4:]).isoformat()
    if isinstance(expected, str) and expected.startswith("$"):
        if not isinstance(actual, str):
            return False
        if expected in names:
            return names[expected] == actual
        if actual in names.values():
            return False
        names[expected] = actual
        return True
    if isinstance(expected, dict):
        return (isinstance(actual, dict) and expected.keys() == actual.keys()
                and all(matches(expected[key], actual[key], names, today) for key in expected))
    if isinstance(expected, list):
        return (isinstance(actual, list) and len(expected) == len(actual)
                and all(matches(one, other, names, today) for one, other in zip(expected, actual)))
    return expected == actual and type(expected) is type(actual)


class Scenario:
    def __init__(self, stack, folder, daemons):
        self.stack, self.folder, self.daemons = stack, folder, daemons
        self.prefix = "g" + os.path.basename(folder)[:3]
        self.names = {}
        self.before = stack.ends(stack.topics().keys())
        self.ledger_before = stack.sql("SELECT coalesce(max(seq), 0) FROM ledger")[0][0]
        self.metrics_before = {}
        self.dead_before = {tuple(row) for row in stack.sql("SELECT topic, partition, record_offset FROM dead_letter")}

    def fill(self, value):
        if isinstance(value, dict):
            return {key: self.fill(one) for key, one in value.items()}
        if isinstance(value, list):
            return [self.fill(one) for one in value]
        if isinstance(value, str) and value.startswith("$"):
            return self.names[value]
        if isinstance(value, str) and re.match("@(shipment|person|token):", value):
            return self.ref(value[1:])
        return value

    def ref(self, name):
        token = re.fullmatch(r"token:(.+?):(first|\d{4}-\d\d-\d\dT.+)", name)
        words = ["token", token[1], microseconds(token[2])] if token else name.split(":", 3 if name[0] == "s" else 2)
        done = subprocess.run([os.path.join(self.stack.build, "tests", "ref"),
                               os.path.join(self.stack.directory, "secrets", "ref"), *words],
                              capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def expected(self):
        """The expected lines, refs computed, $names left."""
        def fill(value):
            if isinstance(value, dict):
                return {key: fill(one) for key, one in value.items()}
            if isinstance(value, list):
                return [fill(one) for one in value]
            return self.fill(value) if isinstance(value, str) and value.startswith("@") else value
        return fill(lines(os.path.join(self.folder, "expected.jsonl")))

    def outputs(self, *topics):
        """Since the scenario began, in order of decision (the ledger numbers all outputs)."""
        seq = {str(identity): seq for seq, identity in
               self.stack.sql("SELECT seq, output_id FROM ledger WHERE seq > %s", self.ledger_before)}
        found = [message for message in self.stack.read_all(*topics)
                 if message.offset() >= self.before[message.topic(), message.partition()]]
        return sorted(found, key=lambda message: (message.topic(), seq[headers_of(message)["ce_id"]]))

    def settle(self):
        self.stack.settle()
        self.stack.wait_erased()

    def replay(self, changes_nothing):
        self.settle()
        before = self.everything() if changes_nothing else None
        self.daemons.stop()
        self.stack.cli("consumer", "position", "reset", "--reason", "golden scenario")
        self.daemons.start()
        if changes_nothing:
            self.settle()
            if self.everything() != before:
                raise Failed("the replay changed the dump, or gave new outputs")

    def everything(self):
        """The whole dump, and the ids of all outputs."""
        topics = [topic for topic in self.stack.topics() if topic.startswith(("disclosure.", "register."))
                  and topic not in NOT_OUTPUTS]
        return self.stack.dump(), [headers_of(message)["ce_id"] for message in self.stack.read_all(*topics)]

    def step(self, step):
        if "settle" in step:
            self.settle()
        elif "read" in step:
            self.settle()
            found = [json.loads(message.value()) for message in self.outputs(step["read"]["topic"])
                     if headers_of(message)["ce_type"] == step["read"]["type"]]
            self.names[step["as"]] = found[-1][step["read"]["field"]]
        elif "raw" in step:
            raw = step["raw"]
            value = bytes.fromhex(raw["hex"]) if "hex" in raw else raw.get("text", "").encode("utf-8", "surrogatepass")
            headers = [(name, one.encode()) for name, one in raw.get("headers", {}).items()]
            for _ in range(step.get("times", 1)):
                self.stack.send_raw(raw["topic"], raw.get("key"), value, headers)
        elif "replay" in step:
            self.replay(step["replay"] == "nothing")
        elif "kill" in step:
            self.settle()
            self.daemons.kill(step["kill"])
        else:
            self.stack.send(self.fill(step))

    def run(self):
        expected = self.expected()
        wanted = {kind: [one[kind] for one in expected if kind in one]
                  for kind in ("output", "dump", "notice", "ledger", "dead_letter", "metric", "search")}
        for metric in wanted["metric"]:
            self.metrics_before[metric["name"]] = self.stack.metric("CONSUMER", metric["name"])
        for step in lines(os.path.join(self.folder, "events.jsonl")):
            self.step(step)
        self.settle()
        self.names = {}
        self.compare_outputs(wanted["output"])
        self.compare("dump", wanted["dump"], self.dump_lines())
        if wanted["notice"]:
            self.compare("notices", wanted["notice"], [line for line in self.dump_lines("--notices")
                                                       if line["line"] == "notice"])
        self.compare_ledger(wanted["ledger"])
        self.compare("dead letters", wanted["dead_letter"], self.dead())
        for metric in wanted["metric"]:
            grew = self.stack.metric("CONSUMER", metric["name"]) - self.metrics_before[metric["name"]]
            if grew != metric["delta"]:
                raise Failed(f"{metric['name']} grew by {grew}, not {metric['delta']}")
        for search in wanted["search"]:
            markers.expect_nowhere(self.stack, search)

    def compare(self, what, expected, actual):
        today = datetime.datetime.now(ZONE).date()
        if not matches(expected, actual, self.names, today):
            show = "\n".join(json.dumps(one, ensure_ascii=False) for one in actual)
            raise Failed(f"{what} differ; they are:\n{show}")

    def compare_outputs(self, expected):
        topics = [topic for topic in sorted(self.stack.topics()) if topic.startswith(("disclosure.", "register."))
                  and topic not in NOT_OUTPUTS]
        actual = {topic: [] for topic in topics}
        for message in self.outputs(*topics):
            actual[message.topic()].append(
                {"topic": message.topic(), "type": headers_of(message)["ce_type"], "key": message.key().decode(),
                 "data": json.loads(message.value())})
        for topic in topics:
            wanted = [one for one in expected if one["topic"] == topic]
            if not any(one["key"].startswith("$") for one in wanted):  # order is promised by key only
                wanted.sort(key=lambda one: one["key"])
                actual[topic].sort(key=lambda one: one["key"])
            self.compare(topic, wanted, actual[topic])

    def dump_lines(self, *options):
        """Suppression lines are ordered by a hash that nobody can foretell: here by what else they hold."""
        parsed = [json.loads(line) for line in self.stack.dump("--open", "--reason", "golden scenario", *options)]
        mine = [line for line in parsed if any(isinstance(line.get(key), str) and self.prefix in line[key]
                                               for key in ("person", "customer", "request"))]
        suppressed = [at for at, line in enumerate(mine) if line["line"] == "suppression"]
        in_order = sorted((mine[at] for at in suppressed),
                          key=lambda line: (line["person"], line["since"], line["until"]))
        for at, line in zip(suppressed, in_order):
            mine[at] = line
        return mine

    def ledger(self):
        rows = self.stack.sql("""SELECT recipient, kind, fields FROM ledger
                                 WHERE seq > %s AND recipient IS NOT NULL ORDER BY seq""", self.ledger_before)
        return [{"recipient": recipient, "kind": kind, "fields": fields} for recipient, kind, fields in rows]

    def compare_ledger(self, expected):
        """Order is promised by recipient only."""
        self.compare("ledger", sorted(expected, key=lambda row: row["recipient"]),
                     sorted(self.ledger(), key=lambda row: row["recipient"]))

    def dead(self):
        count = {}
        for topic, partition, offset, reason in self.stack.sql(
                "SELECT topic, partition, record_offset, reason FROM dead_letter ORDER BY topic, partition, record_offset"):
            if (topic, partition, offset) not in self.dead_before:
                count[reason] = count.get(reason, 0) + 1
        emitted = [json.loads(message.value())["reason"] for message in self.outputs("register.dead-letter.v1")]
        if sorted(emitted) != sorted(reason for reason, times in count.items() for _ in range(times)):
            raise Failed(f"dead letters emitted {sorted(emitted)}, recorded {count}")
        return [{"reason": reason, "times": times} for reason, times in sorted(count.items())]


class Daemons:
    def __init__(self, stack):
        self.stack = stack

    def start(self):
        self.consumer, self.relay = self.stack.consumer(), self.stack.relay()
        self.stack.ready("CONSUMER")
        self.stack.ready("PRODUCER")

    def stop(self):
        for daemon in (self.consumer, self.relay):
            if daemon.stop() != 0:
                raise Failed(f"{daemon.program} did not exit with 0")

    def kill(self, which):
        if which == "consumer":
            self.consumer.kill()
            self.consumer = self.stack.consumer()
        else:
            self.relay.kill()
            self.relay = self.stack.relay()
        self.stack.ready("CONSUMER")
        self.stack.ready("PRODUCER")


def main():
    stack, report = Stack(sys.argv[1], sys.argv[2]), Report()
    daemons = Daemons(stack)
    try:
        daemons.start()
        for name in sorted(os.listdir(HERE)):
            folder = os.path.join(HERE, name)
            if re.match(r"\d{3}-", name) and (len(sys.argv) == 3 or name in sys.argv[3:]):
                report.case("golden " + name, lambda: Scenario(stack, folder, daemons).run())
    finally:
        stack.stop_all()
    return report.exit_code()


if __name__ == "__main__":
    sys.exit(main())
