#!/usr/bin/env python3
"""The judge's verdict on single records against the program's decoder: tests/judge/mutants.py DECODE_VERDICT POLICY [--cases N]

Two readings of one contract, written apart; where they differ, one of them is wrong. Records are those of poison.py, good and
spoilt, then changed further at random: bytes and pieces of JSON cut, doubled, swapped for others, headers taken and given.
"""
import argparse
import json
import os
import random
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from history import Record  # noqa: E402
from poison import FIELDS, Poison  # noqa: E402
from refs import Refs  # noqa: E402
from verdict import NUMBER, verdict  # noqa: E402

PIECES = [b"null", b"true", b"0", b"-1", b"1.0", b"1e2", b"12345678901234567890", b'""', b'"0"', b'"null"', b"[]", b"{}", b"[1]",
          b'"\\u0000"', b'"\\ud800"', b'"\\ud83d\\ude00"', b"\xc0\xaf", b"\xf0\x9f\x98\x80", b'"a\\/b"', b",", b":", b" ", b"\t", b"\n",
          b"\0", b"\x7f", b'"guest:x"', b'"recipient:x"', b'"FI"', b'"SE"', b'"GB"', b'"EUR"', b'"+358401234567"', b'"a@b"',
          b'"customer_id":"c1"', b'"country":"EE"', b'"guest":true', b'"parcels":99', b'"token":"' + b"A" * 43 + b'"',
          b'"2030-02-28"', b'"sha256":"' + b"AB" * 32 + b'"', b'"e\\u0301"', b"e\xcc\x81" * 50]
TIMES = ["2026-01-01T00:00:00Z", "2026-01-01t00:00:00z", "2026-01-01T00:00:00.1234567+02:00", "2026-01-01T23:59:59-23:59",
         "2026-12-31T23:59:59.Z", "2026-01-01T00:00:00+24:00", "2026-1-1T00:00:00Z", "0000-01-01T00:00:00Z", "2024-02-29T00:00:00Z",
         "2025-02-29T00:00:00Z", "1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000001-00:00", "2026-01-01T00:00:00.Z",
         "9999-12-31T23:59:59-01:00", " 2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z ", "2026-01-01T00:60:00Z"]


def raw(value):
    return value.encode() if isinstance(value, str) else value


