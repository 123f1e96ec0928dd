"""Nothing of an erased person in anything that was written after the erasure, and no key of it left in the vault.

Searched for: the values of personal fields that only erased cells ever held (a value that another person, a later generation
or a kept category states too is no sign of anything). Searched through: every output that was decided after the act that
erased them, and every output appended after the keys were destroyed and a while more (a transaction of the relay that was
open then may still have carried it).
"""
import collections

from facts import FIELDS, FIRST, consignee_of

SHORTEST = 6
SLACK_US = 10 * 1000000
WITHIN_US = 60 * 1000000  # of the act all keys are gone


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


def check(world, say, slack_us=SLACK_US):
    check_outputs(world, say, slack_us)
    check_vault(world, say)
    check_destroyed(world, say)


def check_outputs(world, say, slack_us):
    acts, gone = Acts(world), Values(world).gone()
    by_seq, by_time = last_of(world, gone, lambda output: output.seq), \
        last_of(world, gone, lambda output: output.record.timestamp and output.record.timestamp * 1000)
    for value, cells in gone.items():
        if value not in by_seq and value not in by_time:
            continue
        ends = [acts.of(cell) for cell in cells]
        if None in ends:
            continue
        for last, end in ((by_seq, max(end[0] for end in ends)), (by_time, max(end[1] for end in ends) + slack_us)):
            if value in last and last[value][0] > end:
                found, whose = last[value][1], " and ".join(sorted({cell.person for cell in cells}))
                say("leak", f"{found.place}: {found.kind} holds a value of {whose}, written after the erasure")
                break


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
    for person in world.model.persons.values():
        for cut, _ in person.cuts:
            row = rows.get((person.name, cut))
            if row is not None and row.destroyed is None:
                say("leak", f"the keys of {person.name}, erased at {cut}, are not destroyed")
