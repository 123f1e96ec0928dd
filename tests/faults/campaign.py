"""A campaign: faults by a seeded schedule, quiet spells between, recovery awaited after each and timed, worlds judged whole."""
import collections
import concurrent.futures
import json
import multiprocessing
import os
import random
import shutil
import signal
import statistics
import sys
import tempfile
import time

import network  # noqa: F401  each enters its faults in the table
import processes  # noqa: F401
import scan
import scenarios
import servers  # noqa: F401
import state  # noqa: F401
import topics  # noqa: F401
from judge import Judge
from stack import Failed, headers_of
from table import FAULTS, NotStruck
from scene import RECOVERY_S, World

A_WORLD = 60   # faults; then all is judged, and the next world begins
SHOWN = 12     # anomalies of each kind
KEPT = "kundregister-chaos-kept"


def of_a_kind():
    return {"struck": 0, "survived": 0, "missed": 0, "seconds": []}


class Tally:
    """By kind of fault: how many, survived, not struck, and how long recovery took."""

    def __init__(self):
        self.kinds = collections.defaultdict(of_a_kind)
        self.checks, self.failures, self.hanging = 0, [], 0

    def add(self, other):
        for name, kind in other.kinds.items():
            for what, more in kind.items():
                self.kinds[name][what] += more
        self.checks += other.checks
        self.failures += other.failures
        self.hanging += other.hanging

    def check(self, name, fine, why=""):
        self.checks += 1
        print(("ok - " if fine else "not ok - ") + name, flush=True)
        if not fine:
            self.failures.append(name)
            for line in str(why).splitlines():
                print("# " + line, flush=True)

    def show(self):
        print(f"# {'fault':58} survived   of  not struck   recovery: median     max", flush=True)
        for name, kind in sorted(self.kinds.items()):
            times = kind["seconds"] or [0]
            print(f"# {name:58} {kind['survived']:8} {kind['struck']:4} {kind['missed']:11}   {statistics.median(times):14.1f} s "
                  f"{max(times):5.1f} s", flush=True)
        struck, survived = (sum(kind[what] for kind in self.kinds.values()) for what in ("struck", "survived"))
        print(f"# {survived} of {struck} faults survived, {sum(kind['missed'] for kind in self.kinds.values())} did not strike",
              flush=True)
        if self.hanging:
            print(f"# {self.hanging} transactions that Kafka had left open were aborted, as an operator does", flush=True)


def schedule(seed, count, only=None):
    """[(name, quiet spell before, the fault's own random)]: the same for the same seed. Every kind comes once before chance
    alone decides, as far as count goes."""
    chance = random.Random(f"schedule {seed}")
    table = {name: one for name, one in FAULTS.items() if not only or any(word in name for word in only)}
    names = sorted(table)
    once = list(names)
    chance.shuffle(once)
    drawn = once if count >= len(once) else []
    drawn += chance.choices(names, [table[name].weight for name in names], k=max(0, count - len(drawn)))
    chance.shuffle(drawn)
    return [(name, chance.choice([0, 0, 0.5, 1, 2, 4]), random.Random(f"fault {seed} {number}"))
            for number, name in enumerate(drawn[:count])]


def strike(world, tally, name, spell, chance, prefix):
    """One fault and the recovery from it. False when this world is past saving."""
    fault, kind = FAULTS[name], tally.kinds[name]
    world.quiet(spell)
    before, counted = len(world.anomalies), False
    began = time.monotonic()
    try:
        if not fault.fits(world):
            raise NotStruck("not in this world")
        told = fault.strike(world, chance)
        kind["struck"] += 1
        counted = True
        took = world.recovered(fault.deadline)
        fine = len(world.anomalies) == before
    except NotStruck as missed:
        kind["missed"] += 1
        print(f"# {prefix} {name}: not struck: {missed}", flush=True)
        return mend(world, tally, name)
    except Exception as error:  # a broken fault must not end the campaign
        kind["struck"] += not counted
        tally.check(f"{prefix} {name}", False, f"{type(error).__name__}: {error}\n" + portrait(world))
        return mend(world, tally, name)
    if fine:
        kind["survived"] += 1
        kind["seconds"].append(took)
        print(f"# {prefix} {name}{': ' if told else ''}{told}: well after {took:.1f} s (in all {time.monotonic() - began:.0f} s)",
              flush=True)
    else:
        tally.check(f"{prefix} {name}: {told}", False, "\n".join(world.anomalies[before:]))
    return True


