"""Runs named tests: the nasty numbers, and the selection that belongs to every run of all tests."""
import random
import time

import campaign
import nasty
import scenarios
import scenarios_alone
from table import FAULTS, NotStruck

# The selection: what no other suite runs on a real stack, in this order, then a short mix, then the judge; at the end two
# that no judge could look at.
SELECTED = ["three_topics", "silent_worker", "partitions added, 3 to 12", "end_of_transaction_lost",
            "killed_where_it_seldom_comes", "retention passes the position", "poison", "a topic made anew, shorter or longer",
            "disk full under the register's WAL", "disk full under Kafka's log"]
SELECTED_LAST = ["made_anew_under_it", "kafka_wiped"]
MIX, SEED = 8, 20


def function_of(name):
    """(title, function, deadline of the recovery) of a scenario or fault."""
    for table in (scenarios.SCENARIOS, scenarios_alone.SCENARIOS):
        if name in table:
            return *table[name], campaign.RECOVERY_S
    fault = FAULTS[name]
    numbers = ", ".join(map(str, fault.nasty))
    return f"nasty {numbers}: {name}" if numbers else name, fault.strike, fault.deadline


def run_one(world, tally, name, seed, recovers=True):
    """A scenario or fault as a check of its own."""
    title, function, deadline = function_of(name)
    before, began = len(world.anomalies), time.monotonic()
    try:
        if name in FAULTS and not FAULTS[name].fits(world):
            raise NotStruck("this machine does not allow it")
        told = function(world, random.Random(f"{name} {seed}"))
        if recovers:
            world.recovered(deadline)
        tally.check(f"{title} ({time.monotonic() - began:.1f} s)", len(world.anomalies) == before,
                    "\n".join(world.anomalies[before:]))
        if told:
            print(f"# {told}", flush=True)
        return True
    except NotStruck as missed:
        print(f"ok - {title} # SKIP {missed}", flush=True)
        return True
    except Exception as error:  # one failure must not hide the next
        tally.check(title, False, f"{type(error).__name__}: {error}\n{campaign.portrait(world)}")
        return campaign.mend(world, tally, name)


def run_in_one_world(build, tally, names, seed, then=(), mix=0, pace=20):
    world = campaign.open_world(build, seed, pace)
    failures = len(tally.failures)
    try:
        for name in names:
            if not run_one(world, tally, name, seed):
                break
        for number, (name, spell, chance) in enumerate(campaign.schedule(seed, mix)):
            campaign.strike(world, tally, name, spell, chance, f"[{number + 1}/{mix}]")
        if mix:
            survived, struck = (sum(kind[what] for kind in tally.kinds.values()) for what in ("survived", "struck"))
            tally.check(f"a random mix of {struck} faults, seed {seed}: all survived", survived == struck > 0)
        run_one(world, tally, "streams_joined", seed)
        campaign.judged(world, tally, "in the end")
        for name in then:
            run_one(world, tally, name, seed, recovers=False)
        campaign.ended(world, tally, "in the end")
        if len(tally.failures) > failures:
            campaign.keep_remains(world, seed)
    finally:
        world.down()


def selection(build):
    tally = campaign.Tally()
    absent = nasty.missing()
    tally.check("each of nasty 1 to 31 has its tests, and they are there", not absent, "\n".join(absent))
    run_in_one_world(build, tally, SELECTED, SEED, SELECTED_LAST, MIX)
    return tally


def numbers(build, wanted):
    """The tests of these nasty numbers, the scripts of other suites among them."""
    tally = campaign.Tally()
    tests = [test for number in wanted for test in nasty.NASTY[number][1]]
    for title, command in nasty.commands(tests, build):
        lines, passed, failed = nasty.run_command(title, command, build)
        print("\n".join(lines), flush=True)
        tally.checks += passed + failed
        tally.failures += [title] * failed
    together = list(dict.fromkeys(test.name for test in tests if test.where in ("fault", "scenario")))
    if together:
        run_in_one_world(build, tally, [name for name in together if name != "streams_joined"], SEED)
    for test in tests:
        if test.where == "alone":
            world = campaign.open_world(build, SEED, 20)
            try:
                run_one(world, tally, test.name, SEED, recovers=False)
            finally:
                world.down()
    return tally
