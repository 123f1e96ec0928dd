#!/usr/bin/env python3
"""An independent judge of a run: tests/judge/judge.py STACK BUILD [options], or tests/judge/judge.py --history FILE

Reads what went in (all input topics from their start), what came out (outputs, read_committed), the register's dump and
tables; judges every input record by itself, folds the good ones through model.py and compares. It knows the contract and the
policy, nothing of how the program is built. Anomalies are named as in Jepsen's reports; the exit code is 1 when there is any.

  lost             an accepted fact, or a decided output, shows nowhere
  lost-update      an aggregate shows an older version than its facts have
  different        it is there with other contents
  resurrected      the register or vault has what no fact explains, or what was erased
  phantom          an output, dead letter or notice that nothing explains
  duplicate        an output, id or line once more
  reordered        two outputs of one key in another order than decided
  stale            the last word on something is an older state of it
  misjudged        a good record refused, a bad one taken in, or refused for another reason
  uncounted        a record that is not exactly one of taken in, parked, dead letter
  unpermitted      a recipient was given what the policy or no fact gives it
  undisclosed      a recipient does not hold what it needs
  untold           a recipient of an erased person got no notice that names the disclosure
  leak             a value of an erased person in an output that was written after the erasure
  late             the keys of an erased person were not destroyed within the time that is promised
  malformed        an output whose envelope, key or data is not what events.json says

As a library: Judge(stack).run() gives the list of (anomaly, text); each check_*.py says what it judges and what it does not.
"""
import argparse
import collections
import json
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "lib")]
import check_disclosures  # noqa: E402
import check_forgotten  # noqa: E402
import check_inputs  # noqa: E402
import check_known  # noqa: E402
import check_register  # noqa: E402
import check_streams  # noqa: E402
import check_subjects  # noqa: E402
from history import History  # noqa: E402
from refs import Refs, read_key  # noqa: E402,F401  (for whoever plays events)
from terms import parse_time  # noqa: E402
from world import Findings, World  # noqa: E402

CHECKS = [check_inputs, check_register, check_streams, check_disclosures, check_known, check_subjects]


class Judge:
    """Of a stack that is at rest: all consumed, relayed, erased (Stack.settle, Stack.wait_erased)."""

    def __init__(self, stack=None, ties=(), history=None, earlier=(), gaps=(), refused=(), ignore=(),
                 slack_us=check_forgotten.SLACK_US, punctual=False):
        """ties: (request_id, person, time_us), besides those that the audit knows. earlier: reading.inputs_of() from before
        a topic was made anew. gaps: {(topic, partition): [(from, to)]}, offsets that the register was told to pass over.
        refused: regular expressions; the database may have refused a record whose data, as JSON, matches (a planted constraint).
        ignore: the same; what matches "anomaly: text" is counted as known and not reported. slack_us: how long after
        the keys' destruction a transaction of the relay may still have been open. punctual: the vault was there all the time, so
        that how long it took to destroy keys is judged, too."""
        self.stack, self.history, self.ties = stack, history, ties
        self.earlier, self.gaps, self.slack_us, self.punctual = earlier, dict(gaps), slack_us, punctual
        self.refused, self.ignore = ([re.compile(one) for one in some] for some in (refused, ignore))
        self.anomalies, self.known = [], []

    def run(self):
        if self.history is None:
            import reading  # needs libraries that a judge of plain data does not
            self.history = reading.read(self.stack, self.earlier)
        world, findings = World(self.history, self.ties, self.gaps, self.refused), Findings()
        for check in CHECKS:
            check.check(world, findings.say)
        check_forgotten.check(world, findings.say, self.slack_us, self.punctual)
        self.world = world
        for anomaly, what in findings.found:
            known = any(one.search(f"{anomaly}: {what}") for one in self.ignore)
            (self.known if known else self.anomalies).append((anomaly, what))
        return self.anomalies

    def counts(self):
        return dict(sorted(collections.Counter(anomaly for anomaly, _ in self.anomalies).items()))

    @property
    def looked(self):
        """{check: how much it looked at}"""
        return dict(self.world.looked)

    @property
    def remarks(self):
        """What was not judged, and why."""
        return list(self.world.remarks)

    def summary(self):
        """What there was."""
        history = self.history
        return {"records": len(history.inputs), "dead_letters": len(history.dead_letters), "parked": len(history.parked),
                "persons": len(self.world.model.persons), "lines": len(history.dump), "outputs": len(history.outputs),
                "withheld": len(history.suppressed), "known": len(self.known)}


def report(judge, show):
    """Some of each kind, so that one fault does not drown another."""
    shown = collections.Counter()
    for anomaly, what in judge.anomalies:
        shown[anomaly] += 1
        if shown[anomaly] <= show:
            print(f"{anomaly}: {what}")
    for name, count in judge.looked.items():
        print(f"looked at {count:7} {name}")
    for text in judge.remarks:
        print(f"not judged: {text}")
    for anomaly, count in shown.items():
        if count > show:
            print(f"{anomaly}: ... and {count - show} more")
    print(", ".join(f"{count} {name}" for name, count in judge.summary().items()) + "; "
          + (", ".join(f"{count} {name}" for name, count in judge.counts().items()) or "no anomaly"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stack", nargs="?")
    parser.add_argument("build", nargs="?")
    parser.add_argument("--history", metavar="FILE", help="judge what --record kept, instead of a stack")
    parser.add_argument("--record", metavar="FILE", help="keep what was read")
    parser.add_argument("--tie", nargs=3, action="append", default=[], metavar=("REQUEST", "PERSON", "TIME"))
    parser.add_argument("--gap", action="append", default=[], metavar="TOPIC/PARTITION:FROM-TO",
                        help="offsets that the register was told to pass over")
    parser.add_argument("--ignore", action="append", default=[], metavar="REGEX", help="what is known already")
    parser.add_argument("--punctual", action="store_true", help="the vault was there all the time: judge how long keys lived on")
    parser.add_argument("--show", type=int, default=10, help="of each anomaly (10)")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    gaps = collections.defaultdict(list)
    for text in given.gap:
        topic, partition, start, end = re.fullmatch(r"(.+)/(\d+):(\d+)-(\d+)", text).groups()
        gaps[topic, int(partition)].append((int(start), int(end)))
    stack = None
    if not given.history:
        from stack import Stack
        stack = Stack(given.stack, given.build)
    judge = Judge(stack, [(request, person, parse_time(time)) for request, person, time in given.tie],
                  History.load(given.history) if given.history else None, gaps=gaps, ignore=given.ignore,
                  punctual=given.punctual)
    judge.run()
    if given.record:
        judge.history.save(given.record)
    if given.json:
        print(json.dumps({**judge.summary(), "counts": judge.counts(), "looked": judge.looked, "not_judged": judge.remarks,
                          "anomalies": [{"anomaly": anomaly, "what": what} for anomaly, what in judge.anomalies]}))
    else:
        report(judge, given.show)
    return 1 if judge.anomalies else 0


if __name__ == "__main__":
    sys.exit(main())
