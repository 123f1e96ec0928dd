"""Faults of the daemons: killed, stopped and continued, anywhere and at labelled points; rebalances."""
import os
import signal
import subprocess
import time

from table import NotStruck, demand, fault
from scene import CONSUMERS, SESSION_MS, Process

COMES_BY_S = 6      # a point of the daily work
AFTER_START_S = 20  # one of a start
# Points that nothing passes by itself, and what makes a process pass them.
PASSED_AT_START = ("relay.after_lock", "relay.after_init", "relay.after_compare", "consumer.rebalance", "consumer.before_claim",
                   "consumer.after_claim")


def any_process(world, random):
    return random.choice([one for one in world.processes.values() if one.running and not one.stopped])


def labels(process):
    done = subprocess.run([os.path.join(process.world.build, f"kundregister-{process.role}"), "--list-kill-points"],
                          capture_output=True, text=True, check=True)
    return done.stdout.split()


def provoke(world, process, label):
    """Makes somebody pass the point, whatever it takes."""
    if label in PASSED_AT_START:
        process.kill()
        process.daemon.process.wait()
    if "_drop" in label:
        into_next_partition(world)
    if label == "relay.after_abort":
        process.proxies["kafka"].cut()


def into_next_partition(world):
    """Of the outbox: what is published will go with the one before. Returns that one's name, and where the next begins."""
    number = world.stack.sql("SELECT last_value / 1048576 FROM outbox_seq")[0][0]
    begin = (number + 1) * 1048576
    world.stack.sql("SELECT setval('outbox_seq', %s)", begin + 5)
    world.stack.sql("SELECT outbox_extend()")
    return f"outbox_{number}", begin


def somebody_erased(world, random):
    """Somebody registers and asks to be forgotten."""
    name = f"e{random.randrange(10 ** 9)}"
    for event in registered_and_gone(name):
        world.stack.send(event)


def registered_and_gone(name):
    at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() - 60))
    yield {"topic": "shop.customer.v1", "type": "shop.customer.registered.v1", "key": name, "time": at + ".000001Z",
           "data": {"customer_id": name, "kind": "account", "contact": {"first_name": "Aino", "email": name + "@example.fi"},
                    "notice": {"id": "n1", "sha256": "ab" * 32, "language": "fi"}}}
    yield {"topic": "privacy.request.v1", "type": "privacy.request.received.v1", "key": name + "-r", "time": at + ".000002Z",
           "data": {"request_id": name + "-r", "kind": "erasure", "subject": {"customer_id": name}, "channel": "account",
                    "identity": "account"}}


def at_label(world, random, what, done):
    """Orders a kill or a stop at a point of some process and sees to it that it happens. done(process): it did."""
    process = any_process(world, random)
    if process.role == "producer":
        process = world.active_relay() or process
    label = random.choice(labels(process))
    # Which worker keeps the calendar, and which relay publishes next, is their own affair.
    others = world.relays() if process.role == "producer" else world.consumers() if "destroy" in label else [process]
    for one in others:
        one.order(what, label)
    try:
        if "destroy" in label:
            somebody_erased(world, random)
        for patience in (COMES_BY_S, AFTER_START_S):
            end = time.monotonic() + patience
            while time.monotonic() < end:
                struck = [one for one in others if done(one)]
                if struck:
                    return struck[0], label
                world.keep()
                time.sleep(0.02)
            provoke(world, process, label)
        raise NotStruck(f"nobody passed {label}")
    finally:
        for one in others:
            one.take_back_order()


@fault("kill -9 at a labelled point", nasty=(12, 20, 28), weight=10)
def killed_at_label(world, random):
    process, label = at_label(world, random, "kill", lambda one: not os.path.exists(one.orders))
    return f"{process.name} at {label}"