class Mutants:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.poison = Poison(self.random, Refs(b"1" * 32, b"2" * 32), "m-", "refused", int(time.time()) // 86400 * 86400000000)
        self.now_ms = int(time.time() * 1000)

    def start(self):
        """A record of poison.py, or one as good as those begin."""
        if self.random.random() < 0.3:
            _, topic, key, value, headers, stamp = self.poison.next(self.now_ms)
        else:
            self.poison.number += 1
            topic, kind, key, data, _ = self.poison.good(self.random.choice(FIELDS)[0])
            topic, key, value, headers, stamp = self.poison.either(topic, kind, key, data)
        headers = [(name, raw(one)) for name, one in headers]
        return Record(topic, 0, 0, stamp or self.now_ms, raw(key), raw(value), headers)

    def change_value(self, value):
        choice, at = self.random.random(), self.random.randrange(len(value) + 1)
        if choice < 0.35:  # a whole token or string by another piece
            marks = [index for index, byte in enumerate(value) if byte in b'",:{}[]']
            if len(marks) > 1:
                begin = self.random.randrange(len(marks) - 1)
                end = min(len(marks) - 1, begin + self.random.choice([1, 1, 2, 3]))
                return value[:marks[begin]] + self.random.choice(PIECES) + value[marks[end] + self.random.randrange(2):]
        if choice < 0.6:
            return value[:at] + self.random.choice(PIECES) + value[at:]
        if choice < 0.8:
            return value[:at] + value[at + self.random.randrange(1, 4):]
        if choice < 0.9:
            other = self.random.randrange(len(value) + 1)
            return value[:at] + value[min(at, other):max(at, other)] + value[at:]
        return value[:at] + bytes([self.random.randrange(256)]) + value[at + 1:]

    def change_headers(self, headers):
        pick, found = self.random.choice, list(headers)
        choice = pick(["drop", "double", "time", "type", "sequence", "content", "null", "long", "key"])
        names = [name for name, _ in found]
        at = self.random.randrange(len(found)) if found else None
        if choice == "drop" and found:
            del found[at]
        elif choice == "double" and found:
            found.append(found[at])
        elif choice == "time" and "ce_time" in names:
            found[names.index("ce_time")] = ("ce_time", pick(TIMES).encode())
        elif choice == "type" and "ce_type" in names:
            kind = found[names.index("ce_type")][1] or b""
            found[names.index("ce_type")] = ("ce_type", pick([kind[:-3], kind + b".v1", kind[:-1] + b"2", b"shop.order.paid.v1", b".v1",
                                                              b"register.dead-letter.v1", kind.upper()]))
        elif choice == "sequence":
            found.append(("ce_sequence", pick([b"0", b"00000000000000000001", b"", b"1.0", b"+1", b"184467440737095516150", b"x"])))
        elif choice == "content":
            found.append(("content-type", pick([b"application/json", b"application/JSON; charset=utf-8", b"text/json", b"",
                                                b"application/cloudevents+json", b"application/avro", b"application/vnd.x+json"])))
        elif choice == "null" and found:
            found[at] = (found[at][0], None)
        elif choice == "long" and found:
            found[at] = (found[at][0], b"x" * pick([255, 256, 257]))
        elif choice == "key":
            found.append((pick(["ce_x", "x", "CE_ID", "ce_"]), pick([b"", b"\xff", b"\0", b"ok"])))
        return found

    def next(self):
        record = self.start()
        for _ in range(self.random.choice([0, 1, 1, 1, 2, 3])):
            choice = self.random.random()
            if choice < 0.7 and record.value is not None:
                record = record._replace(value=self.change_value(record.value))
            elif choice < 0.9:
                record = record._replace(headers=self.change_headers(record.headers))
            else:
                key = self.random.choice([None, b"", b"c1", b"\xff", b"a\0", record.key])
                record = record._replace(key=key, timestamp=self.random.choice([record.timestamp, None, 1]))
        return record


def line_of(record):
    def text(value):
        return "-" if value is None else value.hex()
    columns = [record.topic, str(-1 if record.timestamp is None else record.timestamp), text(record.key), text(record.value)]
    for name, value in record.headers:
        columns += [name, text(value)]
    return "\t".join(columns) + "\n"


def disagreements(program, policy_path, cases, seed=1):
    """[(record, the judge's verdict, the program's)], and how often each reason was the judge's."""
    with open(policy_path, encoding="utf-8") as file:
        policy = json.load(file)
    mutants = Mutants(seed)
    records = [mutants.next() for _ in range(cases)]
    done = subprocess.run([program, "--records", policy_path], input="".join(map(line_of, records)), capture_output=True,
                          text=True, check=True)
    found, counts = [], {}
    for record, theirs in zip(records, done.stdout.splitlines(), strict=True):
        ours = verdict(record, policy).reason or "none"
        counts[ours] = counts.get(ours, 0) + 1
        if ours == "not_supported" and b"erasure" not in (record.value or b"") and record.topic == "privacy.request.v1":
            theirs = {"none": ours}.get(theirs, theirs)  # other kinds of requests are refused where they are decided
        if ours != theirs:
            found.append((record, ours, theirs))
    return found, counts


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("policy")
    parser.add_argument("--cases", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    found, counts = disagreements(given.program, given.policy, given.cases, given.seed)
    for record, ours, theirs in found[:20]:
        print(f"the judge says {ours}, the program {theirs}: {record}")
    print(", ".join(f"{count} {name}" for name, count in sorted(counts.items(), key=lambda one: NUMBER.get(one[0], 0))))
    print(f"{given.cases} records, {len(found)} disagreements")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
