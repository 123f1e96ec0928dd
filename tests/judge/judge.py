#!/usr/bin/env python3
"""An independent judge of a run: tests/judge/judge.py STACK BUILD [--tie REQUEST PERSON TIME]

Reads what went in (all input topics from their start), what came out (outputs, read_committed) and the register's dump,
folds the input through model.py and compares. It knows the contract and the policy, nothing of how the program is built.
Anomalies are named as in Jepsen's reports; the exit code is 1 when there is any.

  lost             an accepted fact does not show in the register
  resurrected      a line of the register that no fact explains
  different        a line is there with other contents
  lost-update      ... an aggregate shows an older version than its facts have
  duplicate        an output id twice
  unpermitted      a recipient holds fields that the policy or the register's state does not give it
  undisclosed      a recipient does not hold what it needs
  untold           a recipient of an erased person got no notice that names the disclosure
  leak             a value of an erased person in an output that was written after the erasure
  uncounted        applied + forgotten + parked + dead letters is not the input
"""
import argparse
import base64
import collections
import hashlib
import json
import os
import sys
import unicodedata

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "lib")]
from model import Fact, Model  # noqa: E402
from stack import SHOP_TOPICS, Stack, headers_of  # noqa: E402
from terms import parse_time  # noqa: E402


class Refs:
    """The stack's keyed names (core/ref.h says what they are made of), with Python's own BLAKE2b."""

    def __init__(self, ref_key, digest_key):
        self.key = ref_key
        self.lookup_key = hashlib.blake2b(b"kundregister lookup key", key=digest_key, digest_size=32).digest()
        self.known = {}

    def hash(self, label, *parts):
        key = (label, *parts)
        if key not in self.known:
            whole = hashlib.blake2b(key=self.key, digest_size=32)
            for part in (label, *parts):
                if isinstance(part, int):
                    whole.update(part.to_bytes(8, "little", signed=True))
                else:
                    raw = part.encode()
                    whole.update(len(raw).to_bytes(8, "little") + raw)
            self.known[key] = whole.digest()
        return self.known[key]

    def ref(self, label, *parts):
        return base64.urlsafe_b64encode(self.hash(label, *parts)).rstrip(b"=").decode()

    @staticmethod
    def generation(cut):
        return -1 if cut is None else cut

    def shipment(self, carrier, customer, shipment):
        return self.ref("shipment_ref", carrier, customer, shipment)

    def person(self, recipient, person, generation):
        return self.ref("person_ref", recipient, person, self.generation(generation))

    def token(self, customer, generation):
        return self.ref("token", customer, self.generation(generation))

    def subject(self, person):
        return self.hash("subject", person).hex()

    def address(self, field, value):
        kind = field
        if field == "email":
            value = unicodedata.normalize("NFC", unicodedata.normalize("NFC", value.strip()).lower())
        return hashlib.blake2b(kind.encode() + b"\0" + value.encode(), key=self.lookup_key, digest_size=32).hexdigest()


def read_key(path):
    raw = open(path, "rb").read()
    return raw if len(raw) == 32 else bytes.fromhex(raw.decode().strip())


def fact_of(message):
    """A record that was taken in, as a fact. Binary and structured mode, with or without the 5-byte prefix."""
    headers, value = headers_of(message), message.value()
    if value[:1] == b"\0":
        value = value[5:]
    document = json.loads(value)
    if (headers.get("content-type") or "").startswith("application/cloudevents+json"):
        attributes, data = document, document["data"]
    else:
        attributes = {name[3:]: one for name, one in headers.items() if name.startswith("ce_")}
        data = document
    topic = message.topic()
    return Fact(attributes["type"].rsplit(".v", 1)[0], parse_time(attributes["time"]), attributes["source"],
                attributes["id"], normal(data), attributes.get("sequence"),
                topic.split(".")[1] if topic.startswith("carrier.") else None)


def normal(value):
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value)
    if isinstance(value, dict):
        return {name: normal(one) for name, one in value.items()}
    return [normal(one) for one in value] if isinstance(value, list) else value


