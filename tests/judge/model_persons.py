"""Persons in the judge's model: cuts and generations, the profile, the dump's person lines."""
from facts import ADDRESS, FIELDS, FIRST, cell
from terms import show_time


class Person:
    """A customer or recipient: his facts, cuts and generations."""

    def __init__(self, name):
        self.name = name
        self.is_recipient = name.startswith("recipient:")
        self.registered, self.changed, self.seen, self.closed = [], [], [], []
        self.named = []          # times of the other facts that name him
        self.openers = []        # times of placed and granted; of a recipient, those of his shipments' generations
        self.order_activity = []
        self.trade = False       # an order of his was placed, paid or cancelled
        self.consents = []       # (fact, None, or the generation of its token as ("token", generation))
        self.requested = set()   # cuts of identified requests
        self.cuts = []           # [(time, cause)], ascending
        self.views = []          # of the shipments whose consignee he is

    def settle_cuts(self):
        self.cuts = []
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
        if not self.cuts:
            return self.registered
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
        exists |= any(token and token[1] == newest for _, token in self.consents)
        if newest is FIRST:
            exists |= bool(self.changed or self.seen)
        return found + ([newest] if exists else [])

    def tokens_known(self):
        """Generations whose token means somebody: from the first event that concerns marketing, or from the cut."""
        begun = self.trade or self.registered or self.changed or self.closed or self.consents or self.cuts
        return ([FIRST] if begun else []) + [cut for cut, _ in self.cuts]

    def opened(self, generation):
        return bool(self.registered_in(generation)) or any(self.generation(time) == generation for time in self.openers)


class PersonLines:
    """What Model knows of persons."""

    def field_versions(self, person, generation):
        """{field: (version, value, or None where it was cleared)}"""
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

    def profile_value(self, person, field):
        """Of the newest generation's profile, None where there is none."""
        if person.name not in self.profiles:
            self.profiles[person.name] = {} if not person.registered_in(person.newest) else \
                {name: value for name, (_, value) in self.field_versions(person, person.newest).items()}
        return self.profiles[person.name].get(field)

    def last_activity(self, person, generation, unseen=False):
        times = [time for time in person.order_activity if person.generation(time) == generation]
        if person.registered_in(generation) or unseen:
            times += [fact.time for fact in person.registered + person.changed + person.seen
                      if person.generation(fact.time) == generation and
                      (fact.what == "registered" or person.counts(fact))]
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
