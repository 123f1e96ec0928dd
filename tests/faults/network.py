"""Faults of the network between one daemon and one server: cuts behind COMMIT, delays, silence in one direction or both."""
import contextlib

from processes import any_process
from proxy import TO_CLIENT, TO_SERVER, Commits
from stack import Failed
from table import NotStruck, fault
from scene import SESSION_MS


@fault("connections cut behind every second COMMIT", nasty=(7, 13), weight=6)
def commits_cut(world, random):
    """Whether it committed is in doubt each time."""
    relay = world.active_relay() if random.random() < 0.3 else None
    process = relay or random.choice(world.consumers())
    part = "register" if relay else random.choice(["register", "register", "vault"])
    commits = Commits(random.choice([1, 2, 3]))
    proxy = process.proxies[part]
    proxy.cut_behind(commits)
    proxy.cut()  # by what is prepared on a new connection a COMMIT is known
    world.quiet(random.uniform(2, 6))
    with contextlib.suppress(Failed):
        world.wait_for("a commit", lambda: commits.cuts, 15)
    proxy.heal()
    if not commits.cuts:
        raise NotStruck("it committed nothing meanwhile")
    return f"{process.name} to {part}: {commits.cuts} of {commits.seen}"


@fault("a slow network", weight=4)
def delayed(world, random):
    process = any_process(world, random)
    part, delay = random.choice(sorted(process.proxies)), random.choice([0.02, 0.1, 0.4])
    process.proxies[part].delay(delay)
    world.quiet(random.uniform(2, 8))
    process.proxies[part].heal()
    return f"{process.name} to {part}, {delay * 1000:.0f} ms a piece"


WAYS = {"both ways": (), "no answers": (TO_CLIENT,), "no questions": (TO_SERVER,)}


def silent(world, random, process, parts, held):
    way = random.choice(sorted(WAYS))
    for part in parts:
        process.proxies[part].silence(*WAYS[way])
    world.quiet(held)
    cut = random.random() < 0.5  # a silent line that comes back, or one that does not
    for part in parts:
        process.proxies[part].heal()
        if cut:
            process.proxies[part].cut()
    return f"{process.name} to {', '.join(parts)}, {way}, {held:.1f} s" + (", then cut" if cut else "")


@fault("silence between one daemon and one server", nasty=(4, 5, 13), weight=8)
def silenced(world, random):
    process = any_process(world, random)
    return silent(world, random, process, [random.choice(sorted(process.proxies))],
                  random.choice([1, SESSION_MS / 1000 + 2, 9]))


@fault("one daemon cut off from everything", nasty=(5, 14), weight=4)
def cut_off(world, random):
    process = any_process(world, random)
    return silent(world, random, process, sorted(process.proxies), random.choice([2, SESSION_MS / 1000 + 2, 10]))


@fault("connections refused", weight=3)
def refused(world, random):
    process = any_process(world, random)
    proxy = process.proxies[random.choice(sorted(process.proxies))]
    proxy.refuse()
    proxy.cut()
    world.quiet(random.uniform(1, 7))
    proxy.heal()
    return proxy.name


@fault("nobody reaches one of the servers", weight=3)
def all_silenced(world, random):
    part = random.choice(["register", "vault", "kafka"])
    for process in world.processes.values():
        process.proxies[part].silence()
    world.quiet(random.choice([1, 5, 9]))
    for process in world.processes.values():
        process.proxies[part].heal()
    return part
