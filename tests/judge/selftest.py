#!/usr/bin/env python3
"""The judge can fail: tests/judge/selftest.py [DECODE_VERDICT]

world.jsonl is a small world as the judge read it from a real stack: judged as it is it must be clean. Then each of many
corruptions (planted.py) is made in a copy of it, one at a time, and must be named with the right anomaly; bad records of every
reason must be told apart; and with the program given, its decoder and the judge's verdict must agree on mutants.

No servers. tests/judge/selftest.py --record STACK BUILD makes the world anew, on a fresh stack.
"""
import json
import os
import random
import struct
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "lib")]
import mutants  # noqa: E402
import planted  # noqa: E402
import planted_known  # noqa: E402,F401  (its corruptions join those of planted)
import planted_told  # noqa: E402,F401
from history import History, Record  # noqa: E402
from judge import Judge  # noqa: E402
from poison import Poison  # noqa: E402
from refs import Refs  # noqa: E402
from verdict import REASONS, verdict  # noqa: E402

WORLD = os.path.join(HERE, "world.jsonl")
POLICY = os.path.join(HERE, "..", "..", "schema", "policy", "jerone.json")
CASES = 15000
SEED, PEOPLE, POISON = 16, 14, 25  # of the world


class Report:
    def __init__(self):
        self.failed = 0

    def check(self, name, fine, why=""):
        print(("ok - " if fine else "not ok - ") + "judge can fail: " + name, flush=True)
        if not fine:
            self.failed += 1
            print("# " + str(why).replace("\n", "\n# "), flush=True)


def shown(anomalies):
    return "\n".join(f"{anomaly}: {what}"[:300] for anomaly, what in anomalies[:6]) or "nothing was found"


def check_planted(report):
    judge = Judge(history=History.load(WORLD), punctual=True)
    clean = judge.run()
    report.check("a recorded world is clean", not clean, shown(clean))
    idle = [name for name, count in judge.looked.items() if not count]
    report.check("each check looks at something in it, and nothing is left out", not idle and not judge.remarks,
                 "\n".join(idle + judge.remarks))
    for plant in planted.PLANTED:
        history = History.load(WORLD)
        try:
            plant.change(history)
        except planted.NotThere as missing:
            report.check(plant.name, False, f"the recorded world has no {missing}")
            continue
        found = Judge(history=history, punctual=True).run()
        report.check(f"{plant.name}: {plant.anomaly}",
                     any(anomaly == plant.anomaly and plant.says in what for anomaly, what in found), shown(found))


def check_gaps(report):
    history = History.load(WORLD)
    record = history.inputs[0]
    history.inputs.insert(0, record._replace(offset=-5))
    found = Judge(history=history, gaps={record.place[:2]: [(-5, -4)]}).run()
    report.check("what the register was told to pass over is no input", not found, shown(found))


def check_topic_made_anew(report):
    history = History.load(WORLD)
    dead = {row[:3] for row in history.dead_letters}
    place = next(record.place for record in history.inputs if record.place in dead)
    good = next(record for record in history.inputs if record.place not in dead and record.topic == place[0])
    history.inputs.append(good._replace(partition=place[1], offset=place[2]))
    found = Judge(history=history).run()
    report.check("a place may have had another record before its topic was made anew", not found, shown(found))


def check_planted_refusals(report):
    """A record that was sent twice, once refused by the database."""
    history = History.load(WORLD)
    dead = {row[:3] for row in history.dead_letters}
    twice = next(record for record in history.inputs if sum(record.value == one.value for one in history.inputs) > 1 and
                 record.place not in dead and record.key)
    where = {"topic": twice.topic, "partition": twice.partition, "offset": twice.offset}
    history.dead_letters.append(history.dead_letters[0]._replace(**where, reason="refused_by_database", detail="23514"))
    made = planted.decide(history, planted.outputs(history, "register.dead-letter")[0], **where, reason="refused_by_database")
    pointer = {"kafka_dlt-original-topic": twice.topic.encode(), "kafka_dlt-original-partition": struct.pack(">i", twice.partition),
               "kafka_dlt-original-offset": struct.pack(">q", twice.offset)}
    planted.replace(history, made, made._replace(
        key="{topic}/{partition}/{offset}".format(**where).encode(),
        headers=[(name, pointer.get(name, value)) for name, value in made.headers]))
    found = Judge(history=history, refused=[twice.key.decode()]).run()
    report.check("what the database may refuse is no misjudgement when it was told so", not found, shown(found))
    report.check("and is one when it was not", any(anomaly == "misjudged" for anomaly, _ in Judge(history=history).run()))


