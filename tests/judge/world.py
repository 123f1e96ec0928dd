"""A history made ready for the checks: each input's verdict, the model folded from what is good, the outputs read, and the
names (refs) that the facts can give to persons, shipments and disclosures.
"""
import collections
import json

from facts import FIRST, consignee_of, role_of
from model import Model
from outputs import Output
from refs import Refs
from verdict import verdict

DISCLOSURES = ("register.disclosure.shipment", "register.disclosure.newsletter")
PARKING_US = 30 * 86400 * 1000000

# What a recipient may hold under one disclosure_ref. key: (customer, shipment), None for a newsletter; facts: the shipment's
# facts that give it.
Unit = collections.namedtuple("Unit", "recipient person generation key service role facts")


class Findings:
    """Anomalies as they are found: (name, one line)."""

    def __init__(self):
        self.found = []

    def say(self, anomaly, what):
        self.found.append((anomaly, what))


class World:
    def __init__(self, history, ties=(), gaps=(), may_refuse=()):
        """gaps: {(topic, partition): [(from, to)]}, offsets that the register was told to pass over. may_refuse: compiled
        expressions of data that the database may have refused."""
        self.history, self.policy, self.gaps, self.may_refuse = history, history.policy, dict(gaps), may_refuse
        self.looked, self.remarks = collections.Counter(), []
        self.refused = {(row.topic, row.partition, row.offset) for row in history.dead_letters
                        if row.reason == "refused_by_database"}
        self.refs = Refs(history.ref_key, history.digest_key)
        self.model = Model(self.policy, self.refs, [*ties, *history.ties])
        self.outputs = [Output(record) for record in history.outputs]
        self.ledger = {row.id: row for row in history.ledger}
        self.suppressed = set(history.suppressed)
        for output in self.outputs:
            row = self.ledger.get(output.id)
            output.seq = row.seq if row else None
        self.take_inputs()
        self.lines = self.model.fold()
        self.name_units()

    # ---- what was judged ----

    def look(self, what, count=1):
        """For every check: how much it looked at, also when that is nothing."""
        self.looked[what] += count

    def remark(self, text):
        """What was not judged, and why."""
        self.remarks.append(text)

    def certain(self, output):
        """Whether this record is what the ledger's row of that id decided. After a restored register an output may be of a past
        that is no more, though what took its place has its id."""
        return output.seq is not None and self.ledger[output.id].decided == output.time

    # ---- inputs ----

    def passed_over(self, record):
        return any(start <= record.offset < end for start, end in self.gaps.get(record.place[:2], ()))

    def take_inputs(self):
        """verdicts: (record, verdict). Facts of records that were refused all the same are left out of the model: that they are
        missing is said once, where dead letters are compared. A place may have several records, where a topic was made anew.
        taken: (record, fact) of what the model knows."""
        self.verdicts, self.taken, refused = [], [], collections.Counter(
            (row.topic, row.partition, row.offset) for row in self.history.dead_letters
            if row.reason not in ("not_yours", "unknown_ref"))
        for record in self.history.inputs:
            if self.passed_over(record):
                continue
            found = verdict(record, self.policy)
            if found.fact and self.refused_by_constraint(record, found.fact):
                found.reason = "refused_by_database"
            self.verdicts.append((record, found))
            if found.reason:
                refused[record.place] -= 1
        for record, found in self.verdicts:
            if found.reason:
                continue
            if refused[record.place] > 0:
                refused[record.place] -= 1
            else:
                self.model.take(found.fact)
                self.taken.append((record, found.fact))

    def refused_by_constraint(self, record, fact):
        word = self.history.refused
        return bool(word) and word in fact.data.get("customer_id", "") or \
            (record.place in self.refused and any(one.search(json.dumps(fact.data)) for one in self.may_refuse))

    # ---- names ----

    def generations_ever(self, person):
        """Every name that a generation of the person can have had while some facts were not known."""
        cuts = set(person.requested) | {fact.time for fact in person.closed} | {cut for cut, _ in person.cuts}
        return [FIRST, *sorted(cuts)]

    def name_units(self):
        refs = self.refs
        self.units, self.person_refs = {}, {}
        for name, person in self.model.persons.items():
            for generation in self.generations_ever(person) if person.views or person.consents else ():
                for recipient in self.policy["recipients"]:
                    self.person_refs[refs.person(recipient, name, generation)] = (recipient, name, generation)
                for recipient, service, _ in self.model.letters() if person.consents else ():
                    self.units[refs.disclosure(recipient, name, generation, name, None, service, None)] = \
                        Unit(recipient, name, generation, None, service, None, [])
        for key, shipment in self.model.shipments.items():
            by_unit = collections.defaultdict(list)
            for fact in shipment.stated:
                by_unit[fact.data["carrier"], consignee_of(fact), fact.data["service"], role_of(fact.data)].append(fact)
            for (carrier, name, service, role), facts in by_unit.items():
                for generation in self.generations_ever(self.model.persons[name]):
                    self.person_refs[refs.person(carrier, name, generation)] = (carrier, name, generation)
                    self.units[refs.disclosure(carrier, name, generation, *key, service, role)] = \
                        Unit(carrier, name, generation, key, service, role, facts)

    def unit_name(self, ref):
        """For people: no personal data in it but ids."""
        unit = self.units.get(ref)
        return "a disclosure of nobody" if unit is None else \
            f"{unit.person} {'/'.join(unit.key) if unit.key else 'newsletter'} {unit.service}"

    # ---- outputs ----

    def disclosure_topics(self):
        """{recipient: its outputs in order by key}"""
        found = collections.defaultdict(list)
        for output in self.outputs:
            if output.recipient:
                found[output.recipient].append(output)
        return found

    def by_key(self, kind):
        """{key: its outputs of the kind, in order}"""
        found = collections.defaultdict(list)
        for output in self.outputs:
            if output.kind == kind:
                found[output.key].append(output)
        return found
