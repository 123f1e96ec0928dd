#!/usr/bin/env python3
"""Fails each call of what reaches register and vault, one after another: failures_servers.py STACK_DIR BUILD_DIR [STEP].

Every STEP-th call only (11), from a place drawn anew each time; with 1 all of them, which takes half an hour. The
programs are those under AddressSanitizer, whichever build the stack has.
"""
import os
import random
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from programs import run_program  # noqa: E402
from stack import ROOT, Report, Stack  # noqa: E402


def main():
    stack, report = Stack(*sys.argv[1:3]), Report()
    step = int(sys.argv[3]) if len(sys.argv) > 3 else 11
    first = random.randint(1, step)
    print(f"# from call {first} on each {step}th: KUNDREGISTER_FAILURES_FROM={first} KUNDREGISTER_FAILURES_STEP={step}")
    for name in ("failures_store_test", "failures_relay_test"):
        remarks = run_program(stack, report, os.path.join(ROOT, "build", "asan", "tests", name), timeout=7200,
                              env={"KUNDREGISTER_FAILURES_FROM": str(first), "KUNDREGISTER_FAILURES_STEP": str(step)})
        print("\n".join(remarks))
    return report.exit_code()


if __name__ == "__main__":
    sys.exit(main())
