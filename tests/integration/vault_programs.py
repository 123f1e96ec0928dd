#!/usr/bin/env python3
"""Runs the cmocka programs that stand on a real register and a real vault: vault_programs.py STACK_DIR BUILD_DIR."""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from stack import Report, Stack  # noqa: E402


def run(stack, report, name):
    done = subprocess.run([os.path.join(stack.build, "tests", name)], env={**stack.env, "CMOCKA_MESSAGE_OUTPUT": "TAP"},
                          capture_output=True, text=True, timeout=120)
    said = done.stdout + done.stderr
    found = re.findall(r"^(not )?ok \d+ - (\S+)(.*SKIP)?", said, re.MULTILINE)
    for failed, test, skipped in found:
        report.check(f"{name} {test}", not failed and not skipped, said)
    if not found or (done.returncode and not any(failed for failed, _, _ in found)):
        report.check(name, False, f"exit code {done.returncode}\n{said}")


def main():
    stack, report = Stack(*sys.argv[1:3]), Report()
    for name in ("db_test", "vault_test", "store_test", "erase_test", "topic_test"):
        run(stack, report, name)
    return report.exit_code()


if __name__ == "__main__":
    sys.exit(main())
