"""What the register may say, transcribed from events.json: the key and fields of each output, and an output as the judge's
checks read it.
"""
import json
import re

import catalogue
from catalogue import COUNTRY, HASH, ID, NAME, PHONE, POSTCODE, REF, STREET, array, date, email, fields, flag, number, one_of, text
from history import header
from terms import parse_time

TIME = text(27, 27, r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")  # version 8
PERSON, CATEGORY, COUNT = text(1, 74, "[A-Za-z0-9._:-]+"), text(1, 64), number(0, 2 ** 31)
SHOWN = {"first_name": NAME, "last_name": NAME, "street": STREET, "postcode": POSTCODE, "city": NAME, "country": COUNTRY,
         "phone": PHONE, "email": email, "pickup_point": ID}


def nullable(limit):
    def either(value, reasons):
        if value is not None:
            limit(value, reasons)
    return either


def empty_or(of):
    whole = array(10000, of)

    def limit(value, reasons):
        if value != []:
            whole(value, reasons)
    limit.of = of
    return limit


NOTICE = {"notice_ref!": REF, "person_ref!": REF, "answer_by!": date}
ABOUT = {"notice_ref!": REF, "disclosure_ref!": REF, "person_ref!": REF, "answer_by!": date}
DISCLOSED = {"disclosure_ref!": REF, "person_ref!": REF, "service!": ID, "fields!": fields(SHOWN), "purpose!": ID,
             "policy!": HASH}
ANONYMIZE = {**NOTICE, "disclosures!": array(100, REF), "cause!": one_of("request", "retention", "withdrawn", "objection",
                                                                         "closed"), "reminder!": COUNT}
ERASURE = {"generation": TIME, "category!": CATEGORY, "cut!": TIME, "cause!": one_of("request", "closed", "retention"),
           "complete!": flag}
# type: (topic, the field that is the key, fields); <recipient> stands for one
OUTPUTS = {
    "register.disclosure.shipment": ("disclosure.<recipient>.v1", "person_ref", {
        **DISCLOSED, "shipment_ref!": REF, "role!": one_of("consignee", "consignor"), "parcels!": number(1, 99),
        "keep_until": date}),
    "register.disclosure.newsletter": ("disclosure.<recipient>.v1", "person_ref", {**DISCLOSED, "token!": REF}),
    "register.disclosure.corrected": ("disclosure.<recipient>.v1", "person_ref", {
        **ABOUT, "fields!": fields({name: nullable(limit) for name, limit in SHOWN.items()})}),
    "register.disclosure.withdrawn": ("disclosure.<recipient>.v1", "person_ref", {
        **ABOUT, "reason!": one_of("cancelled", "carrier_changed", "service_changed", "recipient_changed",
                                   "permission_ended")}),
    "register.notice.anonymize": ("disclosure.<recipient>.v1", "person_ref", ANONYMIZE),
    "register.customer.anonymized": ("register.anonymization.v1", "customer_id", {
        "customer_id!": PERSON, "generation": TIME, "cause!": one_of("request", "retention", "closed"), "complete!": flag,
        "erased!": empty_or(CATEGORY), "retained!": empty_or(fields({"category!": CATEGORY, "until!": date, "ground!": text(1, 200)})),
        "waiting!": empty_or(fields({"category!": CATEGORY, "event!": CATEGORY}))}),
    "register.marketing.permission": ("register.marketing-permission.v1", "customer_id", {
        "customer_id!": PERSON, "permissions!": empty_or(fields({
            "purpose!": ID, "channel!": ID, "allowed!": flag, "basis!": nullable(ID), "reason!": nullable(ID),
            "since!": nullable(TIME), "token!": REF}))}),
    "register.request.status": ("register.request.v1", "request_id", {
        "request_id!": ID, "state!": one_of("open", "awaiting_identity", "extended", "done", "refused"), "due": date,
        "ground": ID}),
    "register.subject.erased": ("register.erasure.v1", "subject", {
        "subject!": HASH, "erasures!": empty_or(fields(ERASURE))}),
    "register.dead-letter": ("register.dead-letter.v1", None, {
        "topic!": text(1, 249), "partition!": COUNT, "offset!": number(0, 2 ** 63), "reason!": CATEGORY,
        "detail": text(0, 200), "record_hash!": HASH}),
}
LIMITS = {kind: fields(table) for kind, (_, _, table) in OUTPUTS.items()}
HEADERS = {"ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "content-type"}


class Output:
    """A record of an output topic. faults: what is not as events.json says."""

    def __init__(self, record):
        self.record, self.topic = record, record.topic
        self.recipient = record.topic.split(".")[1] if record.topic.startswith("disclosure.") else None
        self.key = None if record.key is None else record.key.decode("utf-8", "replace")
        self.id, kind = header(record, "ce_id"), header(record, "ce_type")
        self.kind = (kind or "").removesuffix(".v1")
        self.seq = None  # of its ledger row, once that is looked up
        # What check_disclosures finds out for check_known: its unit, (unit, fields, parcels) as the recipient has them after it,
        # whether a withdrawal has a possible reason, and what a request's notice ended that was held.
        self.unit, self.told, self.reasoned, self.ended = None, None, False, []
        self.faults = [] if kind and kind.endswith(".v1") else ["its ce_type is not one of version v1"]
        self.time = self.read_time()
        self.data = self.read_data()

    @property
    def place(self):
        return "/".join(map(str, self.record.place))

    def read_time(self):
        reasons, stated = set(), header(self.record, "ce_time")
        TIME(stated, reasons)
        if reasons:
            self.faults.append("its ce_time is no time in UTC with microseconds")
            return 0
        return parse_time(stated)

    def read_data(self):
        if self.kind == "register.command":  # sealed
            return {}
        try:
            data = json.loads(self.record.value)
        except (ValueError, TypeError):
            data = None
        if not isinstance(data, dict):
            self.faults.append("it is no JSON object")
            return {}
        return data

    def look(self):
        """Whether envelope and data are as events.json says; the faults grow."""
        record = self.record
        names = [name for name, _ in record.headers]
        allowed = HEADERS | ({"traceparent"} if self.recipient else set())
        if self.kind == "register.dead-letter":
            allowed |= {name for name in names if name.startswith("kafka_dlt-original-")}
        if len(set(names)) < len(names) or HEADERS - set(names) or set(names) - allowed:
            self.faults.append(f"its headers are {sorted(names)}")
        if not UUID.fullmatch(self.id or ""):
            self.faults.append("its ce_id is no UUID of version 8")
        for name, value in (("ce_specversion", "1.0"), ("ce_source", "urn:kundregister"), ("content-type", "application/json")):
            if header(record, name) != value:
                self.faults.append(f"its {name} is not {value}")
        if self.kind == "register.command":
            return
        if self.kind not in OUTPUTS:
            self.faults.append(f"no output is of type {self.kind}")
            return
        topic, key, _ = OUTPUTS[self.kind]
        if topic != (self.topic if not self.recipient else "disclosure.<recipient>.v1"):
            self.faults.append(f"a {self.kind} does not belong there")
        reasons = set()
        LIMITS[self.kind](self.data, reasons)
        if reasons or catalogue.known_part(self.data, LIMITS[self.kind]) != self.data:
            self.faults.append("its data is not what events.json says of it")
        elif self.key != (self.data[key] if key else "{topic}/{partition}/{offset}".format(**self.data)):
            self.faults.append("its key is another")
