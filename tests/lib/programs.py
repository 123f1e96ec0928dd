"""Runs a cmocka program that stands on a real register and a real vault, and reports each of its tests."""
import os
import re
import subprocess


def run_program(stack, report, path, timeout=120, env=None):
    """What the program remarks ("# area: ...") is given back."""
    name = os.path.basename(path)
    done = subprocess.run([path], env={**stack.env, "CMOCKA_MESSAGE_OUTPUT": "TAP", **(env or {})},
                          capture_output=True, text=True, timeout=timeout)
    said = done.stdout + done.stderr
    found = re.findall(r"^(not )?ok \d+ - (\S+)(.*SKIP)?", said, re.MULTILINE)
    for failed, test, skipped in found:
        report.check(f"{name} {test}", not failed and not skipped, said)
    if not found or (done.returncode and not any(failed for failed, _, _ in found)):
        report.check(name, False, f"exit code {done.returncode}\n{said}")
    return [line for line in said.splitlines() if line.startswith("# ") and ":" in line]
