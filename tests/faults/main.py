"""What tests/chaos runs, which says how."""
import argparse
import os
import signal
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "judge")]
import campaign  # noqa: E402
import named  # noqa: E402
import nasty  # noqa: E402
from table import FAULTS  # noqa: E402


def show():
    for name, fault in sorted(FAULTS.items()):
        print(f"{name:60} nasty {', '.join(map(str, fault.nasty)) or '-'}")
    print()
    nasty.show()


def parse():
    parser = argparse.ArgumentParser(prog="tests/chaos")
    parser.add_argument("build")
    parser.add_argument("--faults", type=int, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="S")
    parser.add_argument("--only", action="append", metavar="WORDS", help="only faults whose name has these words")
    parser.add_argument("--world", type=int, default=campaign.A_WORLD, metavar="N", help="faults in one world")
    parser.add_argument("--pace", type=float, default=20, metavar="N", help="the shop's events a second")
    parser.add_argument("--lanes", type=int, default=1, metavar="N", help="worlds side by side")
    parser.add_argument("--nasty", nargs="*", type=int, metavar="N")
    parser.add_argument("--selection", action="store_true")
    parser.add_argument("--list", action="store_true")
    return parser.parse_args()


def main():
    arguments = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the stack ends with us
    if arguments.list:
        return show()
    if arguments.faults:
        tally = campaign.run(arguments.build, arguments.faults, arguments.seed, arguments.world, arguments.only, arguments.pace,
                             arguments.lanes)
    elif arguments.selection:
        tally = named.selection(arguments.build)
    elif arguments.nasty is not None:
        tally = named.numbers(arguments.build, arguments.nasty or sorted(nasty.NASTY))
    else:
        sys.exit("tests/chaos: say --faults N, --nasty, --selection or --list")
    survived = sum(kind["survived"] for kind in tally.kinds.values())
    print(f"{survived + tally.checks - len(tally.failures)} passed, {len(tally.failures)} failed")
    return 1 if tally.failures else 0


if __name__ == "__main__":
    sys.exit(main())
