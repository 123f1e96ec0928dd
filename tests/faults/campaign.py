"""A campaign: faults by a seeded schedule, quiet spells between, recovery awaited after each and timed, worlds judged whole."""
import collections
import os
import random
import shutil
import statistics
import tempfile
import time

import network  # noqa: F401  each enters its faults in the table
import processes  # noqa: F401
import servers  # noqa: F401
import state  # noqa: F401
import topics  # noqa: F401
from judge import Judge
from stack import Failed
from table import FAULTS, NotStruck
from world import World

A_WORLD = 60   # faults; then all is judged, and the next world begins
SHOWN = 12     # anomalies of each kind
KEPT = "kundregister-chaos-kept"


class Tally:
    """By kind of fault: how many, survived, not struck, and how long recovery took."""

    def __init__(self):
        self.kinds = collections.defaultdict(lambda: {"struck": 0, "survived": 0, "missed": 0, "seconds": []})
        self.checks, self.failures = 0, []

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
    before = len(world.anomalies)
    began = time.monotonic()
    try:
        if not fault.fits(world):
            raise NotStruck("not in this world")
        told = fault.strike(world, chance)
        kind["struck"] += 1
        took = world.recovered(fault.deadline)
        fine = len(world.anomalies) == before
    except NotStruck as missed:
        kind["missed"] += 1
        print(f"# {prefix} {name}: not struck: {missed}", flush=True)
        return mend(world, tally, name)
    except Exception as error:  # a broken fault must not end the campaign
        kind["struck"] += told_struck(kind, error)
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


def told_struck(kind, error):
    """A fault that failed before it was counted counts all the same."""
    return 0 if getattr(error, "counted", False) else 1


def mend(world, tally, name):
    """After a fault that went wrong: everything as a supervisor and an operator would leave it. Whether that helps."""
    for process in world.processes.values():
        process.wanted = True
        process.take_back_order()
        process.heal()
        process.signal(18)
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
    """The shop closes; then the independent judge over everything, and what else must hold of a world at rest."""
    try:
        world.settle()
        tally.check(f"{name}: everything is through", True)
    except Failed as error:
        tally.check(f"{name}: everything is through", False, f"{error}\n{portrait(world)}")
    judge = Judge(world.stack)
    found = judge.run()
    counts = collections.Counter(kind for kind, _ in found)
    shown = collections.Counter()
    lines = []
    for kind, what in found:
        shown[kind] += 1
        if shown[kind] <= SHOWN:
            lines.append(f"{kind}: {what}"[:600])
    tally.check(f"{name}: the judge of {judge.inputs} records, {len(judge.dead)} dead letters, {judge.lines} lines and "
                f"{judge.outputs} outputs finds no anomaly", not found, f"{dict(counts)}\n" + "\n".join(lines))
    before = len(world.anomalies)
    world.stop_daemons()
    world.look_through_logs()
    tally.check(f"{name}: daemons end when asked, their logs are clean", len(world.anomalies) == before,
                "\n".join(world.anomalies[before:]))


def keep_for_later(world, seed):
    """The whole world of a failure, for whoever wants to understand it: data, logs, configuration."""
    kept = os.path.join(tempfile.gettempdir(), f"{KEPT}-{seed}-{int(time.time())}")
    os.makedirs(kept)
    shutil.copytree(os.path.join(world.directory, "log"), os.path.join(kept, "log"))
    print(f"# its logs are in {kept}", flush=True)


def run(build, count, seed, a_world=A_WORLD, only=None, pace=20):
    """The whole campaign. Returns the tally."""
    tally, plan, began = Tally(), schedule(seed, count, only), time.monotonic()
    done = 0
    while done < len(plan):
        portion = plan[done:done + a_world]
        world = open_world(build, f"{seed}-{done}", pace)
        failures = len(tally.failures)
        try:
            for name, spell, chance in portion:
                done += 1
                took = time.monotonic() - began
                eta = took / done * (len(plan) - done) if done > 1 else 0
                prefix = f"[{done}/{len(plan)}, eta {eta / 60:.0f} min]"
                if not strike(world, tally, name, spell, chance, prefix):
                    done = done - done % a_world + a_world if done % a_world else done
                    break
            judged(world, tally, f"seed {seed}, the world of faults {done - len(portion) + 1} to {done}")
            if len(tally.failures) > failures:
                keep_for_later(world, seed)
        finally:
            world.down()
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