LINE_IDS = {"person": ("person", "generation"), "order": ("customer", "order"), "shipment": ("customer", "shipment"),
            "consent": ("person", "source", "id", "time", "act"), "permission": ("person", "generation", "purpose", "channel"),
            "suppression": ("contact_hash", "person"), "request": ("request",), "tombstone": ("subject", "cut")}


def identity(line):
    return (line["line"], *(str(line.get(name)) for name in LINE_IDS[line["line"]]))


def loose(value):
    """Members that may come in any order, and null ones."""
    if isinstance(value, dict):
        return {name: loose(one) for name, one in value.items()}
    return [loose(one) for one in value] if isinstance(value, list) else value


class Judge:
    def __init__(self, stack, ties=()):
        self.stack, self.anomalies = stack, []
        self.policy = json.loads(stack.sql("SELECT body FROM policy WHERE active")[0][0])
        secrets = os.path.join(stack.directory, "secrets")
        self.refs = Refs(read_key(os.path.join(secrets, "ref")), read_key(os.path.join(secrets, "digest")))
        self.model = Model(self.policy, self.refs, ties)

    def say(self, anomaly, what):
        self.anomalies.append((anomaly, what))

    # ---- what went in ----

    def take_inputs(self):
        topics = [topic for topic in self.stack.topics() if topic in SHOP_TOPICS or topic.startswith("carrier.")]
        dead = {}
        for message in self.stack.read_all("register.dead-letter.v1"):
            body = json.loads(message.value())
            place = (body["topic"], body["partition"], body["offset"])
            if place in dead:
                self.say("duplicate", f"dead letter of {place}")
            dead[place] = body["reason"]
        self.inputs = 0
        for message in self.stack.read_all(*topics):
            self.inputs += 1
            place = (message.topic(), message.partition(), message.offset())
            if place in dead:
                continue
            try:
                fact = fact_of(message)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                self.say("lost", f"a bad record without a dead letter at {place}: {type(error).__name__}")
                continue
            self.model.take(fact)
        self.dead = dead

    # ---- the register ----

    def compare_dump(self):
        expected, actual = {}, {}
        for line in self.model.fold():
            expected[identity(line)] = line
        for text in self.stack.cli("dump", "--open", "--reason", "judge").stdout.splitlines():
            line = json.loads(text)
            if identity(line) in actual:
                self.say("duplicate", f"line {identity(line)}")
            actual[identity(line)] = line
        for key, line in expected.items():
            if key not in actual:
                self.say("lost", f"{line}")
            elif loose(line) != loose(actual[key]):
                other = actual[key]
                differs = {name: (line.get(name), other.get(name)) for name in {**line, **other}
                           if line.get(name) != other.get(name)}
                older = other.get("version_time") and line.get("version_time") and \
                    other["version_time"] < line["version_time"]
                self.say("lost-update" if older else "different", f"{key}: expected, got {differs}")
        for key in actual.keys() - expected.keys():
            self.say("resurrected", f"{actual[key]}")
        self.lines = len(actual)

    # ---- what came out ----

    def compare_outputs(self):
        topics = [topic for topic in self.stack.topics() if topic.startswith(("disclosure.", "register.")) and
                  topic not in ("register.outbox-position.v1", "register.command.v1")]
        seen, units, named = set(), {}, collections.defaultdict(set)
        self.outputs = 0
        for message in self.stack.read_all(*topics):
            self.outputs += 1
            headers = headers_of(message)
            if headers["ce_id"] in seen:
                self.say("duplicate", f"output {headers['ce_id']} on {message.topic()}")
            seen.add(headers["ce_id"])
            if message.topic().startswith("disclosure."):
                self.fold_output(message.topic().split(".")[1], headers["ce_type"].rsplit(".v", 1)[0],
                                 json.loads(message.value()), units, named)
        self.compare_held(units)
        self.compare_notices(units, named)

    def fold_output(self, recipient, kind, body, units, named):
        if kind in ("register.disclosure.shipment", "register.disclosure.newsletter"):
            units[recipient, body["disclosure_ref"]] = {
                "person": body["person_ref"], "shipment": body.get("shipment_ref"), "service": body["service"],
                "role": body.get("role"), "fields": dict(body["fields"]), "state": "held"}
            allowed = set(self.policy["recipients"][recipient]["services"][body["service"]])
            if not set(body["fields"]) <= allowed:
                self.say("unpermitted", f"{recipient} got {sorted(set(body['fields']) - allowed)}")
        elif kind == "register.disclosure.corrected":
            unit = units.get((recipient, body["disclosure_ref"]))
            if unit is None:
                return self.say("unpermitted", f"{recipient}: a correction of what it never got")
            unit["fields"] = {name: one for name, one in {**unit["fields"], **body["fields"]}.items() if one is not None}
        elif kind == "register.disclosure.withdrawn":
            if (recipient, body["disclosure_ref"]) in units:
                units[recipient, body["disclosure_ref"]]["state"] = "withdrawn"
        elif kind == "register.notice.anonymize":
            for ref in body["disclosures"]:
                named[recipient].add(ref)
                if (recipient, ref) in units:
                    units[recipient, ref]["state"] = "anonymized"
        return None

    def compare_held(self, units):
        expected = {}
        for (carrier, person, generation, key, service, role), fields in self.model.held().items():
            expected[carrier, self.refs.person(carrier, person, generation), self.refs.shipment(carrier, *key),
                     service, role] = (fields, f"{person} {key}")
        actual = {(recipient, unit["person"], unit["shipment"], unit["service"], unit["role"]): unit
                  for (recipient, _), unit in units.items() if unit["state"] == "held" and unit["shipment"]}
        closing = {self.refs.shipment(view["top"].data["carrier"], *view["key"])
                   for view in self.model.views if view["stated"] and view["erased"] and view["closed"]}
        for key, (fields, what) in expected.items():
            if key not in actual:
                self.say("undisclosed", f"{key[0]} does not hold {what}")
            elif actual[key]["fields"] != fields:
                self.say("unpermitted" if set(actual[key]["fields"]) - set(fields) else "undisclosed",
                         f"{key[0]} holds other fields of {what}")
        for key in actual.keys() - expected.keys():
            if key[2] not in closing:
                self.say("unpermitted", f"{key[0]} still holds a disclosure that nothing gives it")

    def compare_notices(self, units, named):
        """Every disclosure of an erased person and generation that does not wait stands in a notice."""
        waiting = {self.refs.shipment(view["top"].data["carrier"], *view["key"]) for view in self.model.views
                   if view["stated"] and view["person"].cuts and
                   any(other["waiting"] for other in self.model.views if other["person"] is view["person"])}
        gone = {}
        for person in self.model.persons.values():
            before = None
            for cut, cause in person.cuts:
                if cause == "request":
                    for recipient in self.policy["recipients"]:
                        gone[recipient, self.refs.person(recipient, person.name, before)] = person.name
                before = cut
        for (recipient, ref), unit in units.items():
            whose = gone.get((recipient, unit["person"]))
            if whose and ref not in named[recipient] and unit["shipment"] not in waiting:
                self.say("untold", f"{recipient} was not told to forget a disclosure of {whose}")

    def run(self):
        self.take_inputs()
        self.compare_dump()
        self.compare_outputs()
        return self.anomalies


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("stack")
    parser.add_argument("build")
    parser.add_argument("--tie", nargs=3, action="append", default=[], metavar=("REQUEST", "PERSON", "TIME"))
    parser.add_argument("--show", type=int, default=20)
    arguments = parser.parse_args()
    ties = [(request, person, parse_time(time)) for request, person, time in arguments.tie]
    judge = Judge(Stack(arguments.stack, arguments.build), ties)
    judge.run()
    for anomaly, what in judge.anomalies[:arguments.show]:
        print(f"{anomaly}: {what}")
    counts = collections.Counter(anomaly for anomaly, _ in judge.anomalies)
    print(f"{judge.inputs} records in, {len(judge.dead)} dead letters, {judge.lines} lines, {judge.outputs} outputs; "
          + (", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "no anomaly"))
    return 1 if judge.anomalies else 0


if __name__ == "__main__":
    sys.exit(main())
