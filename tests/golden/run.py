#!/usr/bin/env python3
"""Runs the golden scenarios: tests/golden/run.py STACK BUILD [NAME ...]

Each folder tests/golden/NNN-what/ holds events.jsonl (given, when) and expected.jsonl (then). All run on one stack,
one after the other, so each uses ids of its own, beginning with its number: g005-...

events.jsonl, a line each, sent in order:
  {"topic": ..., "type": ..., "key": ..., "data": {...}, "time": ..., ["id": ..., "source": ..., "sequence": ...]}
  {"raw": {"topic": ..., "key": ..., "hex" or "text": value, "headers": {...}}, "times": N}    a record as it is
  {"settle": true}                     wait until all is consumed and relayed
  {"read": {"topic": ..., "type": ..., "field": ...}, "as": "$name"}    the newest such output's field
  {"replay": true}                     all input positions back to the log's start, daemons stopped and started
  {"kill": "consumer" | "relay"}       kill -9, start again
Strings in data and keys: "$name" is what was read; "@shipment:RECIPIENT:CUSTOMER:SHIPMENT" and
"@person:RECIPIENT:PERSON" are the refs that the register will give, computed by core's own function.

expected.jsonl:
  {"dump": {...}}      a line of `dump --open`; all those of the scenario's ids, in the dump's order
  {"output": {"topic": ..., "type": ..., "key": ..., "data": {...}}}    in order by topic, none besides
  {"ledger": {...}}    a row of the ledger: recipient, kind, fields (in order of decision)
  {"dead_letter": {"reason": ..., "times": N}}
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
from stack import Failed, Report, Stack, headers_of, wait_for  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
ZONE = zoneinfo.ZoneInfo("Europe/Helsinki")


def lines(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


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
        self.dead_before = {tuple(row) for row in stack.sql("SELECT topic, partition, record_offset FROM dead_letter")}

    def fill(self, value):
        if isinstance(value, dict):
            return {key: self.fill(one) for key, one in value.items()}
        if isinstance(value, list):
            return [self.fill(one) for one in value]
        if isinstance(value, str) and value.startswith("$"):
            return self.names[value]
        if isinstance(value, str) and re.match("@(shipment|person):", value):
            done = subprocess.run([os.path.join(self.stack.build, "tests", "ref"),
                                   os.path.join(self.stack.directory, "secrets", "ref"), *value[1:].split(":")],
                                  capture_output=True, text=True, check=True)
            return done.stdout.strip()
        return value

    def outputs(self, *topics):
        return [message for message in self.stack.read_all(*topics)
                if message.offset() >= self.before[message.topic(), message.partition()]]

    def step(self, step):
        if "settle" in step:
            self.stack.settle()
        elif "read" in step:
            self.stack.settle()
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
            self.stack.settle()
            self.daemons.stop()
            self.stack.cli("consumer", "position", "reset", "--reason", "golden scenario")
            self.daemons.start()
        elif "kill" in step:
            self.stack.settle()
            self.daemons.kill(step["kill"])
        else:
            self.stack.send(self.fill(step))

    def run(self):
        for step in lines(os.path.join(self.folder, "events.jsonl")):
            self.step(step)
        self.stack.settle()
        expected = lines(os.path.join(self.folder, "expected.jsonl"))
        self.names = {}
        self.compare_outputs([one["output"] for one in expected if "output" in one])
        self.compare("dump", [one["dump"] for one in expected if "dump" in one], self.dump_lines())
        self.compare("ledger", [one["ledger"] for one in expected if "ledger" in one], self.ledger())
        self.compare("dead letters", [one["dead_letter"] for one in expected if "dead_letter" in one], self.dead())

    def compare(self, what, expected, actual):
        today = datetime.datetime.now(ZONE).date()
        if not matches(expected, actual, self.names, today):
            show = "\n".join(json.dumps(one, ensure_ascii=False) for one in actual)
            raise Failed(f"{what} differ; they are:\n{show}")

    def compare_outputs(self, expected):
        topics = [topic for topic in sorted(self.stack.topics()) if topic.startswith(("disclosure.", "register."))
                  and topic not in ("register.outbox-position.v1", "register.dead-letter.v1")]
        actual = {topic: [] for topic in topics}
        for message in self.outputs(*topics):
            actual[message.topic()].append(
                {"topic": message.topic(), "type": headers_of(message)["ce_type"], "key": message.key().decode(),
                 "data": json.loads(message.value())})
        for topic in topics:
            self.compare(topic, [one for one in expected if one["topic"] == topic], actual[topic])

    def dump_lines(self):
        parsed = [json.loads(line) for line in self.stack.dump("--open", "--reason", "golden scenario")]
        return [line for line in parsed if any(isinstance(line.get(key), str) and self.prefix in line[key]
                                               for key in ("person", "customer"))]

    def ledger(self):
        rows = self.stack.sql("""SELECT recipient, kind, fields FROM ledger
                                 WHERE seq > %s AND recipient IS NOT NULL ORDER BY seq""", self.ledger_before)
        return [{"recipient": recipient, "kind": kind, "fields": fields} for recipient, kind, fields in rows]

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
