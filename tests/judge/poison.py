"""Bad records of every reason that a shop or carrier can cause, for play.py: each a good record with one thing wrong, or with
two, of which the lower reason must win.

Poison.next(now_ms) gives (intended reason, topic, key, value, headers, timestamp in ms, 0 for now). Reasons 27 to 29 are made
too: a ref of another carrier, a ref that nobody will ever know in a record that is thirty days old, and a name that a planted
constraint refuses. Every payload has a word of its own, "Salaisuus...", which must not show anywhere.
"""
import copy
import json

from terms import show_time

DAY_MS = 86400 * 1000
HASH = "cd" * 32
ENVELOPE = ("specversion", "id", "source", "type", "time")


def deep(levels):
    value = 1
    for _ in range(levels):
        value = [value]
    return value


# ---- what is wrong with a field: (type, reason, change of the data) ----

def put(path, value):
    """Sets (or with DROP removes) what stands at a.b.0.c"""
    def change(data):
        *before, last = path.split(".")
        for step in before:
            data = data[int(step)] if isinstance(data, list) else data[step]
        if value is DROP:
            del data[last]
        else:
            data[int(last) if isinstance(data, list) else last] = value
    return change


DROP = object()
ID_WRONG = ["", "a b", "ä", "x" * 65, "a/b"]
FIELDS = [
    *[("registered", "field_missing", put(path, DROP)) for path in ("customer_id", "kind", "contact", "notice", "notice.sha256",
                                                                     "contact.email")],
    ("registered", "field_missing", put("contact.email", None)),
    ("placed", "field_missing", put("lines.0.price", DROP)), ("placed", "field_missing", put("currency", DROP)),
    ("guest", "field_missing", put("buyer", DROP)), ("requested", "field_missing", put("consignee", DROP)),
    ("return", "field_missing", put("return_id", DROP)), ("granted", "field_missing", put("wording.id", DROP)),
    ("soft", "field_missing", put("order_id", DROP)), ("withdrawn", "field_missing", put("method", DROP)),
    ("received", "field_missing", put("subject", DROP)), ("identified", "field_missing", put("identity", DROP)),
    ("status", "field_missing", put("status", DROP)), ("retained", "field_missing", put("ground", DROP)),
    ("retained", "field_missing", put("until", DROP)),
    *[("registered", "field_type", put(path, value)) for path, value in
      [("customer_id", 7), ("kind", None), ("contact", []), ("contact.phone", 358), ("notice", "n1"), ("customer_id", None),
       ("contact.first_name", {"x": 1}), ("notice.language", True)]],
    *[("placed", "field_type", put(path, value)) for path, value in
      [("total", "12"), ("guest", "false"), ("lines", {}), ("buyer", None), ("lines.0.quantity", None), ("total", True)]],
    ("requested", "field_type", put("pickup_point", None)), ("requested", "field_type", put("consignee.street", None)),
    ("granted", "field_type", put("confirmed", 1)), ("withdrawn", "field_type", put("customer_id", DROP)),
    ("withdrawn", "field_type", put("token", "A" * 43)), ("received", "field_type", put("subject", {})),
    ("received", "field_type", put("subject.email", "salaisuus@example.fi")), ("status", "field_type", put("parcel", "1")),
    *[("registered", "field_range", put("customer_id", value)) for value in ID_WRONG],
    *[("registered", "field_range", put(path, value)) for path, value in
      [("kind", "vip"), ("contact.first_name", ""), ("contact.last_name", "x" * 101), ("contact.street", "y" * 201),
       ("contact.postcode", "1" * 17), ("contact.country", "fi"), ("contact.country", "XX"), ("contact.country", "FIN"),
       ("contact.phone", "0401234567"), ("contact.phone", "+0401234567"), ("contact.phone", "+1234567890123456"),
       ("contact.email", "ei-osoite"), ("contact.email", "a@"), ("notice.sha256", "zz" * 32), ("notice.sha256", "ab" * 31),
       ("notice.language", "de")]],
    *[("placed", "field_range", put(path, value)) for path, value in
      [("currency", "EURO"), ("currency", "QQQ"), ("currency", "eur"), ("total", -1), ("total", 10 ** 12 + 1),
       ("total", 10 ** 30), ("lines", []), ("lines.0.quantity", 0), ("lines.0.quantity", 10000), ("lines.0.name", ""),
       ("order_id", "o" * 59)]],
    *[("requested", "field_range", put(path, value)) for path, value in
      [("parcels", 0), ("parcels", 100), ("direction", "sideways"), ("carrier", "po sti")]],
    ("status", "field_range", put("status", "lost")), ("status", "field_range", put("parcel", 0)),
    ("status", "field_range", put("shipment_ref", "short")), ("retained", "field_range", put("until", "2027-02-30")),
    ("retained", "field_range", put("ground", "z" * 201)), ("withdrawn", "field_range", put("channel", "fax")),
    ("granted", "field_range", put("basis", "silence")), ("received", "field_range", put("kind", "revenge")),
    *[("registered", "bad_id", put("customer_id", value)) for value in ("0", "null", "guest", "recipient:r1")],
    ("placed", "bad_id", put("order_id", "0")), ("placed", "bad_id", put("lines.0.sku", "null")),
    ("registered", "bad_id", put("notice.id", "guest")), ("requested", "bad_id", put("recipient_id", "guest")),
    ("requested", "bad_id", put("carrier", "0")), ("received", "bad_id", put("subject", {"customer_id": "recipient:x"})),
    ("placed", "key_mismatch", put("customer_id", "bad-other")), ("identified", "key_mismatch", put("request_id", "bad-other")),
    ("guest", "guest_mismatch", put("order_id", "bad-other")), ("guest", "guest_mismatch", put("guest", False)),
    ("placed", "guest_mismatch", put("guest", True)), ("guest_registered", "guest_mismatch", put("kind", "account")),
    ("requested", "unknown_carrier", put("carrier", "dhl")), ("requested", "unknown_carrier", put("carrier", "letterhouse")),
    ("requested", "unknown_service", put("service", "2104")), ("requested", "unknown_service", put("service", "return")),
    ("return", "unknown_service", put("service", "pickup")), ("requested", "country_not_served", put("consignee.country", "SE")),
    ("received", "not_supported", put("kind", "access")), ("received", "not_supported", put("kind", "restriction")),
    ("merged", "not_supported", put("merged_customer_id", "bad-kept")), ("returned", "not_supported", put("reason", "defect")),
    ("refunded", "not_supported", put("amount", 3)),
]


