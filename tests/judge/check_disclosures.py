"""What recipients were given: O2, O3 and O4.

Judged of each disclosure: that a fact of this shipment gives exactly these fields, parcels, service and role to this carrier
(whole, as one fact states them; so no field beyond the policy's, none of another version mixed in, none to a country that
is not served); that corrections say exactly what differs and end in what some fact gives; that withdrawals and notices name
what was decided, for a reason that the facts have; dates, purpose and policy. Of a newsletter: that a grant that counts and
that very address are among the facts.
Judged at the end: what each recipient holds, per person and shipment, against the model (O3); that each recipient of an
erased person was told of everything that does not wait, and nobody else was (O4).
Any state that some of the facts give is taken for possible here; check_known.py says what was certainly known at a decision
in the middle of the run.
"""
import collections

from facts import ADDRESS, FIRST
from world import DISCLOSURES


class Holding:
    """One disclosure_ref as its recipient sees it."""

    def __init__(self, unit):
        self.unit, self.state, self.fields, self.parcels, self.named = unit, "never", {}, None, 0


class Recipient:
    """Follows the stream of one recipient."""

    def __init__(self, world, name, say):
        self.world, self.name, self.say = world, name, say
        self.rule = world.policy["recipients"].get(name, {})
        self.holdings, self.requests = {}, set()
        self.hidden = {row.disclosure_ref for row in world.history.ledger
                       if row.recipient == name and row.id in world.suppressed}

    def follow(self, outputs):
        for output in outputs:
            if output.faults:
                continue
            kind = output.kind.rsplit(".", 1)[1]
            self.world.look("disclosures: " + kind)
            self.check_dates(output)
            if kind == "anonymize":
                self.anonymize(output)
            else:
                holding = self.holding(output)
                if holding:
                    getattr(self, kind)(output, holding)

    def wrong(self, anomaly, output, what):
        self.say(anomaly, f"{output.place}: {what}")

    def holding(self, output):
        """Of the unit that an output names; None (said) where no fact makes one."""
        ref, data = output.data["disclosure_ref"], output.data
        unit = self.world.units.get(ref)
        if unit is None or unit.recipient != self.name:
            return self.wrong("phantom", output, "it is about something that no fact gives to this recipient")
        if self.world.refs.person(self.name, unit.person, unit.generation) != data["person_ref"]:
            return self.wrong("unpermitted", output, f"{self.world.unit_name(ref)} is told under another person's ref")
        output.unit = unit
        return self.holdings.setdefault(ref, Holding(unit))

    def check_dates(self, output):
        day, terms = self.world.model.terms.local_date(output.time), self.world.model.terms
        for name, term in (("answer_by", self.rule.get("answer")), ("keep_until", self.rule.get("keep"))):
            if name in output.data:
                expected = terms.add(day, term).isoformat() if term else None
                if output.data[name] != expected:
                    self.wrong("different", output, f"{name} is {output.data[name]}, not {expected}")
        if output.kind == "register.disclosure.shipment" and self.rule.get("keep") and "keep_until" not in output.data:
            self.wrong("different", output, "keep_until is missing")

    # ---- each type ----

    def check_body(self, output, unit, purposes):
        data = output.data
        if (data["service"], data.get("role")) != (unit.service, unit.role):
            self.wrong("unpermitted", output, f"service and role are not those of {unit.service}")
        if data["purpose"] not in purposes:
            self.wrong("different", output, f"purpose {data['purpose']} is not the policy's")
        if data["policy"] != self.world.history.policy_digest:
            self.wrong("different", output, "it names another policy")
        more = set(data["fields"]) - set(self.rule["services"][unit.service])
        if more:
            self.wrong("unpermitted", output, f"{unit.service} may not see {', '.join(sorted(more))}")
        return not more

    def shipment(self, output, holding):
        unit, data = holding.unit, output.data
        fine = unit.key and self.check_body(output, unit, self.world.policy["categories"]["delivery"]["purpose"])
        if not unit.key or data["shipment_ref"] != self.world.refs.shipment(self.name, *unit.key):
            self.wrong("unpermitted", output, f"{self.world.unit_name(data['disclosure_ref'])} under another ref")
        elif fine and not self.explained(unit, data["fields"], data["parcels"]):
            self.wrong("unpermitted", output, f"no fact gives these fields of {self.world.unit_name(data['disclosure_ref'])}")
        holding.state, holding.fields, holding.parcels = "held", dict(data["fields"]), data["parcels"]
        output.told = (unit, holding.fields, holding.parcels)

    def explained(self, unit, fields, parcels):
        return [fact for fact in unit.facts if fact.data["parcels"] == parcels and self.world.model.told_fields(fact) == fields]

    def newsletter(self, output, holding):
        unit, data = holding.unit, output.data
        if unit.key:
            return self.wrong("unpermitted", output, "a newsletter under a shipment's ref")
        fine = self.check_body(output, unit, [unit.service])
        if data["token"] != self.world.refs.token(unit.person, unit.generation):
            self.wrong("different", output, "the token is another")
        if not self.granted(unit):
            self.wrong("unpermitted", output, f"{unit.person} never granted {unit.service} in a way that counts")
        elif fine and not self.stated(unit, data["fields"]):
            self.wrong("unpermitted", output, f"{unit.person} never stated these fields")
        holding.state, holding.fields = "held", dict(data["fields"])
        return None

    def granted(self, unit):
        model, person = self.world.model, self.world.model.persons[unit.person]
        channels = self.world.policy["marketing"][unit.service]["channels"]
        return any(fact.what == "granted" and model.grant_may_count(fact, unit.service, channel)
                   for fact, _ in person.consents for channel in channels)

    def stated(self, unit, fields):
        """Each value in some registered or changed of the person."""
        person = self.world.model.persons[unit.person]
        facts = person.registered + person.changed
        return all(any(fact.data["contact"].get(name) == value for fact in facts) for name, value in fields.items())

    def corrected(self, output, holding):
        unit, told = holding.unit, output.data["fields"]
        if holding.state == "never" and output.data["disclosure_ref"] in self.hidden:
            return None
        if holding.state != "held":
            return self.wrong("unpermitted", output, f"corrects what is {holding.state}")
        before, after = holding.fields, {name: value for name, value in {**holding.fields, **told}.items() if value is not None}
        service = self.rule["services"][unit.service]
        differing = {name: after.get(name) for name in service if before.get(name) != after.get(name)}
        if any(name in ADDRESS for name in differing):
            differing.update({name: after.get(name) for name in service if name in ADDRESS})
        if told != differing or not told:
            self.wrong("unpermitted" if set(told) - set(service) else "different", output,
                       f"corrects {sorted(told)} where {sorted(differing)} differ")
        elif unit.key and not self.explained(unit, after, holding.parcels):
            self.wrong("different", output, f"after it no fact gives what is held of {unit.person}")
        elif not unit.key and not self.stated(unit, after):
            self.wrong("unpermitted", output, f"{unit.person} never stated these fields")
        holding.fields = after
        output.told = (unit, after, holding.parcels)
        return None

    def withdrawn(self, output, holding):
        unit, reason = holding.unit, output.data["reason"]
        if holding.state != "held" and output.data["disclosure_ref"] not in self.hidden:
            self.wrong("phantom", output, f"withdraws what is {holding.state}")
        output.reasoned = self.may_withdraw(unit, reason)
        if not output.reasoned:
            self.wrong("phantom", output, f"withdraws {self.world.unit_name(output.data['disclosure_ref'])} as {reason}")
        holding.state = "withdrawn"

    def may_withdraw(self, unit, reason):
        """Whether some fact can be the reason."""
        if unit.key is None or reason == "permission_ended":
            return unit.key is None and reason == "permission_ended"
        shipment = self.world.model.shipments[unit.key]
        if reason == "cancelled":
            return bool(shipment.cancels)
        carriers = {fact.data["carrier"] for fact in shipment.stated}
        if reason == "carrier_changed":
            return len(carriers) > 1
        if reason == "service_changed":
            return len({(fact.data["service"], fact.data["direction"]) for fact in shipment.stated
                        if fact.data["carrier"] == unit.recipient}) > 1
        persons = self.world.model.persons[unit.person]
        return len({fact.data.get("recipient_id") for fact in shipment.stated}) > 1 or bool(persons.cuts)

    def anonymize(self, output):
        data, refs = output.data, self.world.refs
        whose = self.world.person_refs.get(data["person_ref"])
        if whose is None or whose[0] != self.name:
            return self.wrong("phantom", output, "a notice about nobody whom the facts name to this recipient")
        if data["cause"] == "request":
            self.requests.add(whose[1:])
        for ref in data["disclosures"]:
            unit = self.world.units.get(ref)
            if unit is None or refs.person(self.name, unit.person, unit.generation) != data["person_ref"]:
                self.wrong("phantom", output, "names a disclosure that is not this person's")
                continue
            holding = self.holdings.setdefault(ref, Holding(unit))
            if holding.state == "never" and ref not in self.hidden:
                self.wrong("phantom", output, f"names {self.world.unit_name(ref)}, which was never disclosed")
            if len(set(data["disclosures"])) < len(data["disclosures"]):
                self.wrong("duplicate", output, "names a disclosure twice")
            if data["cause"] == "request":
                holding.named += 1
                output.ended += [unit] if holding.state == "held" else []
            holding.state = "anonymized"
        return None


