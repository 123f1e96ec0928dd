"""What the register certainly knew when it decided a disclosure, and what it then must not have told.

Each fact of a shipment stands in one partition (its key is the customer), and so do a person's consents but those by token. A
partition is taken in in its order: whatever the schedule, a decision is made with some beginning of it, and a later decision
about the same thing (by the outbox's number, which is drawn while its persons are held) with the same beginning or a longer
one. So the outputs about a shipment must fit beginnings that do not go back: a disclosure or correction one whose highest
version says this and in which no cancel stands; a withdrawal one in which its reason holds. What was told proves more:
- The notice of an erasure to whom holds a shipment of that time says that it is closed: only a newer version discloses it again.
- A tombstone's cut ends the generations before it: they get no newsletter, nor a shipment that is later than the cut.
- A newsletter begins when a permission becomes one: the record before or behind it says so, and the consents known allow it.

Not judged: facts that stand in several partitions, as they may when partitions were added or a topic was made anew (of
shipments then only that no older version is told after a newer one); what a restored register decided anew; what is known
from other topics (statuses, tokens, addresses, requests) before an output tells of it.
"""
import collections

from facts import FIRST, consignee_of, role_of
from terms import parse_time


class Course:
    """Facts of one thing in the order of their partition. The first `known` of them are what is known at some time."""

    def __init__(self, facts):
        self.facts = facts

    def first(self, known, fits):
        """The shortest beginning, not shorter than that, which fits; None when there is none."""
        return next((count for count in range(known, len(self.facts) + 1) if fits(count)), None)


class ShipmentCourse(Course):
    def __init__(self, facts):
        super().__init__(facts)
        self.place = {fact.name(): index for index, fact in enumerate(facts)}
        self.cancelled_from = next((index + 1 for index, fact in enumerate(facts) if fact.what == "cancelled"), len(facts) + 1)
        self.tops = [self.highest(count) for count in range(len(facts) + 1)]

    def highest(self, count):
        """Those that differ in data alone are all taken for it."""
        stated = [fact for fact in self.facts[:count] if fact.what != "cancelled"]
        top = max((fact.version()[:-1] for fact in stated), default=None)
        return [fact for fact in stated if fact.version()[:-1] == top]

    def shows(self, count, names, since=0):
        """Whether one of these facts is what the beginning says, and is not older than that."""
        return any(fact.name() in names and self.place[fact.name()] >= since for fact in self.tops[count])

    def reason(self, count, unit, reason, cuts):
        """Whether the beginning is a reason to withdraw a unit."""
        if reason == "cancelled":
            return count >= self.cancelled_from
        for top in self.tops[count]:
            here = top.data["carrier"] == unit.recipient
            if reason == "carrier_changed" and not here:
                return True
            if reason == "service_changed" and here and (top.data["service"], role_of(top.data)) != (unit.service, unit.role):
                return True
            if reason == "recipient_changed" and (consignee_of(top) != unit.person or cuts):
                return True
        return False


def in_order(world, thing):
    """{thing(fact): its facts in their partition's order, each where it stands first}, None where they stand in several; without
    those of which thing() says None."""
    found, where, seen, places, mixed = collections.defaultdict(list), {}, set(), set(), set()
    for record, _ in world.verdicts:
        if record.place in places:
            mixed.add(record.place[:2])  # another log had the same places
        places.add(record.place)
    for record, fact in sorted(world.taken, key=lambda one: one[0].place):
        name = thing(fact)
        if name is None:
            continue
        if where.setdefault(name, record.place[:2]) != record.place[:2] or record.place[:2] in mixed:
            where[name] = None
        if fact.name() not in seen:
            seen.add(fact.name())
            found[name].append(fact)
    return {name: facts if where[name] else None for name, facts in found.items()}


def check(world, say):
    check_shipments(world, say)
    check_generations(world, say)
    check_permitted(world, say)
    check_consents(world, say)


# ---- shipments ----

def shipment_of(fact):
    return (fact.data["customer_id"], fact.data["shipment_id"]) if fact.kind.startswith("shop.shipment.") else None


def about_shipments(world):
    """{key: the outputs about it that were decided so, in order of decision}"""
    found = collections.defaultdict(list)
    for output in world.outputs:
        if world.certain(output):
            units = [output.unit] if output.told or output.reasoned else output.ended
            for key in {unit.key for unit in units if unit.key}:
                found[key].append(output)
    return {key: sorted(outputs, key=lambda output: output.seq) for key, outputs in found.items()}


