"""Faults of what is stored: read again from zero, restored from backups, without its key; erasures at bad moments."""
import os
import shutil
import signal
import time

from cluster import Cluster
from processes import registered_and_gone
from stack import now
from table import NotStruck, await_strike, demand, fault


def halt(world, *roles):
    """The daemons of these roles end, and stay down until resume()."""
    for process in world.processes.values():
        if process.role in roles:
            process.wanted = False
            process.stop()


def resume(world):
    for process in world.processes.values():
        process.wanted = True


@fault("everything read again from zero", nasty=(21,), weight=2, deadline=180)
def replayed(world, random):
    """Nothing changes, nobody is told anything: the judge sees to it in the end."""
    world.load.pause_between_shops()
    world.recovered()
    halt(world, "consumer")
    world.stack.cli("consumer", "position", "reset", "--reason", "a fault of a test")
    resume(world)
    if random.random() < 0.5:  # and it is killed in the midst of it
        world.quiet(random.uniform(0.5, 3))
        for process in world.consumers():
            process.kill()
    world.load.resume()
    return ""


@fault("a wrong key-encryption key", nasty=(30,), weight=1)
def wrong_kek(world, random):
    """Refused with 78 before a partition opens; put right, all goes on."""
    process = random.choice(world.consumers() + world.relays())
    path = os.path.join(world.directory, "chaos", "wrong-kek")
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
        file.write(os.urandom(32).hex() + "\n")
    if process.role == "producer":  # a standby asks for nothing yet
        process = world.active_relay() or process
        for relay in world.relays():
            relay.wanted = False
            relay.stop()
    process.wanted = False
    process.stop()
    daemon = process.start(env={"KUNDREGISTER_KEYS_KEK_FILE": path if random.random() < 0.7 else path + "-none"})
    process.doomed = True
    code = daemon.wait(60)
    demand(code == 78 and "refused" in daemon.said() and '"assigned"' not in daemon.said(), f"{process.name} ended with {code}")
    resume(world)
    return process.name


@fault("erasures while the relay stands in its transaction", nasty=(19, 20), weight=3)
def erased_on_the_way(world, random):
    """Persons who were just disclosed ask to be forgotten, of some of them the parcel is cancelled before; the relay sleeps
    with their rows in hand, and goes on or dies. So that its rows are theirs, it has nothing else to do when they come."""
    label = random.choice(["relay.after_rows", "relay.after_keys", "relay.after_sends", "relay.before_commit"])
    names = [f"w{random.randrange(10 ** 9)}" for _ in range(12)]
    events = [list(registered_and_gone(name)) for name in names]
    world.load.pause()
    world.recovered()
    relay = world.active_relay()
    demand(relay, "no relay is at work")
    try:
        await_strike(world, "an idle relay", lambda: not unpublished(world), 5)
        relay.signal(signal.SIGSTOP)
        if unpublished(world):
            raise NotStruck("the relay has something else in hand")
        for name, (first, _) in zip(names, events):
            world.stack.send(first)
            world.stack.send(parcel(name, "requested"))
        world.stack.flush()
        await_strike(world, "disclosures", lambda: set(names) <= unpublished(world))
        relay.order("stop", label)
        relay.signal(signal.SIGCONT)
        await_strike(world, label, lambda: not os.path.exists(relay.orders) and relay.stopped)
        world.load.resume()
        for name in names:
            if random.random() < 0.5:
                world.stack.send(parcel(name, "cancelled"))
        world.stack.flush()
        world.quiet(random.uniform(0, 1))
        for _, last in events:
            world.stack.send(last)
        world.stack.flush()
        await_strike(world, "erasures", lambda: len(world.stack.sql(
            "SELECT 1 FROM tombstone WHERE person = ANY (%s)", names)) == len(names))
        world.quiet(random.uniform(0, 3))
        if not (relay.stopped and set(names) <= unpublished(world)):
            raise NotStruck("their disclosures went out before")
        dies = random.random() < 0.5
        if dies:
            relay.kill()
    finally:
        relay.take_back_order()
        relay.signal(signal.SIGCONT)
        world.load.resume()
    return f"{relay.name} at {label} {'died' if dies else 'went on'}"


def unpublished(world):
    """By whose keys the outputs are sealed that the relay has still to publish; '' where they are clear."""
    return {row[0] for row in world.stack.sql("""SELECT o.person FROM outbox o LEFT JOIN mirror m USING (topic)
        LEFT JOIN publication p ON p.seq = o.seq AND p.state IN ('withheld', 'unpublishable')
        WHERE o.seq > coalesce(m.seq, 0) AND p.seq IS NULL""")}