def check(world, say):
    streams = world.disclosure_topics()
    for kind in ("shipment", "newsletter", "corrected", "withdrawn", "anonymize"):
        world.look("disclosures: " + kind, 0)
    recipients = {name: Recipient(world, name, say) for name in sorted({*streams, *world.policy["recipients"]})}
    for name, recipient in recipients.items():
        recipient.follow(streams.get(name, ()))
    check_held(world, recipients, say)
    check_told(world, recipients, say)


def check_held(world, recipients, say):
    """O3: what each recipient holds in the end, by person and shipment."""
    expected = {}
    for (carrier, person, generation, key, service, role), (fields, parcels) in world.model.held().items():
        expected[carrier, world.refs.disclosure(carrier, person, generation, *key, service, role)] = (fields, parcels)
    for (recipient, person, generation, service), fields in world.model.held_letters().items():
        expected[recipient, world.refs.disclosure(recipient, person, generation, person, None, service, None)] = (fields, None)
    actual = {(name, ref): holding for name, recipient in recipients.items()
              for ref, holding in recipient.holdings.items() if holding.state == "held"}
    world.look("disclosures: held in the end", len(expected))
    for (name, ref), (fields, parcels) in expected.items():
        holding = actual.get((name, ref))
        if holding is None:
            state = recipients[name].holdings.get(ref)
            say("undisclosed", f"{name} must hold {world.unit_name(ref)}, to it it is {state.state if state else 'never told'}")
        elif (holding.fields, holding.parcels) != (fields, parcels):
            more = sorted(set(holding.fields) - set(fields))
            say("unpermitted" if more else "stale", f"{name} holds other than it should of {world.unit_name(ref)}: "
                + ", ".join(name for name in sorted({*fields, *holding.fields, "parcels"})
                            if {**fields, "parcels": parcels}.get(name) !=
                            {**holding.fields, "parcels": holding.parcels}.get(name)))
    for name, ref in actual.keys() - expected.keys():
        say("unpermitted", f"{name} still holds {world.unit_name(ref)}, which nothing gives it")
    check_withdrawn(world, recipients, say)


