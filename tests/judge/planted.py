"""Corruptions of a clean history, for selftest.py: each is what a bug of the program could leave behind, and the anomaly by which
the judge must name it. A change works on whatever fitting thing it finds in the history; NotThere when there is none. Here:
the register, the streams, what became of records; planted_told.py has what recipients and the shop's systems were told, and
forgetting.
"""
import collections
import json
import uuid

from history import ParkedRow, header
from world import World

Plant = collections.namedtuple("Plant", "name anomaly says change")
PLANTED = []
DAY_US = 86400 * 1000000


class NotThere(Exception):
    pass


def plant(name, anomaly, says=""):
    """says: what the anomaly's text must hold."""
    def register(change):
        PLANTED.append(Plant(name, anomaly, says, change))
        return change
    return register


def the(what, found):
    """The first of what is found."""
    for one in found:
        return one
    raise NotThere(what)


# ---- tools ----

def kind_of(record):
    return (header(record, "ce_type") or "").removesuffix(".v1")


def outputs(history, kind):
    return [record for record in history.outputs if kind_of(record) == kind]


def data_of(record):
    return json.loads(record.value)


def with_data(record, **changes):
    data = {**data_of(record), **changes}
    data = {name: value for name, value in data.items() if value is not Ellipsis}
    return record._replace(value=json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode())


def with_header(record, name, value):
    return record._replace(headers=[(one, value if one == name else each) for one, each in record.headers])


def replace(history, old, new):
    history.outputs[history.outputs.index(old)] = new


def undecide(history, record):
    """As if it had never been decided."""
    history.outputs.remove(record)
    history.ledger = [row for row in history.ledger if row.id != header(record, "ce_id")]


def decide(history, like, **changes):
    """One more output, as a program would make it: like another, decided last. Other changes are of the data."""
    row = the("ledger row", [row for row in history.ledger if row.id == header(like, "ce_id")])
    fresh, last = str(uuid.uuid4()), history.ledger[-1]
    fresh = fresh[:14] + "8" + fresh[15:]
    history.ledger.append(row._replace(seq=last.seq + 1, id=fresh))
    offset = 1 + max(one.offset for one in history.outputs if one.place[:2] == like.place[:2])
    record = with_header(with_data(like, **changes), "ce_id", fresh.encode())
    record = with_header(record, "traceparent", b"00-" + uuid.uuid4().hex.encode() + b"-" + uuid.uuid4().hex[:16].encode() + b"-01")
    record = record._replace(offset=offset)
    at = 1 + max(index for index, one in enumerate(history.outputs) if one.place[:2] == like.place[:2])
    history.outputs.insert(at, record)
    return record


def by_key(history, kind):
    found = collections.defaultdict(list)
    for record in outputs(history, kind):
        found[record.key].append(record)
    return found


def line(history, kind, fine=lambda line: True):
    return the(f"{kind} line", [line for line in history.dump if line["line"] == kind and fine(line)])


def notices_of(history, record):
    """Takes the register's lines of a notice away too."""
    data, kind = data_of(record), kind_of(record).rsplit(".", 1)[1]
    found = the("notice line", [line for line in history.notices if line["kind"] == kind and line["recipient"] ==
                                record.topic.split(".")[1] and line["cause"] == (data.get("cause") or data.get("reason"))])
    history.notices.remove(found)


# ---- the register ----

@plant("a line of the dump dropped", "lost", "order")
def _(history):
    history.dump.remove(line(history, "order"))


@plant("a line of the dump doubled", "duplicate", "shipment")
def _(history):
    history.dump.append(dict(line(history, "shipment")))


@plant("a shipment in an older version", "lost-update", "shipment")
def _(history):
    older = line(history, "shipment", lambda one: one["version_time"] and one["delivery"])
    older["version_time"] = "2026-01-01T00:00:00.000000Z"


@plant("a person whom no fact names", "resurrected", "person nobody")
def _(history):
    history.dump.append({**line(history, "person"), "person": "nobody"})


