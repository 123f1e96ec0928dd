#!/usr/bin/env python3
"""Runs the cmocka programs that stand on a real register and a real vault: vault_programs.py STACK_DIR BUILD_DIR."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from programs import run_program  # noqa: E402
from stack import Report, Stack  # noqa: E402


def main():
    stack, report = Stack(*sys.argv[1:3]), Report()
    for name in ("db_test", "vault_test", "store_test", "erase_test", "topic_test"):
        run_program(stack, report, os.path.join(stack.build, "tests", name))
    return report.exit_code()


if __name__ == "__main__":
    sys.exit(main())
