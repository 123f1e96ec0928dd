"""Nasty 1 to 31 (SCENARIOS.md, "real broker, real PostgreSQL"): which tests each number has, and how they are run.

A test is a story in a script of tests/integration (some scripts take names, others run whole), a golden folder, a cmocka
program, a fault of the campaign's table, or a scenario of this folder. `check()` says whether each of them is there."""
import collections
import os
import re
import subprocess
import sys
import tempfile

import scenarios
import scenarios_alone
from stack import ROOT
from table import FAULTS

# where: script | golden | unit | fault | scenario | alone (a scenario that has a world of its own)
Test = collections.namedtuple("Test", "where file name")


def script(file, *names):
    return [Test("script", f"tests/integration/{file}.py", name) for name in names]


def unit(program, *names):
    return [Test("unit", f"tests/unit/{program}.c", name) for name in names]


def golden(*folders):
    return [Test("golden", "tests/golden", folder) for folder in folders]


def faults(*names):
    return [Test("fault", None, name) for name in names]


def scenario(*names):
    return [Test("scenario", None, name) for name in names]


def alone(*names):
    return [Test("alone", None, name) for name in names]


NASTY = {
    1: ("the relay's horizon under 8 writers", script("relay_horizon", "nothing_lost_under_writers", "by_number_whatever_the_plan")),
    2: ("PostgreSQL stopped after aborted transactions",
        script("relay_horizon", "crash_after_aborted_transactions") + faults("register: immediate stop")),
    3: ("a write transaction open elsewhere",
        script("relay_horizon", "long_transaction_is_named") + faults("a long write transaction elsewhere")),
    4: ("a worker silent after an UPDATE without Sync",
        scenario("silent_worker") + script("consumer_test", "silent_predecessor") + faults("a silent backend that holds positions")),
    5: ("stopped past the session, continued",
        script("consumer_test", "stopped_and_continued") + faults("stopped past the session, then continued")),
    6: ("stopped inside the rebalance callback",
        script("consumer_test", "stopped_in_rebalance") + faults("a rebalance storm")),
    7: ("COMMIT's reply is cut", script("consumer_commit_cut", "each_counts_once") +
        faults("connections cut behind every second COMMIT")),
    8: ("three topics of one customer on three workers",
        scenario("three_topics") + faults("rows of persons locked by another, in another order")),
    9: ("a topic made anew, shorter and longer", script("consumer_test", "topic_made_anew") +
        alone("made_anew_under_it") + faults("a topic made anew, shorter or longer")),
    10: ("retention passes the position", script("consumer_test", "gap") + faults("retention passes the position")),
    11: ("partitions 3 to 12 in mid-load", alone("as_one_partition") +
         script("edges_running", "wider_topic", "wider_while_stopped") + faults("partitions added, 3 to 12")),
    12: ("kill -9 at every labelled point of the relay", script("relay_crashes", "killed_everywhere") +
         scenario("killed_where_it_seldom_comes") + faults("kill -9 at a labelled point")),
    13: ("a transaction's end lost, the broker killed in it", script("relay_crashes", "broker_killed_inside_commit") +
         scenario("end_of_transaction_lost") + faults("broker: killed while a transaction ends")),
    14: ("a zombie relay", script("relay_crashes", "zombie_is_fenced") + faults("stopped at a labelled point, continued late")),
    15: ("a foreign transaction on the position", script("relay_refusals", "foreign_transaction") +
         faults("a foreign open transaction on the relay's position")),
    16: ("an older register, the consumer first", script("relay_refusals", "restored_register") +
         faults("register restored from a backup")),
    17: ("Kafka wiped, PostgreSQL kept", alone("kafka_wiped") + script("relay_refusals", "kafka_lost") +
         script("consumer_test", "wrong_cluster")),
    18: ("one topic denied, one row too large", script("relay_stalls", "denied_topic", "too_large_row") +
         faults("one output topic is denied")),
    19: ("erased while its disclosure is on its way",
         script("relay_withheld", "unread", "read_not_opened", "aborted", "uncommitted") +
         script("forgetting", "erased_on_the_way") + faults("erasures while the relay stands in its transaction")),
    20: ("killed between the steps of an erasure", script("forgetting", "killed_in_erasure")),
    21: ("a replay from 0 after very many erasures", script("forgetting", "thousand") + golden("014-erased-and-replayed") +
         faults("everything read again from zero")),
    22: ("older register, older vault, both old, both empty",
         script("restores", "older_register", "older_vault", "both_old", "both_empty") + faults("vault restored from a backup")),
    23: ("orders of arrival around a cut", script("forgetting", "orders_of_arrival") +
         unit("test_decide_erasure", "new_life", "changed_after_the_cut")),
    24: ("base backup, all WAL, today's vault", script("restores", "only_with_the_keys")),
    25: ("marker strings and keys nowhere", script("forgetting", "marked", "searched")),
    26: ("all permutations of one customer's events",
         unit("test_decide_permute", "every_pair_and_triple", "partial_changes", "random_histories") +
         unit("test_decide_interleavings", "chosen_in_all_orders", "every_pair_in_all_orders")),
    27: ("poison of every kind among good records", scenario("poison") + script("consumer_test", "refused_by_database") +
         golden("029-poison-among-good") + faults("a burst of poison")),
    28: ("a sealed cell moved elsewhere", unit("test_seal", "moved_cells_do_not_open", "other_keys_do_not_open") +
         script("relay_stalls", "sealed_rows")),
    29: ("two carriers' streams cannot be joined", scenario("streams_joined") + golden("007-carrier-changed")),
    30: ("a wrong key-encryption key, an older vault, a lost ring",
         script("edges_start", "keys", "foreign_vault", "older_vault") + script("edges_running", "lost_ring") +
         faults("a wrong key-encryption key")),
    31: ("disks full under the WAL and Kafka's log",
         faults("disk full under the register's WAL", "disk full under Kafka's log")),
}
TAKES_NAMES = ("relay_", "consumer_test", "edges_running", "forgetting")


