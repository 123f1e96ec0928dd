#!/usr/bin/env python3
"""Both daemons under ThreadSanitizer on a real stack: races.py STACK_DIR BUILD_DIR, a build of the tsan preset.

Two consumer processes of several workers each, a relay and its standby, asked for /metrics, /readyz and /healthz all the
time, under load of every type of event, while members come and go, logs are read anew, servers crash, processes are
killed and drained. Any report of the sanitizer fails it; tests/lib/tsan.supp names what of the libraries is not looked at.
"""
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "judge")]
from judge import Refs, read_key  # noqa: E402
from play import Shop  # noqa: E402
from stack import Failed, Report, ROOT, Stack, wait_for  # noqa: E402

WORKERS = 3
PEOPLE = 40  # of one of the shops that follow each other
BURST = 150  # events at a time; in between they trickle, so that waiting makes no more of them
REPORTED = 66  # the exit code of a process that the sanitizer has reported


class Daemons:
    """Processes whose reports of the sanitizer lie in a folder of their own."""

    def __init__(self, stack):
        self.stack, self.reports = stack, os.path.join(stack.directory, "log", "races")
        os.makedirs(self.reports, exist_ok=True)
        self.env = {"TSAN_OPTIONS": ":".join((
            f"log_path={self.reports}/report", f"exitcode={REPORTED}", "halt_on_error=0", "second_deadlock_stack=1",
            "history_size=4", "suppressions=" + os.path.join(ROOT, "tests", "lib", "tsan.supp")))}

    def consumer(self, instance):
        return self.stack.consumer("--instance", str(instance),
                                   env={**self.env, "KUNDREGISTER_CONSUMER_WORKERS": str(WORKERS)})

    def relay(self):
        return self.stack.relay(env=self.env)

    def reported(self):
        """What the sanitizer found, each report once."""
        found = []
        for name in sorted(os.listdir(self.reports)):
            with open(os.path.join(self.reports, name), encoding="utf-8", errors="replace") as file:
                found += [part for part in file.read().split("==================\n") if part.strip()]
        return found


def up(daemon):
    wait_for(f"{daemon.program} to answer", lambda: not daemon.running or daemon.port(), 60)
    return daemon


def page(daemon, path):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{daemon.port()}{path}", timeout=5) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


def ready(consumers, relays, seconds=90):
    """All of the consumers, one of the relays: the others stand by."""
    def alive(daemon):
        if not daemon.running:
            raise Failed(f"{daemon.program} ended with {daemon.process.returncode}")
        return page(daemon, "/readyz")[0] == 200
    for consumer in consumers:
        wait_for("a consumer to be ready", lambda one=consumer: alive(one), seconds)
    wait_for("a relay to be ready", lambda: any([alive(relay) for relay in relays]), seconds)


class Background:
    """Threads that load and probe until they are told to end; what goes wrong in them comes out at the end."""

    def __init__(self, stack):
        self.stack, self.ending, self.failed = stack, threading.Event(), []
        self.sent, self.wanted, self.asked = 0, 0, 0
        self.threads = [threading.Thread(target=self.guard, args=(run,), daemon=True) for run in (self.load, self.probe)]
        for thread in self.threads:
            thread.start()

    def guard(self, run):
        try:
            run()
        except Exception as error:  # told at the end, by whoever waits
            self.failed.append(f"{type(error).__name__}: {error}")

    def load(self):
        secrets = os.path.join(self.stack.directory, "secrets")
        refs = Refs(read_key(os.path.join(secrets, "ref")), read_key(os.path.join(secrets, "digest")))
        midnight = int(time.time()) // 86400 * 86400 * 1000000
        while not self.ending.is_set():
            seed = self.sent + 1
            shop = Shop(seed, refs, midnight - 21 * 86400 * 1000000, f"race{seed}-")
            shop.people(PEOPLE)
            for event in shop.arriving():
                if self.ending.is_set():
                    break
                self.stack.send(event)
                self.sent += 1
                if self.sent >= self.wanted:
                    self.ending.wait(0.2)

    def probe(self):
        while not self.ending.is_set():
            for daemon in list(self.stack.daemons):
                for path in ("/metrics", "/readyz", "/healthz"):
                    if daemon.running and daemon.port():
                        self.asked += page(daemon, path)[0] != 0
            self.ending.wait(0.05)

    def burst(self):
        self.wanted = self.sent + BURST
        wait_for("the load", lambda: self.failed or self.sent >= self.wanted, 120)

    def end(self):
        self.ending.set()
        for thread in self.threads:
            thread.join(60)
        if self.failed:
            raise Failed("; ".join(self.failed))
        if not self.sent or not self.asked:
            raise Failed(f"{self.sent} events sent, {self.asked} pages read")


def server(stack, verb, part, *options):
    subprocess.run([os.path.join(ROOT, "deploy", "stack"), f"{verb}-{part}", stack.directory, *options], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def reread(consumers, relays):
    """SIGHUP; consumers say that the level was read again."""
    before = [daemon.said().count('"reloaded"') for daemon in consumers]
    for daemon in consumers + relays:
        daemon.signal(signal.SIGHUP)
    for daemon, count in zip(consumers, before):
        wait_for("the log level to be read again", lambda one=daemon, had=count: one.said().count('"reloaded"') > had, 30)


def drained(daemon):
    code = daemon.stop(60)
    if code not in (0, REPORTED):
        raise Failed(f"{daemon.program} ended with {code}")


def story(stack, daemons, background):
    first, relay = up(daemons.consumer(0)), up(daemons.relay())
    ready([first], [relay])
    background.burst()
    standby, second = up(daemons.relay()), up(daemons.consumer(1))  # a rebalance
    ready([first, second], [relay, standby])
    reread([first, second], [relay, standby])
    background.burst()
    drained(second)  # another
    relay.kill()
    ready([first], [standby])
    background.burst()
    second, relay = up(daemons.consumer(1)), up(daemons.relay())
    for part in ("kafka", "register", "vault"):
        server(stack, "restart", part, "--immediate")
        background.burst()
        ready([first, second], [relay, standby])
    first.kill()
    first = up(daemons.consumer(0))
    ready([first, second], [relay, standby])
    reread([first, second], [relay, standby])
    background.end()
    stack.settle(180)
    stack.wait_erased(120)
    for daemon in (second, standby, first, relay):
        drained(daemon)


def main():
    stack, report = Stack(*sys.argv[1:3]), Report()
    stack.client = {"log_level": 0}  # the broker goes and comes
    daemons = Daemons(stack)
    background = Background(stack)
    try:
        report.case("races: rebalances, crashes, reloads, probes and drains under load", story, stack, daemons, background)
        print(f"# {background.sent} events, {background.asked} pages read")
        found = daemons.reported()
        report.check("races: ThreadSanitizer reports nothing", not found, "\n".join(found[:3])[:8000])
    finally:
        background.ending.set()
        stack.stop_all()
    return report.exit_code()


if __name__ == "__main__":
    sys.exit(main())