def check_ignored(report):
    history = History.load(WORLD)
    history.dump.pop()
    judge = Judge(history=history, ignore=["^lost: "])
    report.check("what is known is counted apart", not judge.run() and len(judge.known) == 1, shown(judge.anomalies))


def check_remarks(report):
    """What cannot be judged is said."""
    history = History.load(WORLD)
    history.counters["records"] -= 1  # since it was started anew
    history.tombstones = [row._replace(destroyed=row.destroyed + 80 * 1000000) for row in history.tombstones]
    judge = Judge(history=history)
    found = judge.run()
    report.check("what cannot be judged is said, and no anomaly", not found and len(judge.remarks) == 2 and
                 [name for name, count in judge.looked.items() if not count] == ["inputs: records that a consumer counted"],
                 shown(found) + "\n" + "\n".join(judge.remarks))


def check_poison(report):
    with open(POLICY, encoding="utf-8") as file:
        policy = json.load(file)
    now_ms = int(time.time() * 1000)
    poison = Poison(random.Random(1), Refs(b"1" * 32, b"2" * 32), "p-", "refused", now_ms // 86400000 * 86400000000)
    wrong, reasons = [], set()
    for _ in range(3 * len(poison.every())):
        reason, topic, key, value, headers, stamp = poison.next(now_ms)
        record = Record(topic, 0, 0, stamp or now_ms, mutants.raw(key), value,
                        [(name, mutants.raw(one)) for name, one in headers])
        actual = verdict(record, policy).reason
        reasons.add(reason)
        if actual != (None if reason in REASONS[27:] else reason):  # those need the world
            wrong.append((reason, str(actual)))
    report.check("each reason is told apart from the others", not wrong, shown(wrong))
    report.check("there is poison of every reason", reasons == set(REASONS[1:]), set(REASONS[1:]) - reasons)


def check_decoder(report, program):
    found, counts = mutants.disagreements(program, POLICY, CASES, seed=int(time.time()))
    report.check(f"the decoder agrees with the judge on {CASES} mutants", not found,
                 "\n".join(f"the judge says {ours}, the program {theirs}: {record}" for record, ours, theirs in found[:3]))
    report.check("the mutants are of most kinds", len(counts) >= 24, counts)


def corrected(stack, street):
    """A shipment, as it is first and as it is corrected."""
    from stack import now
    contact = {"first_name": "Aino", "last_name": "Oikaistu", "street": street, "postcode": "33100", "city": "Tampere",
               "country": "FI", "phone": "+358401234567"}
    stack.send({"topic": "shop.shipment.v1", "type": "shop.shipment.requested.v1", "key": "w-kept", "time": now(-1), "data": {
        "shipment_id": "w-s", "order_id": "w-o", "customer_id": "w-kept", "consignee": contact, "direction": "outbound",
        "carrier": "matkahuolto", "service": "home", "parcels": 1}})


def record(directory, build):
    """A small shop, played, answered and tied."""
    from play import answer, play, tie
    from stack import Stack
    stack = Stack(directory, build)
    stack.consumer()
    stack.relay()
    try:
        play(stack, SEED, PEOPLE, "w-", POISON)
        for step in (lambda: corrected(stack, "Katu 1"), lambda: corrected(stack, "Katu 2"),
                     lambda: answer(stack, SEED, "w-"), lambda: tie(stack, SEED)):
            step()
            stack.settle(120)
            stack.wait_erased(90)
        judge = Judge(stack)
        judge.run()
        judge.history.save(WORLD)
        print(shown(judge.anomalies), judge.summary())
    finally:
        stack.stop_all()


def main():
    if sys.argv[1:2] == ["--record"]:
        return record(*sys.argv[2:4])
    report = Report()
    check_planted(report)
    for check in (check_gaps, check_topic_made_anew, check_planted_refusals, check_ignored, check_remarks):
        check(report)
    check_poison(report)
    if len(sys.argv) > 1:
        check_decoder(report, sys.argv[1])
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
