"""The verdict on one input record by itself: a fact, or the dead letter that it must become. Reasons 1 to 26 of SEMANTICS.md
("Dead-letter reasons"), the lowest number wins; 27 to 29 need the rest of the world (check_inputs.py).

Written from SEMANTICS.md, SPEC.md sections 7 and 9 and events.json (catalogue.py). Where they leave a choice, the judge's
own: a header without a value counts as absent; of two content types the last counts; a content type is JSON when its media
subtype is json or ends in +json, as CloudEvents has it; an attribute of a structured event that must be a string and is none
is no CloudEvent, a time that is none is invalid.
"""
import datetime
import re
import unicodedata

import catalogue
import strict_json
from facts import Fact
from terms import parse_time

REASONS = ["", "tombstone", "too_large", "not_utf8", "not_json", "two_documents", "too_deep", "duplicate_key", "nul_character",
           "lone_surrogate", "not_cloudevent", "unknown_type", "unknown_version", "wrong_topic", "time_missing",
           "time_invalid", "time_ahead", "field_missing", "field_type", "field_range", "bad_id", "key_mismatch",
           "guest_mismatch", "unknown_carrier", "unknown_service", "country_not_served", "not_supported", "not_yours",
           "unknown_ref", "refused_by_database"]
NUMBER = {name: number for number, name in enumerate(REASONS)}
TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
AHEAD_US = 300 * 1000000
ATTRIBUTES = {"specversion", "id", "source", "type", "time", "sequence", "datacontenttype", "data"}


class Verdict:
    """reason: a name of REASONS, or None, and then fact is what was stated."""

    def __init__(self, reason=None, fact=None):
        self.reason, self.fact = reason, fact


def utf8(raw):
    try:
        return raw.decode("utf-8", "strict")
    except UnicodeDecodeError:
        return None


def is_json(media_type):
    kind = media_type.split(";")[0].strip().lower()
    return kind.endswith(("/json", "+json"))


def instant(text):
    """Microseconds, None where it is no RFC 3339 time since 1970."""
    found = TIME.fullmatch(text)
    if not found:
        return None
    offset = found[8]
    if offset not in "Zz" and (int(offset[1:3]) > 23 or int(offset[4:]) > 59):
        return None
    try:
        datetime.datetime(int(found[1]), int(found[2]), int(found[3]), int(found[4]), int(found[5]), int(found[6]))
        at = parse_time(text.upper())
    except ValueError:  # no such day, or second 60
        return None
    except OverflowError:  # the last hours of year 9999, by their offset in the next
        return 253402300800000000
    return at if at >= 0 else None