def check_withdrawn(world, recipients, say):
    """Every withdrawal but that of a mere change of service is followed by a notice."""
    world.look("disclosures: withdrawn in the end, or forgotten", 0)
    for name, recipient in recipients.items():
        groups = collections.defaultdict(list)
        for ref, holding in recipient.holdings.items():
            groups[holding.unit.person, holding.unit.generation, holding.unit.key].append((ref, holding))
        for holdings in groups.values():
            states = {holding.state for _, holding in holdings}
            world.look("disclosures: withdrawn in the end, or forgotten", bool(states & {"withdrawn", "anonymized"}))
            if "withdrawn" in states and not states & {"held", "anonymized"}:
                say("untold", f"{name} was not told to forget {world.unit_name(holdings[0][0])}, which was withdrawn")


def check_told(world, recipients, say):
    """O4, with the ledger for what was decided."""
    world.look("disclosures: decided of the erased", 0)
    decided = collections.defaultdict(set)
    for row in world.history.ledger:
        if row.kind in DISCLOSURES:
            generation = FIRST if row.generation == -1 else row.generation
            decided[row.recipient, row.subject, generation].add(row.disclosure_ref)
    waiting = {view["key"]: view for view in world.model.views if view["waiting"]}
    ended = {}
    for person in world.model.persons.values():
        before = FIRST
        for cut, cause in person.cuts:
            if cause == "request":
                ended[person.name, before] = cut
            before = cut
    for (name, person, generation), refs in decided.items():
        if (person, generation) in ended:
            check_ended(world, recipients[name], person, generation, refs, waiting, say)
    for name, recipient in recipients.items():
        for person, generation in recipient.requests:
            if not any(cause == "request" for _, cause in world.model.persons[person].cuts):
                say("phantom", f"{name} was told to forget {person}, whom no request erases")
            elif not decided.get((name, person, generation)):
                say("phantom", f"{name} was told to forget {person}, of whom it never got anything")


def check_ended(world, recipient, person, generation, refs, waiting, say):
    world.look("disclosures: decided of the erased", len(refs))
    for ref in refs:
        unit = world.units.get(ref)
        if unit is None:
            continue  # said where it went out
        view = waiting.get(unit.key)
        waits = view is not None and (view["person"].name, view["generation"]) == (person, generation)
        named = recipient.holdings[ref].named if ref in recipient.holdings else 0
        if not named and not waits:
            say("untold", f"{recipient.name} was not told to forget {world.unit_name(ref)} of the erased {person}")
