"""Faults of the servers: register, vault and broker killed and away, disks that are full, transactions that others hold."""
import re
import signal
import socket
import threading
import time

import psycopg

from processes import any_process
from stack import Failed, now
from table import NotStruck, await_strike, demand, fault


def away(world, random, part, most=8):
    """Ends the part as in a crash, brings it back later."""
    held = random.choice([0, 0, 1, 3, most])
    world.stack.switch("stop", part, "--immediate")
    world.quiet(held)
    world.stack.switch("start", part)
    return f"for {held} s"


@fault("register: immediate stop", nasty=(2,), weight=5)
def register_away(world, random):
    return away(world, random, "register")


@fault("vault: immediate stop", weight=4)
def vault_away(world, random):
    return away(world, random, "vault")


@fault("broker: kill -9", nasty=(13,), weight=5, deadline=120)
def broker_away(world, random):
    return away(world, random, "kafka", 15)


@fault("broker: killed while a transaction ends", nasty=(13,), weight=3, deadline=120)
def broker_killed_in_commit(world, random):
    """The relay stands still with everything sent, the broker dies, and only then the end is asked for."""
    relay = world.active_relay()
    label = random.choice(["relay.before_commit", "relay.after_flush", "relay.after_positions", "relay.after_commit"])
    demand(relay, "no relay is at work")
    relay.order("stop", label)
    try:
        await_strike(world, label, lambda: relay.stopped, 15)
    finally:
        relay.take_back_order()
    world.stack.switch("stop", "kafka", "--immediate")
    relay.signal(signal.SIGCONT)
    world.quiet(random.choice([0, 2, 8]))
    world.stack.switch("start", "kafka")
    return label


@fault("power cut: servers and daemons at once", nasty=(2, 13, 28), weight=2, deadline=150)
def power_cut(world, random):
    for process in world.processes.values():
        process.wanted = False
        process.kill()
    at_once(*(lambda part=part: world.stack.switch("stop", part, "--immediate") for part in ("register", "vault", "kafka")))
    at_once(*(lambda part=part: world.stack.switch("start", part) for part in ("register", "vault", "kafka")))
    for process in world.processes.values():
        process.wanted = True
    return ""


def at_once(*calls):
    failures = []

    def run(call):
        try:
            call()
        except Failed as error:
            failures.append(error)
    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


@fault("backends ended by an administrator", nasty=(2,), weight=3)
def backends_ended(world, random):
    connect = random.choice([world.stack.register, world.stack.vault])
    ended = 0
    for _ in range(random.randrange(1, 6)):
        with connect() as connection:
            ended += len(connection.execute("""SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                                               WHERE usename IN ('kr_consumer', 'kr_producer')""").fetchall())
        world.quiet(random.uniform(0.1, 1))
    return f"{ended} of them"


# ---- full disks ------------------------------------------------------------------------------------------------------

@fault("disk full under the register's WAL", nasty=(31,), weight=2, deadline=120, fits=lambda world: "register" in world.disks)
def wal_full(world, random):
    """The server writes until it cannot: it panics, and does not come back by itself before there is room."""
    disk = world.disks["register"]
    try:
        disk.fill()
        fill_wal(world)
        world.quiet(random.choice([1, 4, 10]))
    finally:
        disk.clear()
        world.stack.switch("stop", "register", "--immediate")  # it may be dying yet
        world.stack.switch("start", "register")
    return ""


