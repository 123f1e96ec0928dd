#!/usr/bin/env python3
"""Real orders under the independent judge: tests/integration/judge_olist.py STACK BUILD

The public Olist data lies beside the checkout (../shared/data/olist.tar.xz, or where KUNDREGISTER_OLIST says); on machines
without it there is nothing to judge, which is said. tests/bench/olist does the work."""
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from stack import ROOT, Failed, Report  # noqa: E402

ORDERS = 1500


def data():
    return os.environ.get("KUNDREGISTER_OLIST", os.path.join(ROOT, "..", "shared", "data", "olist.tar.xz"))


def orders(directory, build):
    done = subprocess.run([sys.executable, os.path.join(ROOT, "tests", "bench", "olist"), "--data", data(), "--stack", directory,
                           "--build", build, "--orders", str(ORDERS), "--judge"], capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(done.stdout[-3000:] + done.stderr[-2000:])
    told = json.loads(done.stdout.splitlines()[-1])
    if told["orders"] != ORDERS or told["records"] < 5 * ORDERS or told["outputs"] < ORDERS:
        raise Failed(f"hardly anything was played: {told}")


def main():
    report = Report()
    if os.path.exists(data()):
        report.case(f"judge: {ORDERS} real orders", orders, *sys.argv[1:3])
    else:
        report.check("judge: real orders, passed over: there is no " + os.path.relpath(data(), ROOT), True)
    return report.exit_code()


if __name__ == "__main__":
    sys.exit(main())
