#!/usr/bin/env python3
"""Writes the seeds of a fuzz target and its dictionary: tests/fuzz/seeds.py TARGET FOLDER DICTIONARY.

Seeds come from the golden scenarios and the example policy, so that a new event type is fuzzed as soon as a scenario has
it; the dictionary's words from the JSON Schemas of the events, the policy's schema and the table of settings.
"""
import glob
import hashlib
import json
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOPICS = ["shop.customer.v1", "shop.order.v1", "shop.shipment.v1", "shop.return.v1", "shop.consent.v1",
          "privacy.request.v1", "register.command.v1", "carrier.posti.v1"]
PACKED_KINDS = {0: 1, 1: 2, 2: 3, 3: 4, 4: 5, 5: 6, 6: 7, 7: 8}  # fuzz_pack.c's choice -> packer.h's kind
PACK_FORMAT = 2
REF = "0123456789abcdefghijklmnopqrstuvwxyzABCDE-_"
SUBJECT = "2a2f5becefbaa23c31c0e07891d6f091ab96a5218a8341b300ba5726035e21c8"
CONFIG = b"""[register]
consumer = host=localhost user=kr_consumer
producer = host=localhost
[vault]
consumer = host=localhost
producer = host=localhost
[keys]
kek.file = /k
digest.file = /d
ref.file = /r
[consumer]
workers = 4
batch.records = 100
[kafka]
bootstrap.servers = localhost:9092
[kafka.consumer]
fetch.min.bytes = 1
[log]
level = warning
"""


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return file.read()


def events():
    for path in sorted(glob.glob(os.path.join(ROOT, "tests", "golden", "*", "events.jsonl"))):
        with open(path, encoding="utf-8") as file:
            for line in file:
                step = json.loads(line) if line.strip() else {}
                if "type" in step:
                    # The scenarios name refs that a register gives; here any ref will do.
                    yield json.loads(re.sub(r'"[@$][^"]*"', f'"{REF}"', line))


def command():
    """What an employee's command looks like from outside."""
    return {"topic": "register.command.v1", "type": "register.command", "key": "q1", "data": {"sealed": REF * 4}}


def envelope(event):
    kind = event["type"] if re.search(r"\.v\d+$", event["type"]) else event["type"] + ".v1"
    return {"specversion": "1.0", "id": event.get("id", "e1"), "source": event.get("source", "urn:shop"), "type": kind,
            "time": event.get("time", "2026-11-01T10:00:00Z")}


def structured(event):
    return json.dumps({**envelope(event), "data": event["data"]}, ensure_ascii=False, separators=(",", ":")).encode()


def header(index, value):
    return bytes([index, len(value) % 64]) + value[:63]


def headers(event, first):
    said = envelope(event)
    values = [said["id"], said["source"], said["type"], said["time"], "1.0", "7", "application/json"]
    return bytes([first]) + b"".join(header(index, value.encode()) for index, value in enumerate(values))


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out + bytes([value]))


def packed():
    """A format byte and a kind; then nothing, zeros, or a version and some texts."""
    version = varint(2) + varint(2 * 1795000000000000) + b"\x02s" + b"\x03id" + b"\x00" + bytes(16)
    for choice, kind in PACKED_KINDS.items():
        head = bytes([choice, PACK_FORMAT, kind])
        yield head
        yield from (head + bytes(size) for size in (1, 4, 8, 16, 32, 64))
        yield from (head + version + bytes(size) for size in (4, 8, 16, 32))
        yield head + b"\x02a" * 4 + version * 2 + bytes(16)


def persisted():
    """fuzz_dump.c's readers, in its order."""
    cut = {"category": "profile", "cause": "request", "complete": True, "cut": "2026-05-15T10:00:19.000000Z"}
    delivery = {**cut, "category": "delivery", "complete": False, "generation": "2026-05-01T00:00:00.000000Z"}
    told = {"hash": SUBJECT, "kind": "email", "objected": ["2026-05-06T10:00:00.000000Z"],
            "times": ["2026-05-02T10:00:00.000000Z"], "withdrawn": "2026-05-07T10:00:00.000000Z"}
    for erasures in ([], [cut], [cut, delivery], [{**cut, "cause": "closed"}] * 9):
        yield 0, json.dumps({"erasures": erasures, "subject": SUBJECT}, separators=(",", ":"))
    yield 0, json.dumps({"subject": SUBJECT, "x": [True, {"y": "z"}], "erasures": [cut], "suppression": [told]},
                        separators=(",", ":"))
    yield 1, json.dumps({"row_id": "ab" * 16, "seq": 17}, separators=(",", ":"))
    yield 2, b"\x01\x04name\x00\x00\x00\x05value"
    yield 2, b"\x02\x01a\x00\x00\x00\x00\x01b\x00\x00\x00\x01c"
    yield 3, json.dumps({"command": "tie", "person": "c1", "request_id": "q1"}, separators=(",", ":"))
    for suppression in ([], [told], [told, {**told, "hash": "bb", "kind": "phone"}]):
        yield 4, json.dumps({"erasures": [cut], "subject": SUBJECT, "suppression": suppression}, separators=(",", ":"))
    for event in events():
        yield 5, json.dumps(event["data"], ensure_ascii=False)