def there(test):
    """Whether the test exists under this name."""
    if test.where == "fault":
        return test.name in FAULTS
    if test.where in ("scenario", "alone"):
        return test.name in (scenarios if test.where == "scenario" else scenarios_alone).SCENARIOS
    path = os.path.join(ROOT, test.file)
    if test.where == "golden":
        return os.path.isdir(os.path.join(path, test.name))
    if not os.path.exists(path):
        return False
    with open(path, encoding="utf-8") as file:
        text = file.read()
    if test.where == "unit":
        return re.search(rf"cmocka_unit_test\w*\({test.name}\b", text) is not None
    return re.search(rf"^def (test_)?{test.name}\(", text, re.MULTILINE) is not None


def missing():
    """What the table names and nobody has, and numbers without a test."""
    found = [f"{number}: {test.name}" for number, (_, tests) in NASTY.items() for test in tests if not there(test)]
    return found + [f"{number} has no test" for number in range(1, 32) if not NASTY.get(number, ("", []))[1]]


def show():
    for number, (what, tests) in NASTY.items():
        print(f"{number:2} {what}")
        for test in tests:
            print(f"     {test.where:8} {test.file + ' ' if test.file else ''}{test.name}")


def commands(tests, build):
    """[(title, command)] of the tests outside of this folder; STACK stands for a fresh stack's directory."""
    grouped = {}
    for test in tests:
        if test.where in ("script", "golden", "unit"):
            names = grouped.setdefault((test.where, test.file), [])
            names += [test.name] if test.name not in names else []
    for (where, file), names in grouped.items():
        if where == "unit":
            program = os.path.join(build, "tests", os.path.basename(file).removesuffix(".c"))
            yield file, [program]
        elif where == "golden":
            yield file, [sys.executable, os.path.join(ROOT, "tests/golden/run.py"), "STACK", build, *names]
        else:
            takes = os.path.basename(file).startswith(TAKES_NAMES)
            yield file, [sys.executable, os.path.join(ROOT, file), "STACK", build, *(names if takes else [])]


def run_command(title, command, build):
    """Its lines, and whether none of them failed."""
    with tempfile.TemporaryDirectory(prefix="kundregister-nasty.") as directory:
        os.chmod(directory, 0o711)
        stack = os.path.join(directory, "stack")
        deploy = os.path.join(ROOT, "deploy", "stack")
        on_stack = "STACK" in command
        try:
            if on_stack:
                subprocess.run([deploy, "up", stack, "--build", build], check=True, stdout=subprocess.DEVNULL)
            done = subprocess.run([stack if word == "STACK" else word for word in command], capture_output=True, text=True,
                                  env={**os.environ, "CMOCKA_MESSAGE_OUTPUT": "TAP", "TMPDIR": directory})
        finally:
            if on_stack:
                subprocess.run([deploy, "down", stack], stdout=subprocess.DEVNULL)
    lines = [re.sub(r"^((not )?ok) \d+ - ", rf"\1 - {os.path.basename(title)}: ", line) for line in done.stdout.splitlines()]
    passed = [line for line in lines if line.startswith("ok - ")]
    failed = [line for line in lines if line.startswith("not ok - ")]
    if done.returncode and not failed:
        failed = [f"not ok - {title} exited with {done.returncode}"]
        lines += failed + ["# " + line for line in done.stderr.splitlines()[-10:]]
    return lines, len(passed), len(failed)
