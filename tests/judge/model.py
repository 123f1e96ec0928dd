"""A model of the register, written from SPEC.md, SEMANTICS.md, events.json and the policy alone.

It takes the accepted facts in any order and says what the dump must be and what each recipient must end up holding.
Nothing in it knows how the program works: everything is computed anew from the whole set of facts.
"""
import collections
import hashlib
import json

from terms import Terms, show_time

FIELDS = ["first_name", "last_name", "street", "postcode", "city", "country", "phone", "email"]
ADDRESS = ["street", "postcode", "city", "country"]
RANKS = {"unknown": 0, "error": 1, "pre_transit": 2, "in_transit": 3, "out_for_delivery": 4, "available_for_pickup": 5,
         "failure": 6, "cancelled": 7, "return_to_sender": 8, "delivered": 9}
IDENTITIES = ["none", "account", "email_loop", "strong", "clerk"]
FIRST = None  # the first generation's name


class Fact:
    """One accepted event. refs: functions of the stack's own keys, for tokens, refs and address hashes are opaque."""

    def __init__(self, kind, time_us, source, id, data, sequence=None, sender=None):
        self.kind, self.time, self.source, self.id, self.data, self.sender = kind, time_us, source, id, data, sender
        self.sequence = -1 if sequence is None else int(sequence)
        self.digest = hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()

    def version(self, protective=False):
        return (self.time, protective, self.sequence, self.source.encode(), self.id.encode(), self.digest)

    def name(self):
        return (self.source, self.id, self.time, self.sequence, self.digest, self.kind, self.sender)


def cell(until, value):
    return None if until is None else {"until": until.isoformat(), "value": value}


def contact_of(contact, fields):
    return {field: contact[field] for field in fields if contact.get(field) is not None}


class Person:
    """A customer or recipient: his facts, cuts and generations."""

    def __init__(self, name):
        self.name = name
        self.registered, self.changed, self.seen, self.closed = [], [], [], []
        self.named = []          # times of the other facts that name him
        self.openers = []        # times of placed and granted; of a recipient, those of his shipments' generations
        self.order_activity = []
        self.consents = []
        self.requested = set()   # cuts of identified requests
        self.cuts = []           # [(time, cause)], ascending

    def settle_cuts(self):
        self.cuts, self.closed_dropped = [], []
        for time in sorted(self.requested | {fact.time for fact in self.closed}):
            before = self.cuts[-1][0] if self.cuts else -1
            if time in self.requested:
                self.cuts.append((time, "request"))
            elif any(before < fact.time <= time for fact in self.registered):
                self.cuts.append((time, "closed"))

    def generation(self, time):
        found = FIRST
        for cut, _ in self.cuts:
            if cut < time:
                found = cut
        return found

    @property
    def newest(self):
        return self.cuts[-1][0] if self.cuts else FIRST

    def cut_of(self, generation):
        """(time, cause) of the cut that ends the generation, None for the newest."""
        for cut in self.cuts:
            if generation is FIRST or cut[0] > generation:
                return cut
        return None

    def delivery_cut(self, time):
        return next((cut for cut, cause in self.cuts if cause == "request" and cut >= time), None)

    def registered_in(self, generation):
        return [fact for fact in self.registered if self.generation(fact.time) == generation]

    def counts(self, fact):
        """A changed or seen: may it be seen, now or once a registered comes?"""
        generation = self.generation(fact.time)
        if generation is FIRST:
            return True
        return any(one.time <= fact.time for one in self.registered_in(generation))

    def generations(self):
        found = [FIRST] + [cut for cut, _ in self.cuts]
        newest = found.pop()
        exists = any(self.generation(time) == newest for time in self.named) or bool(self.registered_in(newest))
        if newest is FIRST:
            exists |= bool(self.changed or self.seen)
        return found + ([newest] if exists else [])

    def opened(self, generation):
        return bool(self.registered_in(generation)) or any(self.generation(time) == generation for time in self.openers)


class Shipment:
    def __init__(self):
        self.stated, self.cancels, self.statuses = [], [], []


class Order:
    def __init__(self):
        self.stated, self.placed, self.paid, self.cancels, self.named = [], [], [], [], []