def parcel(name, what):
    return {"topic": "shop.shipment.v1", "type": f"shop.shipment.{what}.v1", "key": name, "time": now(-90), "data": {
        "shipment_id": name + "-s", "order_id": name + "-o", "customer_id": name, **({} if what == "cancelled" else {
            "consignee": {"first_name": "Aino", "last_name": f"{name}-nen", "street": f"{name}-katu 1", "postcode": "33100",
                          "city": "Tampere", "country": "FI", "phone": "+358401112223", "email": name + "@example.fi"},
            "direction": "outbound", "carrier": "matkahuolto", "service": "home", "parcels": 1})}}


# What was published since the backup was decided in a past that is no more. What is decided again by the same event has
# the same id and does not go out again, also where it says something else now; tombstones of what is erased again,
# permissions and the mail house's messages are told again, also where they say the same. Recipients are told to forget what
# they may have been told in that past, whether or not they were; the next restore loses the notices of that, too.
SINCE_A_BACKUP = [r"^different: .* is another than the ledger's", r"^phantom: .* was never decided", r"^reordered: ",
                  r"^duplicate: .* (permission|tombstone) of ", r"^duplicate: disclosure\..*: notice_ref of ",
                  r"^phantom: disclosure\..* which was never disclosed", r"^phantom: disclosure\..*: withdraws what is ",
                  r"^phantom: .* was told to forget .*, of whom it never got anything",
                  r"^lost: \d+ notice missing in the register: ", r"^phantom: \d+ notice in the register that never went out: "]


@fault("register restored from a backup", nasty=(16, 22), weight=1, deadline=240)
def register_restored(world, random):
    """Since the backup persons were erased and much was decided and published; the way out brings all of it back. Only
    persons without parcels are erased meanwhile: what waits for a parcel goes at once in a restore, by contract."""
    cluster = Cluster(world.stack, "register")
    world.load.calm()
    world.recovered()
    label = f"chaos-{random.randrange(10 ** 6)}"
    cluster.backup(label)
    lived_on(world, random)
    world.load.pause()
    halt(world, "consumer", "producer")
    cluster.put(label)
    shutil.rmtree(cluster.aside(label))
    if "register" in world.disks:
        world.stack.switch("stop", "register")
        world.move_wal()
        world.stack.switch("start", "register")
    refused(world.processes["consumer-0"], "restore reconcile")
    refused(world.processes["relay"], "producer reconcile")
    world.stack.cli("restore", "reconcile", "--reason", "a fault of a test")
    world.stack.cli("producer", "reconcile")
    world.known = SINCE_A_BACKUP
    resume(world)
    world.load.resume()
    return ""


@fault("vault restored from a backup", nasty=(22,), weight=1, deadline=240)
def vault_restored(world, random):
    """Since the backup nobody came, but some were erased: their keys are destroyed once more."""
    cluster = Cluster(world.stack, "vault")
    world.load.pause_between_shops()
    names = [f"v{random.randrange(10 ** 9)}" for _ in range(5)]
    events = [list(registered_and_gone(name)) for name in names]
    for first, _ in events:
        world.stack.send(first)
    world.stack.flush()
    world.recovered()
    label = f"chaos-{random.randrange(10 ** 6)}"
    cluster.backup(label)
    for _, last in events:
        world.stack.send(last)
    world.stack.flush()
    world.recovered()
    halt(world, "consumer", "producer")
    cluster.put(label)
    shutil.rmtree(cluster.aside(label))
    refused(world.processes["consumer-0"], "restore reconcile")
    world.stack.cli("restore", "reconcile", "--reason", "a fault of a test")
    world.known = SINCE_A_BACKUP  # restore reconcile does not know whether the register was restored, too
    resume(world)
    world.load.resume()
    return ""


def lived_on(world, random):
    for _ in range(4):
        for event in registered_and_gone(f"b{random.randrange(10 ** 9)}"):
            world.stack.send(event)
    world.quiet(random.uniform(3, 8))
    world.stack.flush()
    world.recovered()


def refused(process, words):
    """The restored world is not taken for the old one."""
    daemon = process.start("--until-caught-up")
    process.doomed = True
    began = time.monotonic()
    code = daemon.wait(90)
    demand(code == 78 and words in daemon.said() and '"assigned"' not in daemon.said(),
           f"{process.name} ended with {code} after {time.monotonic() - began:.0f} s: {process.tail()}")
