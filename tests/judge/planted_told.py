"""More corruptions for selftest.py, see planted.py: of what recipients were given, what the shop's systems were told, forgetting."""
import collections

from check_forgotten import Acts, Values
from facts import FIRST
from history import header
from planted import (NotThere, by_key, data_of, dead_letter, decide, kind_of, notices_of, outputs, plant, replace, the,
                     undecide, with_data)
from refs import Refs
from world import World

# ---- disclosures ----


def disclosures(history, recipient=None):
    return [record for record in outputs(history, "register.disclosure.shipment")
            if recipient is None or record.topic == f"disclosure.{recipient}.v1"]


@plant("a field beyond the policy's", "unpermitted", "may not see email")
def _(history):
    record = the("disclosure", disclosures(history))
    replace(history, record, with_data(record, fields={**data_of(record)["fields"], "email": "a@example.fi"}))


@plant("a value that no fact of the shipment states", "unpermitted", "no fact gives")
def _(history):
    record = the("disclosure", disclosures(history))
    replace(history, record, with_data(record, fields={**data_of(record)["fields"], "last_name": "Annan"}))


@plant("a field missing", "unpermitted", "no fact gives")
def _(history):
    record = the("disclosure", disclosures(history))
    replace(history, record, with_data(record, fields={"last_name": data_of(record)["fields"]["last_name"]}))


@plant("another person's ref", "unpermitted", "another person's ref")
def _(history):
    one, two = disclosures(history, "posti")[0], the("other person", [
        record for record in disclosures(history, "posti") if record.key != disclosures(history, "posti")[0].key])
    replace(history, one, with_data(one, person_ref=data_of(two)["person_ref"])._replace(key=two.key))


@plant("a disclosure of a shipment that nobody requested", "phantom", "no fact gives to this recipient")
def _(history):
    decide(history, the("disclosure", disclosures(history)), disclosure_ref="A" * 43)


@plant("an older version told after a newer one", "stale")
def _(history):
    world = World(history)
    for view in world.model.views:
        facts = sorted(view["shipment"].stated, key=lambda fact: fact.version())
        top = view.get("top")
        for fact in facts[:-1]:
            same = ("carrier", "service", "direction", "recipient_id")
            told = world.model.told_fields(fact)
            if top and all(fact.data.get(name) == top.data.get(name) for name in same) and told != world.model.told_fields(top):
                ref = world.refs.disclosure(top.data["carrier"], view["person"].name, view["generation"], *view["key"],
                                            top.data["service"], "consignor" if top.data["direction"] == "return" else "consignee")
                for record in disclosures(history):
                    if data_of(record)["disclosure_ref"] == ref:
                        decide(history, record, fields=told, parcels=fact.data["parcels"])
                        return
    raise NotThere("shipment with two versions for one carrier")


def last_of_units(history):
    """{(recipient, disclosure_ref): the types about it, in order}"""
    found = collections.defaultdict(list)
    for record in history.outputs:
        if record.topic.startswith("disclosure."):
            data = data_of(record)
            for ref in data.get("disclosures", [data.get("disclosure_ref")]):
                found[record.topic, ref].append(record)
    return found


@plant("a shipment that its carrier never got", "undisclosed", "never told")
def _(history):
    undecide(history, the("held disclosure", [records[0] for records in last_of_units(history).values()
                                              if len(records) == 1 and kind_of(records[0]) == "register.disclosure.shipment"]))


@plant("a former carrier that was not told", "unpermitted", "still holds")
def _(history):
    records = the("withdrawn disclosure", [records for records in last_of_units(history).values() if len(records) == 3 and
                                           data_of(records[1]).get("reason") == "carrier_changed" and
                                           data_of(records[2]).get("cause") == "withdrawn"])
    for record in records[1:]:
        notices_of(history, record)
        undecide(history, record)


@plant("a withdrawal without the notice to forget", "untold", "was withdrawn")
def _(history):
    records = the("withdrawn disclosure", [records for records in last_of_units(history).values() if len(records) == 3 and
                                           data_of(records[2]).get("cause") == "withdrawn"])
    notices_of(history, records[2])
    undecide(history, records[2])