def assignments():
    """What a coordinator keeps of a member's partitions."""
    def number(value, width=4):
        return value.to_bytes(width, "big", signed=True)

    def topic(name, *partitions):
        return number(len(name), 2) + name + number(len(partitions)) + b"".join(map(number, partitions))
    yield number(0, 2) + number(0) + number(-1)
    yield number(1, 2) + number(1) + topic(b"shop.order.v1", 0, 1, 7) + number(0)
    yield number(3, 2) + number(2) + topic(b"a", 0) + topic(b"shop.customer.v1", 3, 4, 5) + number(-1)


def seeds(target):
    if target == "fuzz_policy":
        policy = json.loads(read("schema", "policy", "jerone.json"))
        yield read("schema", "policy", "jerone.json").encode()
        yield json.dumps(policy, separators=(",", ":")).encode()  # short, so that most of a mutation is meant
    elif target == "fuzz_pack":
        yield from packed()
    elif target == "fuzz_group":
        yield from assignments()
    elif target == "fuzz_config":
        for first in range(32):
            yield bytes([first]) + CONFIG
            yield bytes([first]) + CONFIG + b"\0CONSUMER_WORKERS=7\nKAFKA_PRODUCER_LINGER_MS=3\n\0consumer.instance=3"
    elif target == "fuzz_dump":
        for choice, text in persisted():
            yield bytes([choice]) + (text if isinstance(text, bytes) else text.encode())
    else:
        for event in [*events(), command()]:
            topic = "carrier.posti.v1" if event["topic"].startswith("carrier.") else event["topic"]
            if target == "fuzz_json":
                yield json.dumps(event["data"], ensure_ascii=False).encode()
            elif target == "fuzz_headers":
                yield from (headers(event, first) for first in range(4))
            elif topic in TOPICS:
                yield bytes([TOPICS.index(topic)]) + structured(event)


# ---- words ----

def schema_words(value):
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in ("properties", "$defs"):
                yield from inner
            if key == "enum":
                yield from (word for word in inner if isinstance(word, str) and len(word) != 2 and len(word) != 3)
            if key == "const" and isinstance(inner, str):
                yield inner
            yield from schema_words(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from schema_words(inner)


def words(target):
    if target == "fuzz_config":
        for section, key in re.findall(r'\{"([a-z.]+)", "([a-z.]+)", SETTING', read("core", "config_table.c")):
            yield from (f"[{section}]", f"{key} = ", f"{section}_{key}=".upper().replace(".", "_"), f"{section}.{key}=")
        yield from (".file = ", "[kafka.operator]", "bootstrap.servers", "\n", "\0")
        return
    if target == "fuzz_pack":
        yield from ("\x02\x01", "\x02s", "\x03id")
        return
    paths = [os.path.join(ROOT, "schema", "policy.schema.json")] if target == "fuzz_policy" else sorted(
        glob.glob(os.path.join(ROOT, "schema", "events", "*.json")))
    for path in paths:
        with open(path, encoding="utf-8") as file:
            yield from (f'"{word}"' for word in schema_words(json.load(file)))
        if target != "fuzz_policy":
            yield os.path.basename(path)[:-len(".json")]
    yield from ('"specversion":"1.0"', "\\u0000", "\\ud83d\\ude00", "\\ud800", "guest:", "recipient:", "FI", "EUR", REF,
                "2026-11-01T10:00:00Z", "P3Y6M", "PT72H")


def quoted(word):
    return '"' + "".join(chr(byte) if 32 <= byte < 127 and byte not in (34, 92) else f"\\x{byte:02x}"
                         for byte in word.encode()) + '"'


def main():
    target, folder, dictionary = sys.argv[1:4]
    for seed in seeds(target):
        with open(os.path.join(folder, "seed-" + hashlib.sha256(seed).hexdigest()[:16]), "wb") as file:
            file.write(seed)
    with open(dictionary, "w", encoding="ascii") as file:
        file.writelines(quoted(word) + "\n" for word in sorted(set(words(target))))


main()
