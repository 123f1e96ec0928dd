"""Nothing of an erased person in anything that was written after the erasure, and no key of it left in the vault, in time.

Searched for: the values of personal fields that only erased cells ever held (a value that another person, a later generation
or a kept category states too is no sign of anything). Searched through: every output that was decided after the act that
erased them, and every output appended after the keys were destroyed and a while more (a transaction of the relay that was
open then may still have carried it).
How long it took to destroy keys is judged only where it is said that the vault was there all the time (Judge's `punctual`). The
register keeps when keys were last destroyed of a tombstone, which may be those of a parcel that closed later: it must be within
60 s of something decided, or put into a topic, about that person; so of one who was erased long ago and of whom more came, a
delay in between can pass.
"""
import collections

from facts import FIELDS, FIRST, consignee_of

SHORTEST = 6
SLACK_US = 10 * 1000000
WITHIN_US = 60 * 1000000  # of the act all keys are gone
LATE_US = 10 * 1000000  # of the measuring: a decision's time is its transaction's start, and the mark comes after the vault


# A cell that stated a value: of whom, which, and (of delivery) of which shipment.
Cell = collections.namedtuple("Cell", "person generation category gone key")


class Values:
    """Which cells state a value: {text: {Cell}}"""

    def __init__(self, world):
        self.cells = collections.defaultdict(set)
        model = world.model
        for person in model.persons.values():
            for fact in person.registered + person.changed:
                generation = person.generation(fact.time)
                gone = person.cut_of(generation) is not None
                self.state(fact.data["contact"], Cell(person.name, generation, "profile", gone, None))
        for (customer, _), order in model.orders.items():
            for fact in order.stated:
                self.state(fact.data.get("buyer") or {}, Cell(customer, None, "claim", False, None))
        for view in model.views:
            for fact in view["shipment"].stated:
                gone = view["erased"] and view["closed"] and consignee_of(fact) == view["person"].name
                self.state(fact.data["consignee"],
                           Cell(view["person"].name, view["generation"], "delivery", gone, view["key"]))

    def state(self, contact, cell):
        for field in FIELDS:
            value = contact.get(field)
            if value is not None and len(value.encode()) >= SHORTEST:
                self.cells[value].add(cell)

    def gone(self):
        """{value: the cells from which it is gone}, of values that are nowhere else."""
        return {value: cells for value, cells in self.cells.items() if all(cell.gone for cell in cells)}


class Acts:
    """When a cell was erased: the number of the last output that says so, and when no key of it was left."""

    def __init__(self, world):
        self.told, self.closed, self.destroyed = {}, {}, {}
        for row in world.history.ledger:
            if row.kind in ("register.customer.anonymized", "register.subject.erased"):
                self.told[row.subject] = max(row.seq, self.told.get(row.subject, 0))
        for output in world.outputs:
            if output.kind == "register.notice.anonymize" and output.seq and output.data.get("cause") == "request":
                for unit in filter(None, map(world.units.get, output.data.get("disclosures", ()))):
                    self.closed[unit.key] = max((output.seq, output.time), self.closed.get(unit.key, (0, 0)))
        for row in world.history.tombstones:
            if row.person is not None and row.valid and row.destroyed is not None:
                self.destroyed[row.person, FIRST if row.generation == -1 else row.generation] = row.destroyed

    def of(self, cell):
        """(seq, time), None where the register does not say that it was."""
        destroyed, seq = self.destroyed.get((cell.person, cell.generation)), self.told.get(cell.person)
        if destroyed is None or seq is None:
            return None
        if cell.category == "delivery":
            notice = self.closed.get(cell.key, (0, 0))
            return max(seq, notice[0]), max(destroyed, notice[1] + WITHIN_US)
        return seq, destroyed


def check(world, say, slack_us=SLACK_US, punctual=False):
    check_outputs(world, say, slack_us)
    check_vault(world, say)
    check_destroyed(world, say)
    if punctual:
        check_punctual(world, say)
    else:
        world.remark("whether keys were destroyed within 60 s: the vault may have been away")


