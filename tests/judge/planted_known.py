"""More corruptions for selftest.py, see planted.py: disclosures that come to a good end, but were made when it was known that
they must not be; what became of records by the consumer's own count; keys that lived on too long."""
import json

from check_known import in_order, shipment_of, stays
from facts import FIRST
from history import Record
from planted import NotThere, data_of, decide, outputs, plant, replace, the, with_data
from planted_told import disclosures, last_of_units
from terms import show_time
from world import World


def send(history, like, kind, time, data):
    """Into the partition of another record, before all others there. It is as if it had always been there."""
    headers = [("ce_" + name, value.encode()) for name, value in (
        ("specversion", "1.0"), ("id", "planted"), ("source", "urn:shop"), ("type", kind + ".v1"), ("time", show_time(time)))]
    first = min(record.offset for record in history.inputs if record.place[:2] == like.place[:2])
    history.inputs.insert(0, Record(like.topic, like.partition, first - 1, like.timestamp, like.key,
                                    json.dumps(data).encode(), headers))


def shipments_told(history):
    """(world, disclosure, its unit, (record, fact) of the shipment in order) of those that stand in one partition."""
    world = World(history)
    courses, stated = in_order(world, shipment_of), {}
    for record, fact in sorted(world.taken, key=lambda one: one[0].place):
        stated.setdefault(shipment_of(fact), []).append((record, fact))
    for record in disclosures(history):
        unit = world.units[data_of(record)["disclosure_ref"]]
        if courses[unit.key]:
            yield world, record, unit, stated[unit.key]


def unit_and_facts(world, record):
    unit = world.units[data_of(record)["disclosure_ref"]]
    return unit, world.model.shipments[unit.key].stated


# ---- shipments ----

@plant("a cancelled shipment that is disclosed and withdrawn once more", "unpermitted", "known that it is cancelled")
def _(history):
    for record in the("cancelled shipment", [records for records in last_of_units(history).values() if len(records) > 1 and
                                             data_of(records[1]).get("reason") == "cancelled"]):
        decide(history, record)


@plant("a shipment disclosed of which the cancel stands before it", "unpermitted", "known that it is cancelled")
def _(history):
    _, _, unit, stated = the("shipment", [one for one in shipments_told(history) if all(
        fact.what != "cancelled" for _, fact in one[3])])
    record, fact = stated[0]
    names = ("shipment_id", "order_id", "customer_id")
    send(history, record, "shop.shipment.cancelled", fact.time, {name: fact.data[name] for name in names})


@plant("an older version told after a newer one was taken in", "stale", "after a newer one was known")
def _(history):
    world, _, unit, stated = the("corrected shipment", [
        one for one in shipments_told(history) if len({fact.name() for _, fact in one[3]}) == len(one[3]) > 1 and
        one[2].facts and one[3][0][1].version() < one[3][-1][1].version() and any(
            one[0].model.told_fields(fact) == data_of(one[1])["fields"] for _, fact in one[3][:1]
            if fact.what != "cancelled" and fact.data["carrier"] == one[2].recipient)])
    one, two = stated[0][0], stated[-1][0]
    for record, place in ((one, two), (two, one)):
        history.inputs[history.inputs.index(record)] = record._replace(offset=place.offset + 0.5)


@plant("an older version told after a newer one, of a shipment in two partitions", "stale", "after a newer one was told")
def _(history):
    world = World(history)
    corrected = the("correction", outputs(history, "register.disclosure.corrected"))
    ref = data_of(corrected)["disclosure_ref"]
    record = the("its shipment's record", [record for record, fact in world.taken if shipment_of(fact) == world.units[ref].key])
    history.inputs[history.inputs.index(record)] = record._replace(partition=77)
    decide(history, the("what was corrected", [one for one in disclosures(history) if data_of(one)["disclosure_ref"] == ref]))


@plant("withdrawn for a reason that is no more", "phantom", "which it was not at any time since")
def _(history):
    world = World(history)
    for like in outputs(history, "register.disclosure.withdrawn"):
        unit = world.units[data_of(like)["disclosure_ref"]]
        for record in disclosures(history) if data_of(like)["reason"] == "carrier_changed" else ():
            other = world.units[data_of(record)["disclosure_ref"]]
            if other.key == unit.key and other.recipient != unit.recipient:
                names = {name: data_of(record)[name] for name in ("disclosure_ref", "person_ref")}
                made = decide(history, like, **names)
                replace(history, made, made._replace(topic=record.topic, partition=record.partition, key=record.key,
                                                     offset=max(one.offset for one in history.outputs) + 1))
                return
    raise NotThere("change of carriers")


@plant("a closed shipment of the erased that is disclosed once more", "unpermitted", "anew after the erasure")
def _(history):
    world = World(history)
    records = the("shipment that was forgotten on request", [
        records for records in last_of_units(history).values() if data_of(records[-1]).get("cause") == "request" and
        all("fields" in data_of(one) for one in records[:-1]) and stays(world, *unit_and_facts(world, records[0]))])
    fields = {}
    for record in records[:-1]:
        fields.update(data_of(record)["fields"])
    decide(history, records[0], fields={name: value for name, value in fields.items() if value is not None})
    decide(history, records[-1])


# ---- newsletters ----

@plant("a newsletter to somebody as he was before his erasure", "unpermitted", "in a generation that had ended")
def _(history):
    world, like = World(history), the("newsletter", outputs(history, "register.disclosure.newsletter"))
    person = the("erased customer with consents", [person for person in world.model.persons.values() if person.requested and
                                                   person.consents and not person.is_recipient])
    name = world.refs.person("letterhouse", person.name, FIRST)
    made = decide(history, like, person_ref=name, token=world.refs.token(person.name, FIRST), disclosure_ref=world.refs.disclosure(
        "letterhouse", person.name, FIRST, person.name, None, "newsletter", None))
    replace(history, made, made._replace(key=name.encode()))


@plant("a newsletter while the permission was denied", "unpermitted", "the permissions before and behind")
def _(history):
    world, like = World(history), the("newsletter", outputs(history, "register.disclosure.newsletter"))
    person = world.units[data_of(like)["disclosure_ref"]].person
    for record in outputs(history, "register.marketing.permission"):
        if record.key.decode() == person:
            denied = [{**one, "allowed": False} for one in data_of(record)["permissions"]]
            replace(history, record, with_data(record, permissions=denied))


@plant("a newsletter of which the withdrawal stands before the grant", "unpermitted", "known that no grant holds")
def _(history):
    world, like = World(history), the("newsletter", outputs(history, "register.disclosure.newsletter"))
    person = world.units[data_of(like)["disclosure_ref"]].person
    record, grant = the("grant", [(record, fact) for record, fact in world.taken if fact.what == "granted" and
                                  fact.data["customer_id"] == person])
    latest = max(fact.time for fact, _ in world.model.persons[person].consents)
    send(history, record, "shop.consent.withdrawn", latest, {"customer_id": person, "method": "account_page"})


# ---- counts and times ----

@plant("a record that the consumer's own count misses", "uncounted", "are applied, forgotten, parked or dead")
def _(history):
    history.counters["applied"] -= 1


@plant("keys that lived on for too long", "late", "after the last that was decided")
def _(history):
    row = the("tombstone", [row for row in history.tombstones if row.valid and row.person and row.destroyed])
    history.tombstones[history.tombstones.index(row)] = row._replace(destroyed=row.destroyed + 80 * 1000000)