@plant("an erasure of which a carrier hears nothing", "untold", "of the erased")
def _(history):
    world, units = World(history), last_of_units(history)
    for record in outputs(history, "register.notice.anonymize"):
        ref = data_of(record)["disclosures"][0]
        unit = world.units.get(ref)
        requests = [one for one in units[record.topic, ref] if data_of(one).get("cause") == "request"]
        if data_of(record)["cause"] == "request" and len(requests) == 1 and unit and \
                (world.model.persons[unit.person].cut_of(unit.generation) or (0, ""))[1] == "request":
            notices_of(history, record)
            undecide(history, record)
            return
    raise NotThere("notice of an erasure")


@plant("a notice about somebody who was not erased", "phantom", "whom no request erases")
def _(history):
    world = World(history)
    for record in disclosures(history):
        data, unit = data_of(record), world.units.get(data_of(record)["disclosure_ref"])
        likes = [one for one in outputs(history, "register.notice.anonymize") if one.topic == record.topic]
        if likes and unit and not any(cause == "request" for _, cause in world.model.persons[unit.person].cuts):
            made = decide(history, likes[0], disclosures=[data["disclosure_ref"]], person_ref=data["person_ref"], cause="request")
            replace(history, made, made._replace(key=data["person_ref"].encode()))
            return
    raise NotThere("disclosure of somebody who was not erased")


@plant("a notice that names a disclosure twice", "duplicate", "names a disclosure twice")
def _(history):
    record = the("notice", outputs(history, "register.notice.anonymize"))
    replace(history, record, with_data(record, disclosures=2 * data_of(record)["disclosures"]))


@plant("a correction of what did not change", "different", "differ")
def _(history):
    for record in outputs(history, "register.disclosure.corrected"):
        data = data_of(record)
        before = [one for one in disclosures(history) if data_of(one)["disclosure_ref"] == data["disclosure_ref"]]
        same = [(name, value) for one in before for name, value in data_of(one)["fields"].items() if name not in data["fields"]]
        if same:
            replace(history, record, with_data(record, fields={**data["fields"], **dict(same[:1])}))
            return
    raise NotThere("correction")


@plant("an answer due another day", "different", "answer_by")
def _(history):
    record = the("notice", outputs(history, "register.notice.anonymize"))
    replace(history, record, with_data(record, answer_by="2030-01-01"))


@plant("kept for another while", "different", "keep_until")
def _(history):
    record = the("disclosure", disclosures(history))
    replace(history, record, with_data(record, keep_until="2036-01-01"))


@plant("a newsletter without any consent", "unpermitted", "never granted")
def _(history):
    world = World(history)
    person = the("customer without a grant", [
        person for person in world.model.persons.values() if person.consents and not person.is_recipient and
        not any(fact.what == "granted" and world.model.grant_may_count(fact, "newsletter", "email") for fact, _ in person.consents)])
    refs, like = Refs(history.ref_key, history.digest_key), the("newsletter", outputs(history, "register.disclosure.newsletter"))
    name = refs.person("letterhouse", person.name, FIRST)
    record = decide(history, like, person_ref=name, token=refs.token(person.name, FIRST), disclosure_ref=refs.disclosure(
        "letterhouse", person.name, FIRST, person.name, None, "newsletter", None))
    replace(history, record, record._replace(key=name.encode()))


# ---- what the shop's systems are told ----

@plant("a permission as it was before", "stale", "permission")
def _(history):
    one, two = the("permission that changed", [records[-2:] for records in by_key(history, "register.marketing.permission").values()
                                               if len(records) > 1])
    replace(history, two, two._replace(value=one.value))
    replace(history, one, one._replace(value=two.value))


@plant("a permission told twice", "duplicate", "permission")
def _(history):
    decide(history, the("permission", by_key(history, "register.marketing.permission").values())[-1])


@plant("another state of a request", "different", "status of request")
def _(history):
    record = the("request", [records for records in by_key(history, "register.request.status").values() if len(records) == 1])[0]
    replace(history, record, with_data(record, state="refused"))