def check_shipments(world, say):
    courses, spread = in_order(world, shipment_of), 0
    for name in ("shipments in order", "tellings in order"):
        world.look("known: " + name, 0)
    for key, outputs in about_shipments(world).items():
        if courses.get(key) is None:
            check_versions(world, key, outputs, say)
            spread += 1
        else:
            world.look("known: shipments in order")
            walk(world, key, ShipmentCourse(courses[key]), outputs, say)
    if spread:
        world.remark(f"{spread} shipments stand in several partitions: what was known of them, and when, is not")


def walk(world, key, course, outputs, say):
    known, over = 0, {}  # over: (person, generation) -> how much was known when it was forgotten
    for output in outputs:
        world.look("known: tellings in order")
        found = known
        if output.told:
            found = told(world, key, course, output, known, over, say)
        elif output.reasoned:
            unit, reason = output.unit, output.data["reason"]
            cuts = world.model.persons[unit.person].cuts
            found = course.first(known, lambda count: course.reason(count, unit, reason, cuts))
            if found is None:
                say("phantom", f"{output.place}: withdraws {'/'.join(key)} as {reason}, which it was not at any time since "
                    "what was told before")
        known = known if found is None else found
        for unit in output.ended:
            if unit.key == key and stays(world, unit, course.facts[:known]):
                over[unit.person, unit.generation] = known


def stays(world, unit, facts):
    """Whether a shipment is of the unit's generation whatever cuts are known that end it. One that is later than such a cut goes
    over to the next generation, the notice names it for that, and an earlier fact may bring it back."""
    person = world.model.persons[unit.person]
    cuts = [cut for cut in world.generations_ever(person) if cut is not FIRST]
    ends = [cut for cut in cuts if unit.generation is FIRST or cut > unit.generation]
    earliest = min((fact.time for fact in facts if fact.what != "cancelled"), default=None)
    return bool(ends) and earliest is not None and earliest <= min(ends)


def told(world, key, course, output, known, over, say):
    """How much was known at the least, None where it cannot be (said)."""
    unit, fields, parcels = output.told
    names = {fact.name() for fact in unit.facts if fact.data["parcels"] == parcels and world.model.told_fields(fact) == fields}
    since = over.get((unit.person, unit.generation), 0)
    found = course.first(known, lambda count: count < course.cancelled_from and course.shows(count, names, since))
    if found is not None or not names:  # of the latter check_disclosures says that no fact gives it
        return found
    what = f"{output.place}: {'/'.join(key)} is told "
    if course.first(known, lambda count: count < course.cancelled_from and course.shows(count, names)) is not None:
        say("unpermitted", f"{what}anew after the erasure of {unit.person} ended it, without a newer version")
    elif course.first(known, lambda count: course.shows(count, names)) is not None:
        say("unpermitted", f"{what}though it was known that it is cancelled")
    else:
        say("stale", f"{what}as an older version states it, after a newer one was known")
    return None


def check_versions(world, key, outputs, say):
    """Without an order: what was told of a shipment, to whomever, never goes back behind a version that was told before."""
    least = None
    for output in outputs:
        if not output.told:
            continue
        unit, fields, parcels = output.told
        versions = sorted(fact.version() for fact in unit.facts if fact.data["parcels"] == parcels and
                          world.model.told_fields(fact) == fields)
        newer = [version for version in versions if least is None or version >= least]
        if versions and not newer:
            say("stale", f"{output.place}: {'/'.join(key)} as an older version states it, after a newer one was told")
        least = newer[0] if newer else least


# ---- generations that have ended ----

def told_cuts(world):
    """{person: [(seq, cut)]} of requests' cuts, which nothing takes back, as tombstones told of them."""
    subjects = {world.refs.subject(person.name): person for person in world.model.persons.values() if person.requested}
    found = collections.defaultdict(list)
    for output in world.outputs:
        person = subjects.get(output.key)
        if output.kind == "register.subject.erased" and person and world.certain(output) and not output.faults:
            for cut in {parse_time(one["cut"]) for one in output.data["erasures"]} & person.requested:
                found[person.name].append((output.seq, cut))
    return found


