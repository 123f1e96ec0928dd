"""What tests/chaos runs, which says how."""
import argparse
import os
import signal
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "judge")]
import campaign  # noqa: E402
from table import FAULTS  # noqa: E402


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--faults", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", action="append")
    parser.add_argument("--world", type=int, default=campaign.A_WORLD)
    parser.add_argument("--pace", type=float, default=20)
    parser.add_argument("--list", action="store_true")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the stack ends with us
    if arguments.list:
        for name, fault in sorted(FAULTS.items()):
            print(f"{name:60} nasty {', '.join(map(str, fault.nasty)) or '-'}")
        return 0
    tally = campaign.run(arguments.build, arguments.faults, arguments.seed, arguments.world, arguments.only, arguments.pace)
    survived = sum(kind["survived"] for kind in tally.kinds.values())
    print(f"{survived + tally.checks - len(tally.failures)} passed, {len(tally.failures)} failed")
    return 1 if tally.failures else 0


if __name__ == "__main__":
    sys.exit(main())