def mend(world, tally, name):
    """After a fault that went wrong: everything as a supervisor and an operator would leave it. Whether that helps."""
    for process in world.processes.values():
        process.wanted = True
        process.take_back_order()
        process.heal()
        process.signal(signal.SIGCONT)
    try:
        for disk in world.disks.values():
            disk.clear()
        for part in ("register", "vault", "kafka"):
            world.stack.switch("start", part)
        world.load.resume()
        world.recovered(120)
        return True
    except Failed as error:
        tally.check(f"the world after {name}", False, f"{error}\n{portrait(world)}")
        return False


def portrait(world):
    """What a reader needs to understand it."""
    return "\n".join(f"{one.name}: {'runs' if one.running else 'ended'}; {one.http('/readyz')[1].strip()[:200]}; {one.tail()}"
                     for one in world.processes.values() if one.daemon)


def judged(world, tally, name):
    """The shop closes; then the independent judge over everything."""
    try:
        world.settle()
        tally.check(f"{name}: everything is through", True)
    except Failed as error:
        tally.check(f"{name}: everything is through", False, f"{error}\n{portrait(world)}")
    judge = Judge(world.stack, gaps=world.gaps, refused=[scenarios.REFUSED], ignore=world.known)
    found = judge.run()
    counts, lines = collections.Counter(), []
    for kind, what in found:
        counts[kind] += 1
        if counts[kind] <= SHOWN:
            lines.append(f"{kind}: {what}"[:600])
    tally.check(f"{name}: the judge finds no anomaly in what became of {world.load.sent} events of the shop", not found,
                f"{dict(counts)}\n" + "\n".join(lines))
    if judge.known:
        print(f"# known since a register was restored, passed over: {len(judge.known)}", flush=True)
    searched(world, tally, name)


def searched(world, tally, name):
    """What was put in is nowhere but in the inputs and the disclosures to whom it was for."""
    strings = scan.put_in(world.stack)
    with open(os.path.join(world.stack.directory, "policy.json"), encoding="utf-8") as file:
        markers = strings.markers(file.read())
    found = scan.find(world.stack, "chaos", strings, markers, os.getcwd()) if markers else [("", "no string", "was put in")]
    tally.check(f"{name}: {len(markers)} strings are found nowhere", not found,
                "\n".join(f"{marker!r} {form} in {place}" for marker, form, place in found[:SHOWN]))


def ended(world, tally, name):
    """What else must hold of a world that comes to its end."""
    before = len(world.anomalies)
    world.stop_daemons()
    world.look_through_logs()
    tally.check(f"{name}: the daemons end when asked, their logs are clean", len(world.anomalies) == before,
                "\n".join(world.anomalies[before:]))


def keep_remains(world, seed):
    """What a reader needs to understand a failure: logs, inputs, outputs, the dump and the register's tables as text."""
    kept = tempfile.mkdtemp(prefix=f"{KEPT}-{seed}-")
    shutil.copytree(os.path.join(world.directory, "log"), os.path.join(kept, "log"),
                    ignore=shutil.ignore_patterns("register-*", "vault-*"))
    topics = [topic for topic in world.stack.topics() if not topic.startswith("__")]
    with open(os.path.join(kept, "records.jsonl"), "w", encoding="utf-8") as file:
        for one in world.stack.read_all(*topics):
            file.write(json.dumps({"topic": one.topic(), "partition": one.partition(), "offset": one.offset(),
                                   "timestamp": one.timestamp()[1], "key": shown(one.key()), "headers": headers_of(one),
                                   "value": shown(one.value())}, ensure_ascii=False) + "\n")
    with open(os.path.join(kept, "dump.jsonl"), "w", encoding="utf-8") as file:
        file.write("\n".join(world.stack.dump("--open", "--reason", "a failure of a test")))
    with world.stack.register() as register:
        names = register.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        for name, in names:
            with open(os.path.join(kept, name + ".csv"), "wb") as file, \
                    register.cursor().copy(f"COPY (SELECT * FROM {name}) TO STDOUT CSV HEADER") as rows:
                for row in rows:
                    file.write(row)
    print(f"# its remains are in {kept}", flush=True)