class Poison:
    def __init__(self, random, refs, prefix, refused, midnight_us):
        self.random, self.refs, self.prefix, self.refused, self.midnight = random, refs, prefix, refused, midnight_us
        self.number = 0
        self.waiting = []

    def every(self):
        """One of each, in a random order; the kinds of field faults are many."""
        found = [(self.spoilt_field, one) for one in FIELDS]
        found += [(self.spoilt_text, one) for one in TEXTS] + [(self.spoilt_envelope, one) for one in ENVELOPES]
        found += [(self.world, one) for one in ("not_yours", "unknown_ref", "refused_by_database")]
        self.random.shuffle(found)
        return found

    def next(self, now_ms):
        if not self.waiting:
            self.waiting = self.every()
        maker, what = self.waiting.pop()
        self.number += 1
        self.now_ms = now_ms
        return maker(what)

    # ---- good records ----

    def good(self, name):
        """(topic, type, key, data, secret)"""
        who, secret = f"{self.prefix}bad{self.number}", f"Salaisuus{self.prefix}{self.number}"
        contact = {"first_name": "Aino", "last_name": secret, "email": secret.lower() + "@example.fi", "phone": "+358401234567"}
        wording = {"id": "w1", "sha256": HASH, "language": "fi"}
        order = {"order_id": who + "-o", "customer_id": who, "guest": False, "currency": "EUR", "total": 900,
                 "lines": [{"sku": "s1", "quantity": 1, "price": 900, "name": secret}], "buyer": contact}
        shipment = {"shipment_id": who + "-s", "order_id": who + "-o", "customer_id": who, "consignee": contact,
                    "direction": "outbound", "carrier": "matkahuolto", "service": "pickup", "pickup_point": "P1", "parcels": 1}
        granted = {"customer_id": who, "purpose": "newsletter", "channel": "email", "basis": "consent", "confirmed": True,
                   "method": "account_page", "wording": wording}
        notice = {"notice_ref": "B" * 43, "outcome": "retained", "ground": secret, "until": "2030-01-31"}
        guest = "guest:" + who
        goods = {
            "registered": ("shop.customer", {"customer_id": who, "kind": "account", "contact": contact, "notice": wording}),
            "guest_registered": ("shop.customer", {"customer_id": guest, "kind": "account", "contact": contact, "notice": wording}),
            "merged": ("shop.customer", {"customer_id": who, "merged_customer_id": who + "x"}),
            "placed": ("shop.order", order),
            "guest": ("shop.order", {**order, "customer_id": guest, "order_id": who, "guest": True}),
            "requested": ("shop.shipment", shipment),
            "return": ("shop.shipment", {**shipment, "direction": "return", "service": "return", "return_id": who + "-r"}),
            "returned": ("shop.return", {"return_id": who, "order_id": who, "customer_id": who, "reason": "other",
                                         "lines": [{"sku": "s1", "quantity": 1}]}),
            "refunded": ("shop.return", {"return_id": who, "order_id": who, "customer_id": who, "amount": 1, "currency": "EUR"}),
            "granted": ("shop.consent", granted), "soft": ("shop.consent", {**granted, "basis": "soft_opt_in", "order_id": who}),
            "withdrawn": ("shop.consent", {"customer_id": who, "method": "one_click"}),
            "received": ("privacy.request", {"request_id": who, "kind": "erasure", "subject": {"customer_id": who},
                                             "channel": "account", "identity": "account"}),
            "identified": ("privacy.request", {"request_id": who, "identity": "strong"}),
            "status": ("carrier.delivery", {"shipment_ref": "A" * 43, "status": "delivered"}),
            "retained": ("carrier.notice", notice),
        }
        types = {"guest": "placed", "guest_registered": "registered", "return": "requested", "returned": "requested",
                 "soft": "granted", "retained": "acknowledged"}
        group, data = goods[name]
        topic = "carrier.posti.v1" if group.startswith("carrier") else group + ".v1"
        key = next(data[one] for one in ("customer_id", "request_id", "shipment_ref", "notice_ref") if one in data)
        return topic, f"{group}.{types.get(name, name)}.v1", key, copy.deepcopy(data), secret

    def envelope(self, kind):
        return {"specversion": "1.0", "id": f"{self.prefix}poison{self.number}", "source": "urn:shop", "type": kind,
                "time": show_time(self.midnight - 3600 * 1000000)}

    def binary(self, topic, kind, key, data, timestamp=0):
        headers = [("ce_" + name, value) for name, value in self.envelope(kind).items()]
        return topic, key, json.dumps(data, ensure_ascii=False).encode(), headers, timestamp

    def either(self, topic, kind, key, data):
        """Binary or structured mode."""
        if self.random.random() < 0.7:
            return self.binary(topic, kind, key, data)
        document = {**self.envelope(kind), "data": data}
        return topic, key, json.dumps(document).encode(), [("content-type", "application/cloudevents+json")], 0

    # ---- what is wrong ----

    def spoilt_field(self, what):
        name, reason, change = what
        topic, kind, key, data, _ = self.good(name)
        change(data)
        if reason == "bad_id" or (reason == "field_range" and "customer_id" in data):
            key = data["customer_id"] if isinstance(data.get("customer_id"), str) and data["customer_id"] else key
        if reason == "guest_mismatch":
            key = data["customer_id"]
        if reason.startswith("field_") and self.random.random() < 0.2:
            key = "another"  # a higher reason besides
        return (reason, *self.either(topic, kind, key, data))

    def spoilt_text(self, what):
        reason, change = what
        topic, kind, key, data, secret = self.good("registered")
        topic, key, value, headers, timestamp = self.binary(topic, kind, key, data)
        return (reason, topic, key, change(value, secret.encode()), headers, timestamp)

    def spoilt_envelope(self, what):
        reason, change = what
        topic, kind, key, data, _ = self.good("registered")
        record = {"topic": topic, "key": key, "data": data, "timestamp": 0, **self.envelope(kind)}
        headers = change(record, self.now_ms) or []
        names = [name for name in (*ENVELOPE, "sequence", "content-type") if name in record]
        headers += [(name if name == "content-type" else "ce_" + name, record[name]) for name in names]
        value = record.get("value", json.dumps(record["data"]).encode())
        return (reason, record["topic"], record["key"], value, headers, record["timestamp"])

    def world(self, reason):
        if reason == "not_yours":  # a shipment of matkahuolto's, its ref told by posti
            ref = self.refs.shipment("matkahuolto", f"{self.prefix}foreign", "s1")
            topic, kind, _, data, _ = self.good("status")
            data["shipment_ref"] = ref
            return (reason, *self.binary(topic, kind, ref, data))
        if reason == "unknown_ref":
            topic, kind, _, data, _ = self.good("status")
            ref = data["shipment_ref"] = self.refs.shipment("posti", f"{self.prefix}nobody", str(self.number))
            document = self.binary(topic, kind, ref, data, self.now_ms - 30 * DAY_MS)
            headers = [(name, show_time(self.midnight - 60 * 86400 * 1000000) if name == "ce_time" else value)
                       for name, value in document[3]]
            return (reason, *document[:3], headers, document[4])
        topic, kind, _, data, _ = self.good("registered")
        data["customer_id"] = f"{self.prefix}{self.refused}{self.number}"
        return (reason, *self.binary(topic, kind, data["customer_id"], data))