class Model:
    def __init__(self, policy, refs, ties=()):
        """refs.shipment(carrier, customer, shipment), refs.token(customer, generation), refs.subject(person),
        refs.address(field, value). ties: (request_id, person, time_us): employees' commands, sealed for anybody else."""
        self.policy, self.terms, self.refs = policy, Terms(policy), refs
        self.persons, self.orders, self.shipments, self.requests = {}, {}, {}, {}
        self.ties = list(ties)
        self.seen, self.facts = set(), []

    def take(self, fact):
        if fact.name() not in self.seen:
            self.seen.add(fact.name())
            self.facts.append(fact)

    def person(self, name):
        return self.persons.setdefault(name, Person(name))

    # ---- from facts to aggregates ----

    def gather(self):
        statuses, by_token = [], []
        for fact in self.facts:
            data, what = fact.data, fact.kind
            if what == "carrier.delivery.status":
                statuses.append(fact)
            elif what.startswith("shop.consent.") and "token" in data:
                by_token.append(fact)
            elif what.startswith("shop.consent."):
                person = self.person(data["customer_id"])
                person.named.append(fact.time)
                person.consents.append((fact, None))
                if what.endswith("granted"):
                    person.openers.append(fact.time)
                    person.order_activity.append(fact.time)
            elif what.startswith("shop.customer."):
                person = self.person(data["customer_id"])
                getattr(person, what.rsplit(".", 1)[1]).append(fact)
            elif what.startswith("shop.order."):
                self.take_order(fact, what.rsplit(".", 1)[1])
            elif what.startswith("shop.shipment."):
                self.take_shipment(fact, what.rsplit(".", 1)[1])
            elif what.startswith("privacy.request."):
                self.requests.setdefault(data["request_id"], []).append(fact)
        self.take_statuses(statuses)
        self.take_requests()
        for person in self.persons.values():
            person.settle_cuts()
        self.open_recipients()
        self.take_tokens(by_token)

    def take_order(self, fact, what):
        customer = fact.data["customer_id"]
        person, order = self.person(customer), self.orders.setdefault((customer, fact.data["order_id"]), Order())
        person.named.append(fact.time)
        if what in ("placed", "changed"):
            order.stated.append(fact)
            person.order_activity.append(fact.time)
        if what == "placed":
            order.placed.append(fact.time)
            person.openers.append(fact.time)
        elif what == "paid":
            order.paid.append(fact)
        elif what == "cancelled":
            order.cancels.append(fact.time)

    def take_shipment(self, fact, what):
        data = fact.data
        key = (data["customer_id"], data["shipment_id"])
        shipment = self.shipments.setdefault(key, Shipment())
        self.person(key[0]).named.append(fact.time)
        if what == "cancelled":
            shipment.cancels.append(fact)
            return
        shipment.stated.append(fact)
        self.person(self.consignee(fact)).named.append(fact.time)
        self.orders.setdefault((key[0], data["order_id"]), Order()).named.append(fact.time)

    @staticmethod
    def consignee(fact):
        recipient = fact.data.get("recipient_id")
        return fact.data["customer_id"] if recipient is None else "recipient:" + recipient

    def take_statuses(self, statuses):
        known = {}
        for (customer, name), shipment in self.shipments.items():
            for fact in shipment.stated:
                carrier = fact.data["carrier"]
                known[self.refs.shipment(carrier, customer, name)] = (carrier, shipment)
        self.parked = []
        for fact in statuses:
            carrier, shipment = known.get(fact.data["shipment_ref"], (None, None))
            if shipment is None:
                self.parked.append(fact)
            elif carrier == fact.sender:
                shipment.statuses.append(fact)

    def take_requests(self):
        for name, facts in self.requests.items():
            received = [fact for fact in facts if fact.kind.endswith("received")]
            identified = [fact for fact in facts if fact.kind.endswith("identified")]
            tied = [person for request, person, _ in self.ties if request == name]
            for fact in received:
                subject = self.subject(fact)
                if subject is not None:
                    self.person(subject).named.append(fact.time)
                if identified or any(one.data["identity"] != "none" for one in received):
                    for person in [subject] if subject is not None else tied:
                        self.person(person).requested.add(fact.time)
                        self.person(person).named.append(fact.time)

    @staticmethod
    def subject(fact):
        subject = fact.data["subject"]
        if "customer_id" in subject:
            return subject["customer_id"]
        return "recipient:" + subject["recipient_id"] if "recipient_id" in subject else None

    def open_recipients(self):
        for shipment in self.shipments.values():
            first = min((fact.time for fact in shipment.stated), default=None)
            for fact in shipment.stated:
                if fact.data.get("recipient_id") is not None:
                    self.person(self.consignee(fact)).openers.append(first)

    def take_tokens(self, facts):
        known = {}
        for person in list(self.persons.values()):
            for generation in person.generations():
                known[self.refs.token(person.name, generation)] = (person, generation)
        for fact in facts:
            person, generation = known.get(fact.data["token"], (None, None))
            if person is None:
                self.parked.append(fact)
            else:
                person.consents.append((fact, ("token", generation)))

    # ---- persons ----

    def field_versions(self, person, generation):
        best = {}
        facts = person.registered_in(generation) + [fact for fact in person.changed if
                                                    person.generation(fact.time) == generation and person.counts(fact)]
        named = self.policy["categories"]["profile"]["fields"]
        for fact in facts:
            contact = fact.data["contact"]
            stated = set(contact)
            if stated & set(ADDRESS):
                stated |= set(ADDRESS)
            for field in stated & set(named):
                value = contact.get(field)
                version = fact.version(value is None)
                if field not in best or version > best[field][0]:
                    best[field] = (version, value)
        return best

    def last_activity(self, person, generation, unseen=False):
        times = [time for time in person.order_activity if person.generation(time) == generation]
        if person.registered_in(generation) or unseen:
            times += [fact.time for fact in person.registered + person.changed + person.seen
                      if person.generation(fact.time) == generation and
                      (fact.kind.endswith("registered") or person.counts(fact))]
        return max(times, default=None)

    def profile_end(self, person):
        generation = person.newest
        first = min((fact.time for fact in person.registered + person.changed + person.seen
                     if person.generation(fact.time) == generation), default=None)
        return self.terms.until("profile", {"last_activity": self.last_activity(person, generation, True),
                                            "recorded": first})

    def person_lines(self, person):
        for generation in person.generations():
            registered = person.registered_in(generation)
            newest = max(registered, key=lambda fact: fact.version(), default=None)
            line = {"line": "person", "person": person.name, "generation": show_time(generation), "opened": None,
                    "kind": None, "notice": newest.data["notice"]["id"] if newest else None, "language": None,
                    "closed": None, "last_activity": None, "field_times": None, "profile": None}
            if generation == person.newest:
                line["opened"] = person.opened(generation)
                line["last_activity"] = show_time(self.last_activity(person, generation))
                if newest:
                    versions = self.field_versions(person, generation)
                    line["kind"], line["language"] = newest.data["kind"], newest.data["notice"]["language"]
                    line["field_times"] = {field: show_time(versions[field][0][0]) for field in FIELDS
                                           if field in versions}
                    line["profile"] = cell(self.profile_end(person),
                                           {field: value for field, (_, value) in versions.items() if value is not None})
            yield line

    # ---- shipments ----

    @staticmethod
    def parcels(shipment, carrier, count):
        """Of each parcel (rank, -time) at its best, None where nothing is known."""
        best = [None] * count
        for fact in shipment.statuses:
            if fact.sender != carrier:
                continue
            value = (RANKS[fact.data["status"]], -fact.time)
            wanted = fact.data.get("parcel")
            for index in range(count):
                if wanted in (None, index + 1) and (best[index] is None or value > best[index]):
                    best[index] = value
        return best

    def shipment_view(self, key):
        shipment = self.shipments[key]
        view = {"key": key, "shipment": shipment, "stated": bool(shipment.stated)}
        view["cancelled"] = min((fact.time for fact in shipment.cancels), default=None)
        times = [fact.time for fact in shipment.stated + shipment.cancels]
        view["recorded"] = min(times)
        if not shipment.stated:
            cancel = min(shipment.cancels, key=lambda fact: (fact.time, fact.data["order_id"].encode()))
            person = self.person(key[0])
            view.update(order=cancel.data["order_id"], person=person, generation=person.generation(cancel.time),
                        closed=True, delivered=None, waiting=False, erased=False)
            return view
        top = max(shipment.stated, key=lambda fact: fact.version())
        first = min(shipment.stated, key=lambda fact: fact.version())
        person = self.person(self.consignee(top))
        parcels = self.parcels(shipment, top.data["carrier"], top.data["parcels"])
        cut = person.delivery_cut(first.time)
        closes = view["cancelled"] if view["cancelled"] is not None else \
            max(-one[1] for one in parcels) if all(one and one[0] >= 7 for one in parcels) else None
        delivered = max(-one[1] for one in parcels) if all(one and one[0] == 9 for one in parcels) else None
        view.update(top=top, first=first, order=top.data["order_id"], person=person, closed=closes is not None,
                    closes=closes, delivered=delivered, generation=person.generation(first.time), cut=cut,
                    erased=cut is not None, waiting=cut is not None and closes is None)
        return view

    def shipment_line(self, view):
        top = view.get("top")
        data = top.data if top else {}
        line = {"line": "shipment", "customer": view["key"][0], "shipment": view["key"][1], "order": view["order"],
                "person": view["person"].name, "generation": show_time(view["generation"]),
                "direction": data.get("direction"), "country": self.country(data) if top else None,
                "return": data.get("return_id"), "carrier": data.get("carrier"), "service": data.get("service"),
                "role": None if not top else "consignor" if data["direction"] == "return" else "consignee",
                "parcels": data.get("parcels"), "version_time": show_time(top.time) if top else None,
                "cancelled": show_time(view["cancelled"]), "closed": view["closed"], "waiting": view["waiting"],
                "statuses": self.status_list(view["shipment"]), "delivery": None}
        if top and not (view["erased"] and view["closed"]):
            line["delivery"] = cell(self.delivery_until(view), self.delivery_content(top))
        return line

    def country(self, data):
        return data["consignee"].get("country") or self.policy["controller"]["country"]

    def delivery_content(self, fact):
        named = self.policy["categories"]["delivery"]["fields"]
        value = contact_of(fact.data["consignee"], [field for field in FIELDS if field in named])
        if fact.data.get("pickup_point") is not None and "pickup_point" in named:
            value["pickup_point"] = fact.data["pickup_point"]
        return value

    def delivery_until(self, view):
        delivered = view["delivered"] if view["top"].data["direction"] == "return" else \
            self.last_delivered(view["key"][0], view["order"])
        return self.terms.until("delivery", {"last_delivered": delivered, "recorded": view["recorded"]})

    @staticmethod
    def status_list(shipment):
        best = {}
        for fact in shipment.statuses:
            key = (fact.sender, fact.data.get("parcel"))
            value = (RANKS[fact.data["status"]], -fact.time)
            if key not in best or value > best[key][0]:
                best[key] = (value, fact)
        return [{"carrier": carrier, "parcel": parcel, "status": fact.data["status"], "time": show_time(fact.time)}
                for (carrier, parcel), (_, fact) in
                sorted(best.items(), key=lambda item: (item[0][0].encode(), item[0][1] or 0))]

    # ---- orders ----

    def outbound(self, customer, order):
        return [view for view in self.views if view["key"][0] == customer and view["order"] == order and
                view["stated"] and view["top"].data["direction"] == "outbound"]

    def last_delivered(self, customer, order):
        views = [view for view in self.by_order[customer, order]
                 if view["stated"] and view["top"].data["direction"] == "outbound" and view["cancelled"] is None]
        times = [view["delivered"] for view in views]
        return None if not times or None in times else max(times)

    def order_line(self, key):
        order, terms = self.orders[key], self.terms
        person = self.person(key[0])
        top = max(order.stated, key=lambda fact: fact.version(), default=None)
        times = [fact.time for fact in order.stated]
        facts = times + [fact.time for fact in order.paid] + order.cancels
        generation = person.generation(min(times) if times else min(facts + order.named))
        delivered = self.last_delivered(*key)
        payments = {}
        for fact in order.paid:
            held = payments.get((fact.source, fact.id))
            if held is None or fact.version() > held.version():
                payments[fact.source, fact.id] = fact
        payments = sorted(payments.values(), key=lambda fact: fact.version())
        recorded = min(facts, default=None)
        cancelled = min(order.cancels, default=None)
        claim = voucher = oss = None
        if top:
            value = {"lines": top.data["lines"], "total": top.data["total"], "currency": top.data["currency"]}
            if top.data.get("buyer") is not None:
                value["buyer"] = contact_of(top.data["buyer"], FIELDS)
            clocks = {"last_delivered": delivered, "recorded": recorded,
                      "order_closed": cancelled if cancelled is not None else delivered}
            claim = cell(terms.until("claim", clocks), value)
        if payments:
            date = terms.local_date(payments[0].time)
            clocks = {"financial_year_calendar_end": date, "calendar_year_end": date,
                      "last_delivered": delivered, "recorded": recorded}
            value = {"order_id": key[1], "date": date.isoformat(), "payments": [
                {"source": fact.source, "id": fact.id, "time": show_time(fact.time), "amount": fact.data["amount"],
                 "currency": fact.data["currency"]} for fact in payments]}
            if top:
                value.update(lines=top.data["lines"], total=top.data["total"], currency=top.data["currency"])
            voucher = cell(terms.until("voucher", clocks), value)
            oss = self.oss(key, top, date, clocks)
        return {"line": "order", "customer": key[0], "generation": show_time(generation), "order": key[1],
                "known": top is not None, "guest": top.data["guest"] if top else None,
                "placed": show_time(min(order.placed, default=None)), "version_time": show_time(top.time) if top else None,
                "cancelled": show_time(cancelled),
                "payments": [{"source": fact.source, "id": fact.id, "time": show_time(fact.time)} for fact in payments],
                "last_delivered": show_time(delivered), "claim": claim, "voucher": voucher, "oss": oss}

    def oss(self, key, top, date, clocks):
        rule = self.policy["categories"].get("oss")
        views = [view for view in self.by_order[key]
                 if view["stated"] and view["top"].data["direction"] == "outbound"]
        if rule is None or not views:
            return None
        first = min(views, key=lambda view: (view["first"].version(), view["key"][1].encode()))
        country = self.country(first["top"].data)
        if country == rule["when"]["country_not"]:
            return None
        value = {"order_id": key[1], "date": date.isoformat(), "country": country}
        if top:
            value["total"] = top.data["total"]
        return cell(self.terms.until("oss", clocks), value)

    # ---- consents ----

    @staticmethod
    def matches(fact, purpose, channel):
        return fact.data.get("purpose") in (None, purpose) and fact.data.get("channel") in (None, channel)

    @staticmethod
    def act(fact):
        return fact.kind.rsplit(".", 1)[1]

    def consent_generation(self, person, fact, token):
        return token[1] if token else person.generation(fact.time)

    def consent_lines(self, person):
        for fact, token in person.consents:
            generation = self.consent_generation(person, fact, token)
            act, data = self.act(fact), fact.data
            if act == "granted":
                ends = [other.time for other, _ in person.consents if self.act(other) != "granted" and
                        other.time >= fact.time and self.matches(other, data["purpose"], data["channel"])]
                cut = person.cut_of(generation)
                end = min(ends) if ends else cut[0] if cut else self.profile_end(person)
                value = {"method": data["method"], "wording": data["wording"]}
            else:
                end, value = fact.time, {"method": data["method"]}
            yield {"line": "consent", "person": person.name, "generation": show_time(generation),
                   "time": show_time(fact.time), "source": fact.source, "id": fact.id, "act": act,
                   "purpose": data.get("purpose"), "channel": data.get("channel"), "basis": data.get("basis"),
                   "confirmed": data.get("confirmed"), "order": data.get("order_id"),
                   "proof": cell(self.terms.until("consent_proof", {"consent_ended": end}), value)}

    def grant_counts(self, person, fact, purpose, channel):
        rule, data = self.policy["marketing"][purpose], fact.data
        if (data["purpose"], data["channel"]) != (purpose, channel) or channel not in rule["channels"] or \
                data["basis"] not in rule["bases"] or data["method"] not in rule["from"] or \
                person.generation(fact.time) != person.newest:
            return False
        if rule.get("confirm") == "double_opt_in" and data["basis"] == "consent" and not data.get("confirmed"):
            return False
        if data["basis"] == "soft_opt_in":
            order = self.orders.get((person.name, data["order_id"]))
            return bool(rule["soft_opt_in"] and order and order.paid and not order.cancels)
        return True

    def strangers(self, person, channel):
        """Times of other persons' objections that suppress the current address of the channel."""
        field = {"email": "email", "sms": "phone", "phone": "phone"}.get(channel)
        versions = self.field_versions(person, person.newest) if person.registered_in(person.newest) else {}
        value = versions.get(field, (None, None))[1] if field else None
        if value is None:
            return []
        own = self.refs.address(field, value)
        return [fact.time for other in self.persons.values() if other is not person and own in self.hashes[other.name]
                for fact, _ in other.consents if self.act(fact) == "objected"]

    def has_address(self, person, channel):
        if not person.registered_in(person.newest):
            return False
        field = {"email": "email", "sms": "phone", "phone": "phone", "post": "street"}[channel]
        return self.field_versions(person, person.newest).get(field, (None, None))[1] is not None

    def permission(self, person, generation, purpose, channel):
        """(allowed, basis, reason, since)"""
        against = [(fact, token) for fact, token in person.consents
                   if self.act(fact) != "granted" and self.matches(fact, purpose, channel)]
        grants = [] if generation != person.newest else \
            [fact for fact, _ in person.consents if self.act(fact) == "granted" and
             self.grant_counts(person, fact, purpose, channel)]
        surviving, defeats = [], {}
        strangers = self.strangers(person, channel) if grants else []
        for grant in grants:
            confirmed = grant.data["basis"] == "consent" and bool(grant.data.get("confirmed"))
            found = []
            for fact, token in against:
                if self.act(fact) == "withdrawn" and fact.time >= grant.time:
                    found.append(("withdrawn", fact.time))
                if self.act(fact) == "objected" and (fact.time >= grant.time or not confirmed):
                    found.append(("objected", fact.time))
            found += [("objected", time) for time in strangers if not (confirmed and grant.time > time)]
            defeats[grant] = found
            if not found and self.has_address(person, channel):
                surviving.append(grant)
        if surviving:
            first = min(surviving, key=lambda fact: fact.version())
            return True, first.data["basis"], None, first.time
        if grants:
            newest = max(grants, key=lambda fact: fact.version())
            found = defeats[newest]
            reasons = {reason for reason, _ in found}
            reason = "objected" if "objected" in reasons else "withdrawn" if "withdrawn" in reasons else "no_address"
            since = min((time for _, time in found), default=None)
            return False, None, reason, since
        own = [(self.act(fact), fact.time) for fact, token in against
               if self.act(fact) == "objected" or self.consent_generation(person, fact, token) == generation]
        if own:
            reason = "objected" if any(act == "objected" for act, _ in own) else "withdrawn"
            return False, None, reason, min(time for _, time in own)
        cut = person.cut_of(generation)
        if cut or generation is not FIRST:
            return False, None, "erased", cut[0] if cut else generation
        return False, None, "none", None

    def permission_generations(self, person):
        for generation in [FIRST] + [cut for cut, _ in person.cuts]:
            if person.opened(generation) or any(self.consent_generation(person, fact, token) == generation
                                                for fact, token in person.consents):
                yield generation

    def permission_lines(self, person):
        if person.name.startswith("recipient:"):
            return
        for generation in self.permission_generations(person):
            for purpose, rule in self.policy["marketing"].items():
                for channel in rule["channels"]:
                    allowed, basis, reason, since = self.permission(person, generation, purpose, channel)
                    yield {"line": "permission", "person": person.name, "generation": show_time(generation),
                           "purpose": purpose, "channel": channel, "allowed": allowed, "basis": basis,
                           "reason": reason, "since": show_time(since)}

    # ---- suppression ----

    def address_facts(self, person):
        """hash -> times of the registered and changed that stated it."""
        found = collections.defaultdict(list)
        for fact in person.registered + [fact for fact in person.changed if person.counts(fact)]:
            for field in ("email", "phone"):
                value = fact.data["contact"].get(field)
                if value is not None:
                    found[self.refs.address(field, value)].append(fact.time)
        return found

    def suppression_lines(self, person):
        arming = [fact.time for fact, token in person.consents if self.act(fact) == "objected"]
        objected = list(arming)
        arming += [fact.time for fact, token in person.consents if self.act(fact) == "withdrawn" and
                   person.cut_of(self.consent_generation(person, fact, token))]
        if not arming:
            return
        for contact_hash in self.hashes[person.name]:
            matched = [time for other in self.persons for time in self.hashes[other].get(contact_hash, [])]
            yield {"line": "suppression", "contact_hash": contact_hash, "person": person.name,
                   "since": show_time(min(arming)),
                   "until": self.terms.until("suppression", {"last_matched": max(matched + objected)}).isoformat()}

    # ---- requests and tombstones ----

    def deliveries(self, person, cut):
        return [view for view in self.views if view["stated"] and view["person"] is person and view["first"].time <= cut]

    def request_line(self, name, facts):
        received = [fact for fact in facts if fact.kind.endswith("received")]
        identified = min((fact.time for fact in facts if fact.kind.endswith("identified")), default=None)
        top = max(received, key=lambda fact: fact.version(), default=None)
        strongest = max((IDENTITIES.index(fact.data["identity"]) for fact in facts), default=0)
        line = {"line": "request", "request": name, "kind": None, "person": None, "case": None, "channel": None,
                "identity": IDENTITIES[strongest], "received": None, "identified": show_time(identified),
                "state": None, "due": None, "until": None}
        if not top:
            return line
        tied = [(person, time) for request, person, time in self.ties if request == name]
        subject = self.subject(top)
        line.update(kind=top.data["kind"], person=subject if subject or not tied else tied[-1][0],
                    case=True if subject is None else None, channel=top.data["channel"], received=show_time(top.time))
        if not strongest:
            line["state"] = "awaiting_identity"
            return line
        known = [fact.time for fact in facts if fact.data["identity"] != "none"]
        start = max(top.time, min(known))
        line["due"] = self.terms.add(self.terms.local_date(start), self.policy["deadlines"]["request"]).isoformat()
        ends, open_still = [start], False
        for fact in received:
            subject = self.subject(fact)
            if subject is None:
                open_still |= not tied
            for person in [subject] if subject else [one for one, _ in tied]:
                views = self.deliveries(self.person(person), fact.time)
                open_still |= any(view["waiting"] for view in views)
                ends += [view["closes"] for view in views if view["closed"]]
        ends += [time for _, time in tied]
        line["state"] = "open" if open_still else "done"
        if not open_still:
            line["until"] = self.terms.until("request", {"request_closed": max(ends)}).isoformat()
        return line

    def tombstone_lines(self, person):
        before = FIRST
        erased = [name for name, rule in self.policy["categories"].items()
                  if rule["on_request"] == "erase" and name != "delivery"]  # in the policy's order
        for cut, cause in person.cuts:
            categories = [] if person.name.startswith("recipient:") else list(erased)
            if cause == "request":
                categories.append("delivery")
                categories.sort(key=list(self.policy["categories"]).index)
            waits = cause == "request" and any(view["waiting"] for view in self.deliveries(person, cut))
            yield {"line": "tombstone", "subject": self.refs.subject(person.name), "person": person.name,
                   "generation": show_time(before), "cut": show_time(cut), "cause": cause,
                   "categories": categories, "complete": not waits}
            before = cut

    # ---- the whole ----

    def fold(self):
        """The dump's lines, in no order."""
        self.gather()
        self.views = [self.shipment_view(key) for key in self.shipments]
        self.by_order = collections.defaultdict(list)
        for view in self.views:
            self.by_order[view["key"][0], view["order"]].append(view)
        self.hashes = {name: self.address_facts(person) for name, person in self.persons.items()}
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

    def held(self):
        """What each recipient must hold when all is quiet, after fold(): {(recipient, person, generation, shipment key,
        service, role): fields}. What is withdrawn only, anonymized or erased is not in it."""
        found = {}
        for view in self.views:
            if not view["stated"] or view["cancelled"] is not None or (view["erased"] and view["closed"]):
                continue
            data = view["top"].data
            service = self.policy["recipients"][data["carrier"]]["services"][data["service"]]
            content = self.delivery_content(view["top"])
            role = "consignor" if data["direction"] == "return" else "consignee"
            found[data["carrier"], view["person"].name, view["generation"], view["key"], data["service"], role] = \
                {field: content[field] for field in service if field in content}
        return found
