"""What the measurements share: fresh stacks, the time until all is through, processor time and memory of processes."""
import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests", "lib"))
from stack import Stack, wait_for  # noqa: E402

TICK_US = 1_000_000 / os.sysconf("SC_CLK_TCK")
STACK = os.path.join(TOP, "deploy", "stack")


@contextlib.contextmanager
def fresh_stack(build, partitions=4, workers=2):
    """A stack of its own, gone afterwards. Four partitions: two workers then have equal shares of every topic."""
    parent = tempfile.mkdtemp(prefix="kundregister-bench.")
    os.chmod(parent, 0o755)
    directory = os.path.join(parent, "stack")
    try:
        subprocess.run([STACK, "up", directory, "--build", build, "--partitions", str(partitions), "--workers", str(workers)],
                       check=True, stdout=subprocess.DEVNULL)
        stack = Stack(directory, build)
        try:
            yield stack
        finally:
            stack.stop_all()
    finally:
        subprocess.run([STACK, "down", directory], check=False, stdout=subprocess.DEVNULL)
        shutil.rmtree(parent, ignore_errors=True)


def part(stack, *command):
    """deploy/stack's commands for one part of it."""
    subprocess.run([STACK, command[0], stack.directory, *command[1:]], check=True, stdout=subprocess.DEVNULL)


def load_command(stack, *arguments):
    return [os.path.join(stack.build, "tests", "load"), stack.directory, *map(str, arguments)]


def load(stack, *arguments):
    """Runs tests/bench/load and returns what it printed."""
    return subprocess.run(load_command(stack, *arguments), check=True, capture_output=True, text=True).stdout


def load_beside(stack, *arguments):
    """Starts tests/bench/load, which goes on beside what is measured; end() ends it."""
    return subprocess.Popen(load_command(stack, *arguments))


def end(process):
    process.terminate()
    process.wait()


# ---- until all is through ----

def wait_consumed(stack, seconds=600):
    """Until every input record that is there now is taken in."""
    stack.wait_consumed(seconds)


def wait_relayed(stack, seconds=600):
    """Until every outbox row that is there now is published. Asks for the ends once: asking must cost nothing here."""
    with stack.register() as connection:
        ends = dict(connection.execute("SELECT topic, max(seq) FROM outbox GROUP BY topic").fetchall())

        def through():
            mirror = dict(connection.execute("SELECT topic, seq FROM mirror").fetchall())
            return all(mirror.get(topic, 0) >= seq for topic, seq in ends.items())
        wait_for("the outbox to be relayed", through, seconds, every=0.02)


def wait_destroyed(stack, seconds=600):
    """Until the keys of everybody who is forgotten are destroyed."""
    with stack.register() as connection:
        wait_for("the keys to be destroyed", lambda: not connection.execute(
            "SELECT EXISTS (SELECT FROM tombstone WHERE destroyed IS NULL) OR EXISTS (SELECT FROM doomed)").fetchone()[0],
            seconds, every=0.02)


def settle(stack, seconds=900):
    wait_consumed(stack, seconds)
    wait_relayed(stack, seconds)


def value(stack, which, name):
    """Sum of a metric's samples; None while the daemon does not answer."""
    try:
        with urllib.request.urlopen(f"http://{stack.env[which + '_HTTP']}/metrics", timeout=2) as reply:
            body = reply.read().decode()
    except OSError:
        return None
    return sum(float(line.rsplit(" ", 1)[1]) for line in body.splitlines() if re.match(f"kundregister_{name}[ {{]", line))


def is_ready(stack, which):
    try:
        with urllib.request.urlopen(f"http://{stack.env[which + '_HTTP']}/readyz", timeout=2) as reply:
            return reply.status == 200
    except OSError:
        return False


# ---- processes ----

def stat(pid):
    """(parent, µs of processor time with that of ended children), or None when there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            fields = file.read().rsplit(")", 1)[1].split()
    except OSError:
        return None
    return int(fields[1]), sum(map(int, fields[11:15])) * TICK_US


def family_cpu_us(pid):
    """Processor time of a process, its children that are there and those that ended."""
    total = stat(pid)[1]
    for name in os.listdir("/proc"):
        if name.isdigit():
            one = stat(name)
            if one and one[0] == pid:
                total += one[1]
    return total


def part_pid(stack, name):
    if name != "kafka":
        with open(os.path.join(stack.directory, name, "postmaster.pid"), encoding="ascii") as file:
            return int(file.readline())
    told = subprocess.run([STACK, "status", stack.directory], capture_output=True, text=True, check=False).stdout
    return int(re.search(r"^kafka:.* pid (\d+)", told, re.M)[1])


class Cpu:
    """Processor time of a stack's parts since this was made, in µs."""

    def __init__(self, stack, names=("kafka", "register", "vault")):
        self.pids = {name: part_pid(stack, name) for name in names}
        self.before = {name: family_cpu_us(pid) for name, pid in self.pids.items()}

    def spent(self):
        return {name: family_cpu_us(pid) - self.before[name] for name, pid in self.pids.items()}


def machine_busy_us():
    """Processor time that anybody spent on this machine."""
    with open("/proc/stat", encoding="ascii") as file:
        user, nice, system, _idle, _iowait, irq, softirq = map(int, file.readline().split()[1:8])
    return (user + nice + system + irq + softirq) * TICK_US


def peak_rss_mb(pid):
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
        return int(re.search(r"^VmHWM:\s+(\d+) kB", file.read(), re.M)[1]) / 1024
