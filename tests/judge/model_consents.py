"""Consents in the judge's model: proofs, permissions, suppression of addresses, the newsletter."""
import collections

from facts import FIRST, cell
from terms import show_time

ADDRESS_OF = {"email": "email", "sms": "phone", "phone": "phone", "post": "street"}


class ConsentLines:
    """What Model knows of marketing."""

    @staticmethod
    def matches(fact, purpose, channel):
        return fact.data.get("purpose") in (None, purpose) and fact.data.get("channel") in (None, channel)

    @staticmethod
    def consent_generation(person, fact, token):
        return token[1] if token else person.generation(fact.time)

    def proof_end(self, person, fact, token):
        """The instant or date from which a consent's proof is kept."""
        if fact.what != "granted":
            return fact.time
        data = fact.data
        ends = [other.time for other, _ in person.consents if other.what != "granted" and
                other.time >= fact.time and self.matches(other, data["purpose"], data["channel"])]
        cut = person.cut_of(self.consent_generation(person, fact, token))
        return min(ends) if ends else cut[0] if cut else self.profile_end(person)

    def consent_lines(self, person):
        for fact, token in person.consents:
            data = fact.data
            value = {"method": data["method"]}
            if fact.what == "granted":
                value["wording"] = data["wording"]
            until = self.terms.until("consent_proof", {"consent_ended": self.proof_end(person, fact, token)})
            yield {"line": "consent", "person": person.name,
                   "generation": show_time(self.consent_generation(person, fact, token)),
                   "time": show_time(fact.time), "source": fact.source, "id": fact.id, "act": fact.what,
                   "purpose": data.get("purpose"), "channel": data.get("channel"), "basis": data.get("basis"),
                   "confirmed": data.get("confirmed"), "order": data.get("order_id"), "proof": cell(until, value)}

    # ---- permission ----

    def grant_may_count(self, fact, purpose, channel):
        """Purpose, channel, basis and method as the policy wants them, confirmed if it says so."""
        rule, data = self.policy["marketing"][purpose], fact.data
        return (data["purpose"], data["channel"]) == (purpose, channel) and channel in rule["channels"] and \
            data["basis"] in rule["bases"] and data["method"] in rule["from"] and \
            (rule.get("confirm") != "double_opt_in" or bool(data.get("confirmed")))

    def grant_counts(self, person, fact, purpose, channel):
        if not self.grant_may_count(fact, purpose, channel) or person.generation(fact.time) != person.newest:
            return False
        if fact.data["basis"] == "soft_opt_in":
            order = self.orders.get((person.name, fact.data["order_id"]))
            return bool(self.policy["marketing"][purpose]["soft_opt_in"] and order and order.paid and not order.cancels)
        return True

    def strangers(self, person, channel):
        """Times of other persons' objections that suppress the current address of the channel."""
        field = ADDRESS_OF[channel]
        value = self.profile_value(person, field)
        if value is None or field == "street":
            return []
        return [time for other in self.users.get(self.refs.address(field, value), ()) if other is not person
                for time in self.objections.get(other.name, ())]

    def permission(self, person, generation, purpose, channel):
        """(allowed, basis, reason, since)"""
        against = [(fact, token) for fact, token in person.consents
                   if fact.what != "granted" and self.matches(fact, purpose, channel)]
        grants = [] if generation != person.newest else \
            [fact for fact, _ in person.consents if fact.what == "granted" and
             self.grant_counts(person, fact, purpose, channel)]
        if grants:
            return self.permission_of_grants(person, grants, against, channel)
        own = [(fact.what, fact.time) for fact, token in against
               if fact.what == "objected" or self.consent_generation(person, fact, token) == generation]
        if own:
            reason = "objected" if any(act == "objected" for act, _ in own) else "withdrawn"
            return False, None, reason, min(time for _, time in own)
        cut = person.cut_of(generation)
        if cut or generation is not FIRST:
            return False, None, "erased", cut[0] if cut else generation
        return False, None, "none", None

    def permission_of_grants(self, person, grants, against, channel):
        strangers = self.strangers(person, channel)
        surviving, defeats = [], {}
        for grant in grants:
            confirmed = grant.data["basis"] == "consent" and bool(grant.data.get("confirmed"))
            found = [("withdrawn", fact.time) for fact, _ in against
                     if fact.what == "withdrawn" and fact.time >= grant.time]
            found += [("objected", fact.time) for fact, _ in against
                      if fact.what == "objected" and (fact.time >= grant.time or not confirmed)]
            found += [("objected", time) for time in strangers if not (confirmed and grant.time > time)]
            defeats[grant] = found
            if not found and self.profile_value(person, ADDRESS_OF[channel]) is not None:
                surviving.append(grant)
        if surviving:
            first = min(surviving, key=lambda fact: fact.version())
            return True, first.data["basis"], None, first.time
        found = defeats[max(grants, key=lambda fact: fact.version())]
        reasons = {reason for reason, _ in found}
        reason = "objected" if "objected" in reasons else "withdrawn" if "withdrawn" in reasons else "no_address"
        return False, None, reason, min((time for _, time in found), default=None)

    def permission_generations(self, person):
        for generation in [FIRST] + [cut for cut, _ in person.cuts]:
            if person.opened(generation) or any(self.consent_generation(person, fact, token) == generation
                                                for fact, token in person.consents):
                yield generation

    def permission_lines(self, person):
        if person.is_recipient:
            return
        for generation in self.permission_generations(person):
            for purpose, rule in self.policy["marketing"].items():
                for channel in rule["channels"]:
                    allowed, basis, reason, since = self.permission(person, generation, purpose, channel)
                    yield {"line": "permission", "person": person.name, "generation": show_time(generation),
                           "purpose": purpose, "channel": channel, "allowed": allowed, "basis": basis,
                           "reason": reason, "since": show_time(since)}

    def permission_record(self, person):
        """The members of the last register.marketing.permission: of the newest generation that has any permission."""
        generation = max(self.permission_generations(person), key=lambda one: -1 if one is FIRST else one, default=FIRST)
        token = self.refs.token(person.name, generation)
        found = []
        for purpose, rule in self.policy["marketing"].items():
            for channel in rule["channels"]:
                allowed, basis, reason, since = self.permission(person, generation, purpose, channel)
                found.append({"purpose": purpose, "channel": channel, "allowed": allowed, "basis": basis,
                              "reason": reason, "since": show_time(since), "token": token})
        return found

    # ---- the newsletter ----

    def letters(self):
        """[(recipient, service, fields)] of those who send letters: no countries, a service named as a marketing purpose."""
        return [(name, service, fields) for name, recipient in self.policy["recipients"].items()
                if not recipient.get("countries") for service, fields in recipient["services"].items()
                if service in self.policy["marketing"]]

    def letter_fields(self, person, fields):
        return {field: self.profile_value(person, field) for field in fields
                if self.profile_value(person, field) is not None}

    def held_letters(self):
        """Who may be written to when all is quiet, after fold(): {(recipient, person, generation, service): fields}"""
        found = {}
        for person in self.persons.values():
            if person.is_recipient or not person.consents:
                continue
            for recipient, service, fields in self.letters():
                channels = self.policy["marketing"][service]["channels"]
                if any(self.permission(person, person.newest, service, channel)[0] for channel in channels):
                    found[recipient, person.name, person.newest, service] = self.letter_fields(person, fields)
        return found

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

    def gather_addresses(self):
        """Who used which address, and who objected."""
        self.hashes = {name: self.address_facts(person) for name, person in self.persons.items()}
        self.users = collections.defaultdict(list)
        for name, hashes in self.hashes.items():
            for contact_hash in hashes:
                self.users[contact_hash].append(self.persons[name])
        self.objections = {person.name: [fact.time for fact, _ in person.consents if fact.what == "objected"]
                           for person in self.persons.values() if person.consents}

    def suppression_lines(self, person):
        objected = self.objections.get(person.name, [])
        arming = objected + [fact.time for fact, token in person.consents if fact.what == "withdrawn" and
                             person.cut_of(self.consent_generation(person, fact, token))]
        if not arming:
            return
        for contact_hash in self.hashes[person.name]:
            matched = [time for other in self.users[contact_hash] for time in self.hashes[other.name][contact_hash]]
            yield {"line": "suppression", "contact_hash": contact_hash, "person": person.name,
                   "since": show_time(min(arming)),
                   "until": self.terms.until("suppression", {"last_matched": max(matched + objected)}).isoformat()}
