"""A model of the register, written from SPEC.md, SEMANTICS.md, events.json and the policy alone.

It takes the accepted facts in any order and says what the dump must be and what each recipient must end up holding.
Nothing in it knows how the program works: everything is computed anew from the whole set of facts. What it knows of each
aggregate stands in a file of its own (model_persons.py and its neighbours).
"""
import collections

from facts import consignee_of
from model_consents import ConsentLines
from model_erasures import ErasureLines
from model_orders import Order, OrderLines
from model_persons import Person, PersonLines
from model_shipments import Shipment, ShipmentLines
from terms import Terms


class Model(PersonLines, ShipmentLines, OrderLines, ConsentLines, ErasureLines):
    def __init__(self, policy, refs, ties=()):
        """refs: the stack's keyed names. ties: (request_id, person, time_us): employees' commands, which are sealed for
        anybody else."""
        self.policy, self.terms, self.refs = policy, Terms(policy), refs
        self.persons, self.orders, self.shipments, self.requests = {}, {}, {}, {}
        self.ties = list(ties)
        self.seen, self.facts, self.profiles = set(), [], {}
        # What becomes of facts that know a ref or token only: (fact, its ref or token)
        self.unknown, self.foreign = [], []

    def take(self, fact):
        if fact.name() not in self.seen:
            self.seen.add(fact.name())
            self.facts.append(fact)

    def person(self, name):
        found = self.persons.get(name)
        if found is None:
            found = self.persons[name] = Person(name)
        return found

    # ---- from facts to aggregates ----

    def gather(self):
        statuses, by_token = [], []
        for fact in self.facts:
            group = fact.kind.rsplit(".", 1)[0]
            if group == "carrier.delivery":
                statuses.append(fact)
            elif group == "shop.consent" and "token" in fact.data:
                by_token.append(fact)
            elif group == "shop.consent":
                self.take_consent(fact)
            elif group == "shop.customer":
                getattr(self.person(fact.data["customer_id"]), fact.what).append(fact)
            elif group == "shop.order":
                self.take_order(fact)
            elif group == "shop.shipment":
                self.take_shipment(fact)
            elif group == "privacy.request":
                self.requests.setdefault(fact.data["request_id"], []).append(fact)
        self.take_statuses(statuses)
        self.take_requests()
        for person in self.persons.values():
            person.settle_cuts()
        self.open_recipients()
        self.take_tokens(by_token)

    def take_consent(self, fact):
        person = self.person(fact.data["customer_id"])
        person.named.append(fact.time)
        person.consents.append((fact, None))
        if fact.what == "granted":
            person.openers.append(fact.time)
            person.order_activity.append(fact.time)

    def take_order(self, fact):
        key = (fact.data["customer_id"], fact.data["order_id"])
        person, order = self.person(key[0]), self.orders.setdefault(key, Order())
        person.named.append(fact.time)
        person.trade |= fact.what != "changed"
        if fact.what in ("placed", "changed"):
            order.stated.append(fact)
            person.order_activity.append(fact.time)
        if fact.what == "placed":
            order.placed.append(fact.time)
            person.openers.append(fact.time)
        elif fact.what == "paid":
            order.paid.append(fact)
        elif fact.what == "cancelled":
            order.cancels.append(fact.time)

    def take_shipment(self, fact):
        key = (fact.data["customer_id"], fact.data["shipment_id"])
        shipment = self.shipments.setdefault(key, Shipment())
        self.person(key[0]).named.append(fact.time)
        if fact.what == "cancelled":
            shipment.cancels.append(fact)
            return
        shipment.stated.append(fact)
        self.person(consignee_of(fact)).named.append(fact.time)
        self.orders.setdefault((key[0], fact.data["order_id"]), Order()).named.append(fact.time)

    def take_statuses(self, statuses):
        known = {}
        for (customer, name), shipment in self.shipments.items():
            for carrier in {fact.data["carrier"] for fact in shipment.stated}:
                known[self.refs.shipment(carrier, customer, name)] = (carrier, shipment)
        for fact in statuses:
            carrier, shipment = known.get(fact.data["shipment_ref"], (None, None))
            if shipment is None:
                self.unknown.append(fact)
            elif carrier == fact.sender:
                shipment.statuses.append(fact)
            else:
                self.foreign.append(fact)

    def open_recipients(self):
        for shipment in self.shipments.values():
            first = min((fact.time for fact in shipment.stated), default=None)
            for fact in shipment.stated:
                if fact.data.get("recipient_id") is not None:
                    self.person(consignee_of(fact)).openers.append(first)

    def take_tokens(self, facts):
        known = {}
        for person in list(self.persons.values()) if facts else ():
            for generation in person.tokens_known() if not person.is_recipient else ():
                known[self.refs.token(person.name, generation)] = (person, generation)
        for fact in facts:
            person, generation = known.get(fact.data["token"], (None, None))
            if person is None:
                self.unknown.append(fact)
            else:
                person.consents.append((fact, ("token", generation)))

    # ---- the whole ----

    def fold(self):
        """The dump's lines, in no order."""
        self.gather()
        self.views = [self.shipment_view(key) for key in self.shipments]
        self.by_order = collections.defaultdict(list)
        for view in self.views:
            self.by_order[view["key"][0], view["order"]].append(view)
            if view["stated"]:
                view["person"].views.append(view)
        self.orders_of, self.shipments_of = collections.defaultdict(list), collections.defaultdict(list)
        for key, order in self.orders.items():
            self.orders_of[key[0]].append((key, order))
        for key, shipment in self.shipments.items():
            self.shipments_of[key[0]].append((key, shipment))
        self.gather_addresses()
        lines = []
        for person in list(self.persons.values()):
            lines += self.person_lines(person)
            lines += self.consent_lines(person)
            lines += self.permission_lines(person)
            lines += self.suppression_lines(person)
            lines += self.tombstone_lines(person)
        lines += [self.order_line(key) for key in self.orders]
        lines += [self.shipment_line(view) for view in self.views]
        lines += [self.request_line(name, facts) for name, facts in self.requests.items()]
        return lines