def shown(value):
    return None if value is None else value.decode("utf-8", "backslashreplace")


class Campaign:
    """What its worlds have in common. Each lane is a process; they share the count of what is done."""

    def __init__(self, build, count, seed, a_world, only, pace):
        self.build, self.seed, self.pace = build, seed, pace
        self.plan, self.began = schedule(seed, count, only), time.monotonic()
        self.worlds = [range(first, min(first + a_world, len(self.plan))) for first in range(0, len(self.plan), a_world)]
        self.done, self.over = multiprocessing.Value("i", 0), multiprocessing.Event()

    def prefix(self, number):
        with self.done:
            self.done.value += 1
            eta = (time.monotonic() - self.began) / self.done.value * (len(self.plan) - self.done.value)
        return f"[{number + 1}/{len(self.plan)}, eta {eta / 60:.0f} min]"

    def world(self, tally, numbers):
        """One world and its faults. Returns those that are left when it was past saving before its time."""
        world = open_world(self.build, f"{self.seed}-{numbers.start}", self.pace)
        failures = len(tally.failures)
        try:
            left = numbers
            for number in numbers:
                left = range(number + 1, numbers.stop)
                name, spell, chance = self.plan[number]
                if not strike(world, tally, name, spell, chance, self.prefix(number)):
                    break
            name = f"seed {self.seed}, the world of faults {numbers.start + 1} to {left.start}"
            judged(world, tally, name)
            ended(world, tally, name)
            if len(tally.failures) > failures:
                keep_remains(world, self.seed)
            return left
        finally:
            tally.hanging += world.hanging
            world.down()


CAMPAIGN = None  # a lane's own copy: forked


def leave(number, _frame):
    """Once: a world that goes down is not disturbed again."""
    signal.signal(number, signal.SIG_IGN)
    sys.exit(128 + number)


def idle():
    """A lane without a world is ended by the pool; what a terminal sends to all is for the campaign to hear."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


def in_lane(number):
    """All faults of one portion, in one world or more. Returns their tally, also when the campaign is ended meanwhile."""
    tally, left = Tally(), CAMPAIGN.worlds[number]
    try:
        signal.signal(signal.SIGTERM, leave)
        while left and not CAMPAIGN.over.is_set():
            left = CAMPAIGN.world(tally, left)
    except SystemExit:
        pass
    finally:
        idle()
    return tally


def run(build, count, seed, a_world=A_WORLD, only=None, pace=20, lanes=1):
    """The whole campaign, so many worlds side by side. Returns the tally; a campaign that is ended before its time shows what
    it has so far."""
    global CAMPAIGN
    CAMPAIGN, tally = Campaign(build, count, seed, a_world, only, pace), Tally()
    pool = concurrent.futures.ProcessPoolExecutor(lanes, multiprocessing.get_context("fork"), idle)
    portions = [pool.submit(in_lane, number) for number in range(len(CAMPAIGN.worlds))]
    waiting = set(portions)
    try:
        for portion in concurrent.futures.as_completed(portions):
            waiting.remove(portion)
            tally.add(portion.result())
    finally:
        CAMPAIGN.over.set()
        for lane in multiprocessing.active_children() if waiting else []:
            lane.terminate()
        pool.shutdown(cancel_futures=True)
        for portion in waiting:
            if not portion.cancelled() and not portion.exception():
                tally.add(portion.result())
        tally.show()
        print(f"# replay: tests/chaos --faults {count} --seed {seed}", flush=True)
    return tally


def open_world(build, seed, pace):
    directory = tempfile.mkdtemp(prefix="kundregister-chaos.", dir=tempfile.gettempdir())
    os.chmod(directory, 0o711)
    world = World(os.path.join(directory, "stack"), build, int.from_bytes(str(seed).encode()[-6:], "big"), pace)
    world.load.start()
    try:
        print(f"# a world in {directory} is well after {world.recovered(180):.1f} s", flush=True)
    except BaseException:
        world.down()
        raise
    return world