def check_outputs(world, say, slack_us):
    acts, gone = Acts(world), Values(world).gone()
    by_seq, by_time = last_of(world, gone, lambda output: output.seq), \
        last_of(world, gone, lambda output: output.record.timestamp and output.record.timestamp * 1000)
    unknown = 0
    world.look("forgotten: values searched for", len(gone))
    world.look("forgotten: values that went out", 0)
    for value, cells in gone.items():
        if value not in by_seq and value not in by_time:
            continue
        ends = [acts.of(cell) for cell in cells]
        if None in ends:
            unknown += 1
            continue
        world.look("forgotten: values that went out")
        for last, end in ((by_seq, max(end[0] for end in ends)), (by_time, max(end[1] for end in ends) + slack_us)):
            if value in last and last[value][0] > end:
                found, whose = last[value][1], " and ".join(sorted({cell.person for cell in cells}))
                say("leak", f"{found.place}: {found.kind} holds a value of {whose}, written after the erasure")
                break
    if unknown:
        world.remark(f"whether {unknown} erased values went out afterwards: the register does not say when they were erased")


def last_of(world, values, number):
    """{value: (number, output)} of the last output, by that number, that holds it as a whole string, or in a dead letter's
    detail as a part of it."""
    found, details = {}, {}
    for output in world.outputs:
        at = number(output)
        if at is None:
            continue
        held = {one for one in strings(output.data) if one in values}
        detail = output.data.get("detail") if output.kind == "register.dead-letter" else None
        if isinstance(detail, str):
            if detail not in details:
                details[detail] = {value for value in values if value in detail}
            held |= details[detail]
        for value in held:
            if value not in found or at > found[value][0]:
                found[value] = (at, output)
    return found


def strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from strings(one)
    elif isinstance(value, list):
        for one in value:
            yield from strings(one)


def check_vault(world, say):
    """What the outbox still has of erased cells opens no more: the vault has let go of its key."""
    names, rows = list(world.policy["categories"]), {row.seq: row for row in world.history.ledger}
    views = {view["key"]: view for view in world.model.views}
    world.look("forgotten: outbox rows of the erased, for their keys", len(world.history.sealed))
    for sealed in world.history.sealed:
        person = world.model.persons.get(sealed.person)
        if not sealed.opens or person is None:
            continue
        category, row = names[sealed.category], rows.get(sealed.seq)
        cut = person.cut_of(FIRST if sealed.generation == -1 else sealed.generation)
        gone = cut is not None and category in world.model.erased_at_once(person, cut[1])
        if category == "delivery" and row is not None:
            gone = delivery_gone(views.get((row.customer, row.shipment)), person, gone)
        if gone:
            say("leak", f"outbox row {sealed.seq}: {category} of the erased {sealed.person} can still be opened")


def delivery_gone(view, person, ended):
    """Of a shipment that is still this person's, whatever generation it lies in by now, or of one that has become another's."""
    if view is not None and view["person"] is person:
        return view["erased"] and view["closed"]
    return ended


def check_destroyed(world, say):
    """Each cut has its tombstone, and the vault has let go of what it names."""
    rows = {(row.person, row.cut): row for row in world.history.tombstones if row.valid}
    world.look("forgotten: erasures, for whether keys are destroyed", 0)
    for person in world.model.persons.values():
        for cut, _ in person.cuts:
            row = rows.get((person.name, cut))
            world.look("forgotten: erasures, for whether keys are destroyed", row is not None)
            if row is not None and row.destroyed is None:
                say("leak", f"the keys of {person.name}, erased at {cut}, are not destroyed")


def causes(world):
    """{person: times of what may have doomed keys of his: decisions about him or a shipment to him, records about such a one}"""
    found, consignees = collections.defaultdict(set), collections.defaultdict(set)
    for key, shipment in world.model.shipments.items():
        consignees[key] = {consignee_of(fact) for fact in shipment.stated}
    for row in world.history.ledger:
        for person in {row.subject, *consignees.get((row.customer, row.shipment), ())}:
            found[person].add(row.decided)
    keys = {world.refs.shipment(carrier, *key): key for key in world.model.shipments for carrier in world.policy["recipients"]}
    for record, fact in world.taken:
        key = (fact.data.get("customer_id"), fact.data.get("shipment_id"))
        for person in consignees.get(keys.get(fact.data.get("shipment_ref"), key), ()) if record.timestamp else ():
            found[person].add(record.timestamp * 1000)
    return found


def check_punctual(world, say):
    found = causes(world)
    world.look("forgotten: erasures, for how long it took", 0)
    for row in world.history.tombstones:
        before = [time for time in found.get(row.person, ()) if row.destroyed is not None and time <= row.destroyed]
        if not row.valid or not before:
            continue
        world.look("forgotten: erasures, for how long it took")
        seconds = (row.destroyed - max(before)) / 1000000
        if row.destroyed - max(before) > WITHIN_US + LATE_US:
            say("late", f"the keys of {row.person}, erased at {row.cut}, were destroyed {seconds:.0f} s after the last that "
                "was decided of him")