@plant("a request of whose end nobody hears", "stale", "status of request")
def _(history):
    records = the("request with two states", [records for records in by_key(history, "register.request.status").values()
                                              if len(records) > 1])
    one, two = records[-2:]
    replace(history, two, two._replace(value=one.value))
    replace(history, one, one._replace(value=two.value))


@plant("a due date that no fact gives", "different", "which no fact gives")
def _(history):
    record = the("request", [record for record in outputs(history, "register.request.status") if "due" in data_of(record)])
    replace(history, record, with_data(record, due="2031-01-01"))


@plant("a tombstone without one of its cuts", "different", "tombstone")
def _(history):
    record = the("tombstone", by_key(history, "register.subject.erased").values())[-1]
    replace(history, record, with_data(record, erasures=data_of(record)["erasures"][1:]))


@plant("a certificate that is mistaken about what waits", "different", "certificate")
def _(history):
    record = the("only certificate of an erasure", [
        records[0] for records in by_key(history, "register.customer.anonymized").values()
        if len(records) == 1 and data_of(records[0])["cause"] == "request"])
    data = data_of(record)
    if data["complete"]:
        changes = {"complete": False, "waiting": [{"category": "delivery", "event": "parcels_closed"}],
                   "erased": [one for one in data["erased"] if one != "delivery"]}
    else:
        changes = {"complete": True, "waiting": [], "erased": [*data["erased"], "delivery"]}
    replace(history, record, with_data(record, **changes))


@plant("kept on another ground", "different", "is not kept on")
def _(history):
    record = the("certificate", [record for record in outputs(history, "register.customer.anonymized") if data_of(record)["retained"]])
    retained = data_of(record)["retained"]
    replace(history, record, with_data(record, retained=[{**retained[0], "ground": "1(1)"}, *retained[1:]]))


@plant("kept to a day that no fact gives", "different", "which no fact gives")
def _(history):
    record = the("certificate", [record for record in outputs(history, "register.customer.anonymized") if data_of(record)["retained"]])
    retained = data_of(record)["retained"]
    replace(history, record, with_data(record, retained=[{**retained[0], "until": "2050-01-01"}, *retained[1:]]))


@plant("a notice that the register forgot", "lost", "notice missing")
def _(history):
    history.notices.remove(the("notice line", history.notices))


@plant("an answer that was not taken in", "lost", "notice missing")
def _(history):
    the("answered notice", [one for one in history.notices if one["outcome"]]).update(outcome=None, ground=None, until=None)


# ---- forgetting ----

def forgotten_value(history):
    """A value of which nothing may be left, and the last output that may hold it."""
    world = World(history)
    acts = Acts(world)
    for value, cells in Values(world).gone().items():
        ends = [acts.of(cell) for cell in cells]
        if None not in ends and max(end[0] for end in ends) < history.ledger[-1].seq:
            return value
    raise NotThere("value of somebody who was forgotten")


@plant("an erased name in a later output", "leak", "written after the erasure")
def _(history):
    value = forgotten_value(history)
    decide(history, the("disclosure", disclosures(history)), purpose=value)


@plant("an erased name in a dead letter", "leak", "register.dead-letter holds a value")
def _(history):
    value = forgotten_value(history)
    record, place = dead_letter(history)
    last = outputs(history, "register.dead-letter")[-1]
    row = the("ledger row", [row for row in history.ledger if row.id == header(last, "ce_id")])
    history.ledger[history.ledger.index(row)] = row._replace(seq=history.ledger[-1].seq + 1)
    replace(history, last, with_data(last, detail=value))


@plant("a key of an erased cell left in the vault", "leak", "can still be opened")
def _(history):
    world = World(history)
    gone = {view["key"] for view in world.model.views if view["erased"] and view["closed"]}
    rows = {row.seq: row for row in history.ledger}
    row = the("row of what was erased", [row for row in history.sealed if (rows[row.seq].customer, rows[row.seq].shipment) in gone])
    history.sealed[history.sealed.index(row)] = row._replace(opens=True)


@plant("an erasure whose keys are not destroyed", "leak", "are not destroyed")
def _(history):
    row = the("tombstone", [row for row in history.tombstones if row.valid])
    history.tombstones[history.tombstones.index(row)] = row._replace(destroyed=None)