@fault("stopped at a labelled point, continued late", nasty=(4, 5, 6, 14), weight=8)
def stopped_at_label(world, random):
    process, label = at_label(world, random, "stop", lambda one: one.stopped)
    held = random.choice([0.2, 1, SESSION_MS / 1000 + 2, 10])
    if process.role == "producer" and random.random() < 0.5:
        process.proxies["register"].cut()  # its lock goes: the standby works while it sleeps
    world.quiet(held)
    process.signal(signal.SIGCONT)
    return f"{process.name} at {label} for {held:.1f} s"


@fault("kill -9 at a random instant", nasty=(28,), weight=6)
def killed(world, random):
    time.sleep(random.random())
    process = any_process(world, random)
    process.kill()
    return process.name


@fault("killed again and again", nasty=(28,), weight=2)
def killed_often(world, random):
    process = any_process(world, random)
    times = random.randrange(3, 6)
    for _ in range(times):
        process.kill()
        process.daemon.process.wait()
        world.quiet(random.uniform(0.3, 3))
    return f"{process.name}, {times} times"


@fault("kill -9 of all daemons at once", nasty=(28,), weight=2)
def all_killed(world, random):
    for process in world.processes.values():
        process.kill()
    return ""


@fault("stopped past the session, then continued", nasty=(5, 14), weight=4)
def stopped(world, random):
    process = any_process(world, random)
    held = random.choice([0.5, 2, SESSION_MS / 1000 + 2, 9])
    process.signal(signal.SIGSTOP)
    if random.random() < 0.3:
        for proxy in process.proxies.values():
            proxy.cut()
    world.quiet(held)
    process.signal(signal.SIGCONT)
    return f"{process.name} for {held:.1f} s"


@fault("stopped, killed asleep", nasty=(4, 5), weight=2)
def killed_asleep(world, random):
    process = any_process(world, random)
    process.signal(signal.SIGSTOP)
    world.quiet(random.uniform(0.5, 6))
    process.kill()
    return process.name


@fault("SIGTERM and a new start", weight=3)
def restarted(world, random):
    process = any_process(world, random)
    process.stop()
    world.quiet(random.choice([0, 0.5, 4]))
    return process.name


@fault("a rebalance storm", nasty=(6, 28), weight=4)
def storm(world, random):
    """Further processes join the group and leave it, well or badly, while it still gives partitions away."""
    guests, number = [], len(world.processes)
    for _ in range(random.randrange(3, 7)):
        if guests and random.random() < 0.5:
            leave(guests.pop(random.randrange(len(guests))), random)
        else:
            guests.append(join(world, number))
            number += 1
        world.quiet(random.uniform(0.1, 2))
    for guest in guests:
        leave(guest, random)
    return f"{number - len(world.processes)} came and went"


def join(world, number):
    """As consumer-0 but for its number; behind its proxies."""
    first = world.processes[CONSUMERS[0]]
    guest = Process.__new__(Process)
    guest.__dict__.update(first.__dict__, name=f"guest-{number}", number=number, daemon=None, doomed=False, url=None,
                          orders=first.orders + ".guest")
    guest.start("--instance", str(number))
    return guest


def leave(guest, random):
    if not guest.running:
        demand(False, f"{guest.name} ended by itself with {guest.daemon.process.returncode}: {guest.tail()}")
    if random.random() < 0.5:
        guest.kill()
    else:
        guest.stop()


@fault("a member's id is taken by a stranger", nasty=(5,), weight=1)
def robbed(world, random):
    """Kafka fences ours for good: it makes a new client."""
    victim = random.choice(world.consumers())
    worker = random.randrange(world.workers)
    rival = subprocess.Popen(
        ["kcat", "-F", world.stack.env["KAFKA_ADMIN_CONFIG"], "-X", "partition.assignment.strategy=range", "-X",
         f"group.instance.id={os.uname().nodename}-{victim.number}-{worker}", "-X", "enable.auto.commit=false", "-G",
         "kundregister", "shop.customer.v1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    world.quiet(random.uniform(1, 6))
    rival.kill()
    rival.wait()
    return f"{victim.name}, worker {worker}"