def check_generations(world, say):
    cuts = told_cuts(world)
    world.look("known: disclosures of persons who were erased at some time", 0)
    for output in world.outputs:
        unit = output.unit
        if unit is None or not output.kind.startswith("register.disclosure.") or output.kind.endswith(".withdrawn") or \
                unit.person not in cuts or not world.certain(output):
            continue
        world.look("known: disclosures of persons who were erased at some time")
        earliest = min((fact.time for fact in world.model.shipments[unit.key].stated), default=0) if unit.key else None
        for seq, cut in cuts[unit.person]:
            ended = unit.generation is FIRST or unit.generation < cut
            if seq < output.seq and ended and (earliest is None or earliest > cut):
                say("unpermitted", f"{output.place}: {unit.person} {'/'.join(unit.key) if unit.key else unit.service} is told "
                    "in a generation that had ended")
                break


# ---- newsletters ----

def newsletters(world):
    return sorted((output for output in world.outputs if output.kind == "register.disclosure.newsletter" and output.unit and
                   world.certain(output)), key=lambda output: output.seq)


def allows(world, output, service):
    return any(one["allowed"] and one["purpose"] == service and one["channel"] in world.policy["marketing"][service]["channels"]
               for one in output.data["permissions"])


def check_permitted(world, say):
    """Of a person's permission records in order of decision, that before or that behind a newsletter allows it. (Where it was
    withdrawn in the same transaction, both may say what held before and after.)"""
    records, unknown = collections.defaultdict(list), 0
    for row in world.history.ledger:
        if row.kind == "register.marketing.permission":
            records[row.subject].append(row)
    there = {output.id: output for output in world.outputs if world.certain(output) and not output.faults}
    ended = {(output.data.get("disclosure_ref"), output.time) for output in world.outputs
             if output.kind == "register.disclosure.withdrawn"}
    world.look("known: newsletters by their permission", 0)
    for output in newsletters(world):
        rows = records.get(output.unit.person, [])
        near = [row for row in rows if row.seq < output.seq][-1:] + [row for row in rows if row.seq > output.seq][:1]
        if any(row.id not in there for row in near):
            unknown += 1
            continue
        world.look("known: newsletters by their permission")
        if not any(allows(world, there[row.id], output.unit.service) for row in near) and \
                (output.data["disclosure_ref"], output.time) not in ended:
            say("unpermitted", f"{output.place}: a newsletter to {output.unit.person}, which the permissions before and behind it "
                "deny")
    if unknown:
        world.remark(f"{unknown} newsletters lie between permission records that are not in their topic any more")


def consents_of(fact):
    return fact.data.get("customer_id") if fact.kind.startswith("shop.consent.") else None


def check_consents(world, say):
    """Of a person's own consents in order some beginning lets a newsletter go, and none shorter than for the one before."""
    courses, known, spread = in_order(world, consents_of), {}, 0
    world.look("known: newsletters by the order of consents", 0)
    for output in newsletters(world):
        unit, facts = output.unit, courses.get(output.unit.person)
        if facts is None:
            spread += output.unit.person in courses
            continue
        course = Course(facts)
        world.look("known: newsletters by the order of consents")
        found = course.first(known.get(unit.person, 0), lambda count: survives(world, unit, facts[:count]))
        if found is not None:
            known[unit.person] = found
        elif any(may_count(world, unit, fact) for fact in facts):  # else check_disclosures says it
            say("unpermitted", f"{output.place}: a newsletter to {unit.person}, though it was known that no grant holds")
    if spread:
        world.remark(f"{spread} newsletters to persons whose consents stand in several partitions are not judged by their order")


def may_count(world, unit, fact):
    """Whether it is a grant that can let the unit go."""
    return fact.what == "granted" and (unit.generation is FIRST or fact.time > unit.generation) and any(
        world.model.grant_may_count(fact, unit.service, channel)
        for channel in world.policy["marketing"][unit.service]["channels"])


def survives(world, unit, facts):
    """Whether one of the grants is left by the withdrawals and objections among the facts."""
    for grant in facts:
        if not may_count(world, unit, grant):
            continue
        confirmed = grant.data["basis"] == "consent" and bool(grant.data.get("confirmed"))
        if not any(fact.what != "granted" and world.model.matches(fact, grant.data["purpose"], grant.data["channel"]) and
                   (fact.time >= grant.time or (fact.what == "objected" and not confirmed)) for fact in facts):
            return True
    return False