def fill_wal(world, seconds=60):
    """Until a write finds no room."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with world.stack.register() as connection:
                connection.execute("CREATE TABLE IF NOT EXISTS chaos_filler (x text)")
                connection.execute("INSERT INTO chaos_filler SELECT repeat('x', 1000) FROM generate_series(1, 8000)")
                connection.execute("TRUNCATE chaos_filler")
        except psycopg.Error:
            return
    raise NotStruck("the WAL went on")


@fault("disk full under Kafka's log", nasty=(31,), weight=2, deadline=150, fits=lambda world: "kafka" in world.disks)
def log_full(world, random):
    """The broker cannot append: it shuts down, with its log as it is."""
    disk = world.disks["kafka"]
    try:
        disk.fill()
        await_strike(world, "the broker to give up", lambda: not listens(world.ports["kafka"]), 60)
        world.quiet(random.choice([0, 3, 8]))
    finally:
        disk.clear()
        world.stack.switch("start", "kafka")
    return ""


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


# ---- what others hold ------------------------------------------------------------------------------------------------

@fault("a long write transaction elsewhere", nasty=(3,), weight=3)
def long_transaction(world, random):
    """The relay waits for it, past ten seconds it names the pid, and loses nothing."""
    held = random.choice([2, 5, 13])
    with psycopg.connect(world.stack.env["REGISTER_CONNINFO"]) as holder:
        pid = holder.execute("SELECT pg_current_xact_id(), pg_backend_pid()").fetchone()[1]
        world.quiet(held)
        if held > 10:
            world.wait_for("the relay to name the holder", lambda: any(
                f"pid {pid} " in relay.daemon.said() for relay in world.relays()), 30)
        holder.rollback()
    return f"for {held} s"


@fault("a silent backend that holds positions", nasty=(4,), weight=3)
def silent_backend(world, random):
    """Of the consumer's own role: whoever claims next ends it."""
    with psycopg.connect(role_conninfo(world, "consumer")) as silent:
        try:
            silent.execute("SET lock_timeout = '5s'")
            silent.execute("UPDATE position SET owner = owner")
            world.quiet(random.choice([1, 4, 8]))
            silent.rollback()
            return "which was let go in time"
        except psycopg.Error:
            return "and was ended for it"


def role_conninfo(world, role, part="register"):
    with open(world.stack.env["KUNDREGISTER_CONFIG"], encoding="utf-8") as file:
        text = file.read()
    return re.search(rf"^\[{part}\].*?^{role} = (.*?)$", text, re.MULTILINE | re.DOTALL)[1]


@fault("rows of persons locked by another, in another order", nasty=(8,), weight=3)
def rows_locked(world, random):
    """Deadlocks and waits are no failures: the batch is done again. While half of them are locked, all are heard of."""
    persons = [f"k{random.randrange(10 ** 9)}" for _ in range(12)]
    heard_of(world, persons)
    await_strike(world, "them to be there", lambda: len(world.stack.sql(
        "SELECT 1 FROM person WHERE person = ANY (%s)", persons)) == len(persons))
    rounds, met, lost = random.randrange(2, 6), 0, 0
    for _ in range(rounds):
        random.shuffle(persons)
        try:
            with psycopg.connect(role_conninfo(world, "consumer")) as other:
                other.execute("SET lock_timeout = '3s'")
                lock(other, persons[:6])
                heard_of(world, persons)
                lock(other, persons[6:])
                await_strike(world, "a consumer to wait for a row", lambda: world.stack.sql(
                    "SELECT 1 FROM pg_stat_activity WHERE %s = ANY (pg_blocking_pids(pid))", other.info.backend_pid))
                met += 1
                world.quiet(random.uniform(0.2, 1.5))
                other.rollback()
        except psycopg.errors.DeadlockDetected:
            lost += 1
        except psycopg.Error:
            pass  # ended before it met anybody
    if not met + lost:
        raise NotStruck("nobody wanted what it had locked")
    return f"{rounds} times, {met} of them waited for, {lost} lost in a deadlock"


def heard_of(world, persons):
    for person in persons:
        world.stack.send({"topic": "shop.customer.v1", "type": "shop.customer.seen.v1", "key": person, "time": now(-5),
                          "data": {"customer_id": person}})
    world.stack.flush()


def lock(connection, persons):
    for person in persons:
        connection.execute("SELECT FROM person WHERE person = %s FOR UPDATE", (person,))
        time.sleep(0.02)


@fault("one process's connections to one server cut", nasty=(7,), weight=6)
def connections_cut(world, random):
    process = any_process(world, random)
    part, times = random.choice(sorted(process.proxies)), random.choice([1, 1, 4])
    for _ in range(times):
        process.proxies[part].cut()
        world.quiet(random.uniform(0, 0.6))
    return f"{process.name} to {part}, {times} times"