@plant("an erased profile back", "resurrected", "person")
def _(history):
    profile = line(history, "person", lambda one: one["profile"])["profile"]
    line(history, "person", lambda one: one["opened"] is None)["profile"] = profile


@plant("a closed parcel's address back", "resurrected", "shipment")
def _(history):
    delivery = line(history, "shipment", lambda one: one["delivery"])["delivery"]
    line(history, "shipment", lambda one: one["closed"] and one["carrier"] and not one["delivery"])["delivery"] = delivery


@plant("another end of a claim", "different", "order")
def _(history):
    line(history, "order", lambda one: one["claim"])["claim"]["until"] = "2031-01-01"


@plant("a permission that nobody gave", "different", "permission")
def _(history):
    line(history, "permission", lambda one: not one["allowed"]).update(allowed=True, basis="consent", reason=None)


@plant("a suppression missing", "lost", "suppression")
def _(history):
    history.dump.remove(line(history, "suppression"))


@plant("a tombstone missing", "lost", "tombstone")
def _(history):
    history.dump.remove(line(history, "tombstone"))


# ---- streams ----

@plant("a decided output that never went out", "lost", "was decided")
def _(history):
    history.outputs.remove(the("disclosure", outputs(history, "register.disclosure.shipment")))


@plant("an output twice", "duplicate", "stands 2 times")
def _(history):
    record = outputs(history, "register.disclosure.shipment")[-1]
    history.outputs.insert(history.outputs.index(record) + 1, record._replace(offset=record.offset + 1))


@plant("an output that nobody decided", "phantom", "never decided")
def _(history):
    record = decide(history, the("request status", outputs(history, "register.request.status")))
    history.ledger = [row for row in history.ledger if row.id != header(record, "ce_id")]


@plant("a withheld output out all the same", "phantom", "recorded as withheld")
def _(history):
    history.suppressed.append(header(the("disclosure", outputs(history, "register.disclosure.shipment")), "ce_id"))


@plant("two outputs of a key in another order", "reordered")
def _(history):
    one, two = the("key with two", [records[:2] for records in by_key(history, "register.marketing.permission").values()
                                    if len(records) > 1])
    replace(history, one, two._replace(offset=-1))
    replace(history, two, one._replace(offset=two.offset))
    replace(history, two._replace(offset=-1), two._replace(offset=one.offset))


@plant("an output of another instant than its decision", "different", "another than the ledger's")
def _(history):
    record = the("request status", outputs(history, "register.request.status"))
    replace(history, record, with_header(record, "ce_time", b"2026-01-01T00:00:00.000000Z"))


@plant("an id that is no UUID of version 8", "malformed", "version 8")
def _(history):
    record = the("request status", outputs(history, "register.request.status"))
    fresh = str(uuid.uuid4())
    history.ledger = [row._replace(id=fresh) if row.id == header(record, "ce_id") else row for row in history.ledger]
    replace(history, record, with_header(record, "ce_id", fresh.encode()))


@plant("a field that events.json does not name", "malformed", "events.json")
def _(history):
    record = the("certificate", outputs(history, "register.customer.anonymized"))
    replace(history, record, with_data(record, note="x"))


@plant("another key", "malformed", "key")
def _(history):
    record = the("request status", outputs(history, "register.request.status"))
    replace(history, record, record._replace(key=b"another"))


@plant("one trace for two carriers", "leak", "know one value")
def _(history):
    trace = header(the("disclosure", [record for record in history.outputs if record.topic == "disclosure.posti.v1"]), "traceparent")
    record = the("disclosure", [record for record in history.outputs if record.topic == "disclosure.matkahuolto.v1"])
    replace(history, record, with_header(record, "traceparent", trace.encode()))


# ---- what became of records ----

def dead_letter(history, fine=lambda data: True):
    record = the("dead letter", [record for record in outputs(history, "register.dead-letter") if fine(data_of(record))])
    place = tuple(data_of(record)[name] for name in ("topic", "partition", "offset"))
    return record, place


