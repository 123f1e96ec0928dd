#!/usr/bin/env python3
"""Random shops under an independent judge: tests/integration/judge_shops.py STACK BUILD

Each seed's events arrive in any order between partitions, some twice; then the whole register, what every recipient
holds and every notice are compared with what tests/judge/model.py makes of the contract."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "judge")]
from judge import Judge  # noqa: E402
from play import play  # noqa: E402
from stack import Failed, Report, Stack  # noqa: E402

PEOPLE = 60


def shop(stack, seed):
    play(stack, seed, PEOPLE, f"j{seed}-")
    stack.settle(60)
    judge = Judge(stack)
    if judge.run():
        raise Failed("\n".join(f"{anomaly}: {what}" for anomaly, what in judge.anomalies[:5]))


def main():
    stack, report = Stack(*sys.argv[1:3]), Report()
    consumer = stack.consumer()
    relay = stack.relay()
    try:
        stack.ready("CONSUMER")
        stack.ready("PRODUCER")
        for seed in (1, 2, 3):
            report.case(f"judge: a random shop, seed {seed}", shop, stack, seed)
        report.check("judge: both daemons are alive", consumer.running and relay.running)
    finally:
        stack.stop_all()
    return report.exit_code()


if __name__ == "__main__":
    sys.exit(main())