class Reading:
    """One record on its way to a verdict."""

    def __init__(self, record, policy):
        self.record, self.policy, self.reasons = record, policy, set()

    def say(self, name):
        self.reasons.add(NUMBER[name])

    # ---- bytes, text, JSON ----

    def document(self):
        """The parsed value, or None. Fills in headers and key."""
        record = self.record
        if record.value is None:
            return self.say("tombstone")
        if len(record.value) > (524288 if record.topic == "shop.order.v1" else 65536):
            return self.say("too_large")
        raw = record.value[5:] if record.value[:1] == b"\0" and len(record.value) >= 5 else record.value
        text = utf8(raw)
        self.key = None if record.key is None else utf8(record.key)
        self.headers, self.repeated = {}, False
        wrong = text is None or (record.key is not None and self.key is None)
        for name, value in record.headers:
            if name.startswith("ce_"):
                self.repeated |= name in self.headers
                read = None if value is None else utf8(value)
                wrong |= value is not None and read is None
                self.headers[name] = read
            elif name.lower() == "content-type":
                self.headers["content-type"] = None if value is None else value.decode("utf-8", "replace")
        if wrong:
            return self.say("not_utf8")
        media_type = (self.headers.get("content-type") or "").split(";")[0].strip().lower()
        self.structured = media_type == "application/cloudevents+json"
        value, reasons = strict_json.read(text, outer=int(self.structured))
        self.reasons |= reasons
        if "\0" in (self.key or "") or any("\0" in (one or "") for one in self.headers.values()):
            self.say("nul_character")
        return value

    # ---- CloudEvents ----

    def envelope(self, document):
        """Fills in attributes and data."""
        if self.repeated:
            self.say("not_cloudevent")
        if self.structured:
            if not isinstance(document, dict):
                return self.say("not_cloudevent")
            self.attributes, self.data = {**document}, document.get("data")
            content_type = document.get("datacontenttype")
        else:
            self.attributes = {name[3:]: value for name, value in self.headers.items() if name.startswith("ce_")}
            self.data, content_type = document, self.headers.get("content-type")
        attributes = self.attributes
        if attributes.get("specversion") != "1.0" or not isinstance(self.data, dict):
            self.say("not_cloudevent")
        if content_type is not None and not (isinstance(content_type, str) and is_json(content_type)):
            self.say("not_cloudevent")
        for name in ("id", "source", "type"):
            value = attributes.get(name)
            if not isinstance(value, str) or not 1 <= len(value.encode()) <= 256:
                self.say("not_cloudevent")
        sequence = attributes.get("sequence")
        if sequence is not None and not (isinstance(sequence, str) and re.fullmatch("[0-9]{1,20}", sequence)):
            self.say("not_cloudevent")
        return None

    def typed(self):
        """The base of the type, None where nothing more can be said."""
        name, topic = self.attributes["type"], self.record.topic
        base, dot, version = name.rpartition(".")
        if name in catalogue.TYPES:
            return self.say("unknown_version")
        while dot and base not in catalogue.TYPES:
            base, dot, more = base.rpartition(".")
            version = more + "." + version
        if not dot:
            return self.say("unknown_type")
        if version != "v1":
            return self.say("unknown_version")
        expected = catalogue.TYPES[base][0]
        if expected != topic and not (expected == "carrier" and topic.startswith("carrier.")):
            return self.say("wrong_topic")
        return base

    def timed(self):
        stated, stamp = self.attributes.get("time"), self.record.timestamp
        if stated is None:
            return self.say("time_missing")
        at = instant(stated) if isinstance(stated, str) else None
        if at is None:
            return self.say("time_invalid")
        if stamp is None or at > stamp * 1000 + AHEAD_US:
            return self.say("time_ahead")
        return at

    # ---- data ----

    def fields(self, kind):
        limit, data = catalogue.TYPES[kind][1], self.data
        limit(data, self.reasons)
        for name, value, needed in catalogue.CONDITIONS.get(kind, ()):
            if data.get(name) == value and isinstance(data.get(name), type(value)) and any(one not in data for one in needed):
                self.say("field_missing")
        either = catalogue.ONE_OF.get(kind)
        if either and sum(name in data for name in either) != 1:
            self.say("field_type")
        key = next((data[name] for name in catalogue.KEYS[kind] if name in data), None)
        if self.key is None or self.key != key:
            self.say("key_mismatch")

    def agreement(self, kind):
        """What must fit together, among fields that are right by themselves."""
        data, customer = self.data, self.data.get("customer_id", "")
        if customer.startswith("guest:"):
            if kind == "shop.customer.registered" or ("order_id" in data and customer != "guest:" + data["order_id"]):
                self.say("guest_mismatch")
        if "guest" in data and data["guest"] != customer.startswith("guest:"):
            self.say("guest_mismatch")
        if kind in catalogue.NOT_SUPPORTED or (kind == "privacy.request.received" and data["kind"] != "erasure"):
            self.say("not_supported")
        if kind in ("shop.shipment.requested", "shop.shipment.changed"):
            self.carriage()

    def carriage(self):
        data = self.data
        recipient = self.policy["recipients"].get(data["carrier"])
        if not recipient or not recipient.get("countries"):
            return self.say("unknown_carrier")
        if data["service"] not in recipient["services"] or (data["service"] == "return") != (data["direction"] == "return"):
            self.say("unknown_service")
        if data["consignee"].get("country", self.policy["controller"]["country"]) not in recipient["countries"]:
            self.say("country_not_served")
        return None

    # ---- the whole ----

    def judge(self):
        document = self.document()
        if self.reasons:
            return self.refused()
        self.envelope(document)
        if self.reasons:
            return self.refused()
        kind = self.typed()
        if kind is None:
            return self.refused()
        at = self.timed()
        if self.reasons:
            return self.refused()
        self.fields(kind)
        if not self.reasons or min(self.reasons) >= NUMBER["key_mismatch"]:
            self.agreement(kind)
        if self.reasons:
            return self.refused()
        attributes, topic = self.attributes, self.record.topic
        return Verdict(fact=Fact(kind, at, attributes["source"], attributes["id"],
                                 normal(catalogue.known_part(self.data, catalogue.TYPES[kind][1])), attributes.get("sequence"),
                                 topic.split(".")[1] if topic.startswith("carrier.") else None))

    def refused(self):
        return Verdict(REASONS[min(self.reasons)])


def normal(value):
    if isinstance(value, str):
        return value if value.isascii() else unicodedata.normalize("NFC", value)
    if isinstance(value, dict):
        return {name: normal(one) for name, one in value.items()}
    return [normal(one) for one in value] if isinstance(value, list) else value


def verdict(record, policy):
    """record: topic, timestamp in ms or None, key and value as bytes or None, headers [(name, bytes or None)]."""
    return Reading(record, policy).judge()