def taken_in(history):
    """Good records, sent once."""
    other = {row[:3] for row in (*history.dead_letters, *history.parked)}
    times = collections.Counter(record.value for record in history.inputs)
    return [record for record in history.inputs if record.place not in other and times[record.value] == 1]


def row_of(history, place):
    return the("dead letter's row", [row for row in history.dead_letters if row[:3] == place])


@plant("a wrong reason", "misjudged", "refused as not_json")
def _(history):
    record, place = dead_letter(history, lambda data: data["reason"] not in ("not_json", "not_yours"))
    replace(history, record, with_data(record, reason="not_json", detail=Ellipsis))
    row = row_of(history, place)
    history.dead_letters[history.dead_letters.index(row)] = row._replace(reason="not_json")


@plant("a good record refused", "misjudged", "though it is good")
def _(history):
    like, place = dead_letter(history)
    good = the("good record", taken_in(history))
    history.dead_letters.append(row_of(history, place)._replace(topic=good.topic, partition=good.partition, offset=good.offset))
    decide(history, like, topic=good.topic, partition=good.partition, offset=good.offset)


@plant("a bad record neither applied nor dead", "uncounted", "neither applied nor dead")
def _(history):
    record, place = dead_letter(history)
    history.dead_letters.remove(row_of(history, place))
    undecide(history, record)


@plant("a dead letter that went nowhere", "lost", "the dead letter is not")
def _(history):
    record, _ = dead_letter(history)
    undecide(history, record)


@plant("a dead letter twice", "duplicate", "too many")
def _(history):
    record, _ = dead_letter(history)
    decide(history, record)


@plant("a dead letter of nothing", "phantom", "not there")
def _(history):
    record, place = dead_letter(history)
    history.inputs = [one for one in history.inputs if one.place != place]


@plant("a dead letter's headers of another record", "malformed", "kafka_dlt-original")
def _(history):
    record, _ = dead_letter(history)
    replace(history, record, with_header(record, "kafka_dlt-original-offset", (77777).to_bytes(8, "big")))


@plant("another's ref taken in", "uncounted", "not_yours")
def _(history):
    record, place = dead_letter(history, lambda data: data["reason"] == "not_yours")
    history.dead_letters.remove(row_of(history, place))
    undecide(history, record)


@plant("a record that was taken in and shows nowhere", "lost", "person fresh")
def _(history):
    like = the("registered", [record for record in taken_in(history) if kind_of(record) == "shop.customer.registered" and
                              b'"customer_id": "' + record.key in record.value])
    history.inputs.append(like._replace(key=b"fresh", value=like.value.replace(
        b'"customer_id": "' + like.key, b'"customer_id": "fresh')))


@plant("a record of which the register alone knows", "resurrected", "order")
def _(history):
    named = collections.Counter(fact.data.get("order_id") for fact in World(history).model.facts)
    alone = [record for record in taken_in(history) if kind_of(record).startswith("shop.order.") and
             sum(named[name] for name in named if name and f'"{name}"'.encode() in record.value) == 1]
    history.inputs.remove(the("order of one fact", alone))


@plant("a parked record gone", "uncounted", "neither parked nor dead")
def _(history):
    history.parked.remove(the("parked record", history.parked))


@plant("a known record parked", "uncounted", "must not be")
def _(history):
    good = the("status", [record for record in taken_in(history) if kind_of(record) == "carrier.delivery.status"])
    history.parked.append(ParkedRow(*good.place, good.timestamp * 1000 + 30 * DAY_US))


@plant("parked for another while", "different", "not 30 days")
def _(history):
    row = the("parked record", history.parked)
    history.parked[history.parked.index(row)] = row._replace(expires=row.expires + 1000)


@plant("a partition not read to its end", "uncounted", "position")
def _(history):
    row = the("position", [row for row in history.positions if row.next > 1])
    history.positions[history.positions.index(row)] = row._replace(next=row.next - 1)


@plant("a partition parked", "uncounted", "parked (gap)")
def _(history):
    row = the("position", [row for row in history.positions if row.next > 1])
    history.positions[history.positions.index(row)] = row._replace(parked="gap")