def into_secret(raw):
    return lambda value, secret: value.replace(secret, secret + raw, 1)


def set_to(**more):
    def change(record, _now_ms):
        for name, value in more.items():
            if value is DROP:
                record.pop(name, None)
            else:
                record[name.replace("_", "-") if name == "content_type" else name] = value
    return change


def twice(record, _now_ms):
    return [("ce_source", "urn:other")]


def not_later(record, now_ms):
    record["time"] = show_time((now_ms + 3600 * 1000) * 1000)


def member(text):
    """One more member of the object."""
    return lambda value, _secret: value[:-1] + b"," + text + b"}"


TEXTS = [
    ("tombstone", lambda value, secret: None),
    ("too_large", lambda value, secret: value + b" " * 65537),
    ("too_large", lambda value, secret: b"\xff" * 65537),
    *[("not_utf8", into_secret(raw)) for raw in (b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xff", b"\xc3")],
    ("not_utf8", lambda value, secret: b"\xfe{" + value[:40]),
    ("not_json", lambda value, secret: value[:-1]), ("not_json", lambda value, secret: b""),
    ("not_json", lambda value, secret: b"\0\0\0\0\1"), ("not_json", lambda value, secret: b"\xef\xbb\xbf" + value),
    ("not_json", lambda value, secret: value + b"}"), ("not_json", lambda value, secret: value + b" {"),
    ("not_json", member(b'"x":NaN')), ("not_json", member(b'"x":01')), ("not_json", member(b"'x':1")), ("not_json", member(b"")),
    ("not_json", into_secret(b"\n")), ("not_json", into_secret(b"\\x41")), ("not_json", lambda value, secret: b"[" * 30000),
    ("two_documents", lambda value, secret: value + value), ("two_documents", lambda value, secret: value + b" 1 [] \"x\""),
    ("too_deep", member(b'"x":' + json.dumps(deep(8)).encode())), ("too_deep", member(b'"x":' + b"[" * 9000 + b"]" * 9000)),
    ("duplicate_key", member(b'"kind":"account"')), ("duplicate_key", member(b'"x":{"a":1,"\\u0061":2}')),
    ("nul_character", into_secret(b"\\u0000")), ("nul_character", member(b'"\\u0000":1')),
    ("nul_character", member(b'"x":["\\u0000 \\ud800"]')),
    ("lone_surrogate", into_secret(b"\\ud800")), ("lone_surrogate", into_secret(b"\\udc00\\ud800")),
]
ENVELOPES = [
    ("not_utf8", set_to(key=b"\xc3\x28")), ("not_utf8", set_to(id=b"\xff")),
    ("nul_character", set_to(key="a\0b")), ("nul_character", set_to(source="urn:\0")),
    *[("not_cloudevent", set_to(**{name: value})) for name, value in
      [("specversion", "0.3"), ("specversion", DROP), ("id", DROP), ("id", ""), ("id", "x" * 257), ("source", DROP),
       ("type", DROP), ("type", ""), ("sequence", "-1"), ("sequence", "123456789012345678901"), ("sequence", "x"),
       ("content_type", "text/plain"), ("value", b"[1]"), ("value", b'"x"'), ("value", b"null")]],
    ("not_cloudevent", twice),
    *[("unknown_type", set_to(type=kind)) for kind in ("shop.customer.vanished.v1", "registered", "v1", "shop.customer")],
    *[("unknown_version", set_to(type="shop.customer.registered" + end)) for end in ("", ".v2", ".1")],
    ("wrong_topic", set_to(topic="shop.order.v1")), ("wrong_topic", set_to(topic="carrier.posti.v1")),
    ("time_missing", set_to(time=DROP)),
    *[("time_invalid", set_to(time=time)) for time in
      ("yesterday", "2026-01-01", "2026-01-01T00:00:00", "2026-02-30T00:00:00Z", "2026-01-01T00:00:60Z", "1969-12-31T23:59:59Z",
       "1970-01-01T00:30:00+01:00", "2026-01-01T24:00:00Z", "")],
    ("time_ahead", not_later), ("time_ahead", set_to(time="9999-12-31T23:59:59Z")),
    ("key_mismatch", set_to(key=None)), ("key_mismatch", set_to(key="")), ("key_mismatch", set_to(key="somebody-else")),
]
