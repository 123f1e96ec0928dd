"""Faults of what is stored: read again from zero, restored from backups, without its key; erasures at bad moments."""
import os
import shutil
import signal
import time

from cluster import Cluster
from processes import registered_and_gone
from stack import Failed
from table import demand, fault


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
    """Persons who were just disclosed ask to be forgotten; the relay sleeps with their rows in hand, and goes on or dies."""
    relay = world.active_relay()
    demand(relay, "no relay is at work")
    relay.order("stop", random.choice(["relay.after_rows", "relay.after_keys", "relay.after_sends", "relay.before_commit"]))
    names = [f"w{random.randrange(10 ** 9)}" for _ in range(12)]
    events = [list(registered_and_gone(name)) for name in names]
    for first, _ in events:
        world.stack.send(first)
    try:
        world.wait_for("the relay to stop", lambda: relay.stopped, 15)
    except Failed:
        pass  # another order of things is as good
    relay.take_back_order()
    for _, last in events:
        world.stack.send(last)
    world.stack.flush()
    world.quiet(random.uniform(0.5, 4))
    dies = random.random() < 0.5
    if dies:
        relay.kill()
    relay.signal(signal.SIGCONT)
    return f"{relay.name} {'died' if dies else 'went on'}"


# What was published since the backup was decided in a past that is no more. What is decided again by the same event has
# the same id and does not go out again, also where it says something else now; tombstones of what is erased again,
# permissions and the mail house's messages are told again, also where they say the same. Recipients are told to forget what
# they may have been told in that past, whether or not they were; the next restore loses the notices of that, too.
SINCE_A_BACKUP = [r"^different: .* is another than the ledger's", r"^phantom: .* was never decided", r"^reordered: ",
                  r"^duplicate: .* (permission|tombstone) of ", r"^duplicate: disclosure\..*: notice_ref of ",
                  r"^phantom: disclosure\..* which was never disclosed",
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
