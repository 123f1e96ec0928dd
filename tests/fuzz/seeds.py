#!/usr/bin/env python3
"""Writes the seeds of a fuzz target: tests/fuzz/seeds.py TARGET FOLDER. They come from the golden scenarios and the
example policy, so that a new event type is fuzzed as soon as a scenario has it."""
import glob
import hashlib
import json
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOPICS = ["shop.customer.v1", "shop.order.v1", "shop.shipment.v1", "shop.return.v1", "shop.consent.v1",
          "privacy.request.v1", "carrier.posti.v1"]


def events():
    for path in sorted(glob.glob(os.path.join(ROOT, "tests", "golden", "*", "events.jsonl"))):
        with open(path, encoding="utf-8") as file:
            for line in file:
                step = json.loads(line) if line.strip() else {}
                if "type" in step:
                    yield step


def structured(event):
    return json.dumps({"specversion": "1.0", "id": event.get("id", "e1"), "source": event.get("source", "urn:shop"),
                       "type": event["type"], "time": event.get("time", "2026-11-01T10:00:00Z"), "data": event["data"]},
                      ensure_ascii=False).encode()


def header(index, value):
    return bytes([index, len(value) % 64]) + value[:63]


def seeds(target):
    if target == "fuzz_policy":
        yield open(os.path.join(ROOT, "schema", "policy", "jerone.json"), "rb").read()
        return
    if target == "fuzz_pack":
        yield from (bytes([kind]) + bytes([1, kind + 1, 0, 0, 0]) for kind in range(8))
        return
    for event in events():
        topic = "carrier.posti.v1" if event["topic"].startswith("carrier.") else event["topic"]
        if target == "fuzz_json":
            yield json.dumps(event["data"], ensure_ascii=False).encode()
        elif target == "fuzz_headers":
            values = [event.get("id", "e1"), "urn:shop", event["type"], event.get("time", "2026-11-01T10:00:00Z"), "1.0",
                      "7", "application/json"]
            yield b"".join(header(index, value.encode()) for index, value in enumerate(values))
        elif topic in TOPICS:
            yield bytes([TOPICS.index(topic)]) + structured(event)


def main():
    target, folder = sys.argv[1:3]
    for seed in seeds(target):
        with open(os.path.join(folder, "seed-" + hashlib.sha256(seed).hexdigest()[:16]), "wb") as file:
            file.write(seed)


main()
