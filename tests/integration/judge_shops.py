#!/usr/bin/env python3
"""Random shops under an independent judge: tests/integration/judge_shops.py STACK BUILD [FIRST LAST]

Each seed's events arrive in any order between partitions, some twice, bad records of every kind among them; then recipients
answer and employees tie cases to persons. After each the whole history is judged: every record's fate, the whole register,
every output, what every recipient holds, every notice, and that nothing is left of those who were erased, within the time that
is promised. A check that found nothing to look at in all shops together is a failure. FIRST and LAST: seeds for a campaign by
hand."""
import collections
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "judge")]
from judge import Judge  # noqa: E402
from play import answer, play, tie  # noqa: E402
from stack import Failed, Report, Stack  # noqa: E402

SHOPS = {1: (60, 5), 2: (10, 40), 3: (60, 0), 4: (5, 60), 5: (90, 10)}  # seed: people, percent of poison


def judged(stack, looked):
    stack.settle(120)
    stack.wait_erased(90)
    judge = Judge(stack, punctual=True)
    judge.run()
    looked.update(judge.looked)
    print(f"# not judged: {judge.remarks or 'nothing'}", flush=True)
    if judge.anomalies:
        raise Failed(f"{judge.counts()}\n" + "\n".join(f"{anomaly}: {what}" for anomaly, what in judge.anomalies[:8]))


def shop(stack, seed, looked):
    people, poison = SHOPS.get(seed, ((5, 20, 40, 60)[seed % 4], (0, 2, 10)[seed % 3]))
    play(stack, seed, people, f"j{seed}-", poison)
    judged(stack, looked)


def answers(stack, seed, looked):
    answer(stack, seed, f"j{seed}-")
    tie(stack, seed)
    judged(stack, looked)


def all_looked_at(looked):
    """One consumer and a vault that was always there leave nothing that cannot be judged."""
    print("# " + "\n# ".join(f"{count:8} {name}" for name, count in looked.items()), flush=True)
    idle = [name for name, count in looked.items() if not count]
    if idle or not looked:
        raise Failed(f"nothing to look at: {', '.join(idle) or 'at all'}")


def main():
    stack, report, looked = Stack(*sys.argv[1:3]), Report(), collections.Counter()
    seeds = range(int(sys.argv[3]), int(sys.argv[4])) if len(sys.argv) > 4 else SHOPS
    consumer = stack.consumer()
    relay = stack.relay()
    try:
        stack.ready("CONSUMER")
        stack.ready("PRODUCER")
        for seed in seeds:
            report.case(f"judge: a random shop, seed {seed}", shop, stack, seed, looked)
            report.case(f"judge: its recipients answer, cases are tied, seed {seed}", answers, stack, seed, looked)
        report.case("judge: each check had something to look at", all_looked_at, looked)
        report.check("judge: both daemons are alive", consumer.running and relay.running)
    finally:
        stack.stop_all()
    return report.exit_code()


if __name__ == "__main__":
    sys.exit(main())
