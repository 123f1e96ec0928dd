"""What the judge's model is made of: facts, their versions, and the words of the contract that several aggregates use."""
import hashlib
import json

FIELDS = ["first_name", "last_name", "street", "postcode", "city", "country", "phone", "email"]
ADDRESS = ["street", "postcode", "city", "country"]
RANKS = {"unknown": 0, "error": 1, "pre_transit": 2, "in_transit": 3, "out_for_delivery": 4, "available_for_pickup": 5,
         "failure": 6, "cancelled": 7, "return_to_sender": 8, "delivered": 9}
IDENTITIES = ["none", "account", "email_loop", "strong", "clerk"]
FIRST = None  # the first generation's name


class Fact:
    """One accepted event. kind: its type without .v1; sender: the recipient whose topic it came on, if any."""
    __slots__ = ("kind", "time", "source", "id", "data", "sender", "sequence", "digest", "order")

    def __init__(self, kind, time_us, source, id, data, sequence=None, sender=None):
        self.kind, self.time, self.source, self.id, self.data, self.sender = kind, time_us, source, id, data, sender
        self.sequence = -1 if sequence is None else int(sequence)
        self.digest = hashlib.blake2b(json.dumps(data, sort_keys=True).encode(), digest_size=16).digest()
        self.order = (self.sequence, source.encode(), id.encode(), self.digest)

    def version(self, protective=False):
        """Orders facts. Of two that differ in data alone the contract's keyed digest decides, which is not known here."""
        return (self.time, protective, *self.order)

    def name(self):
        return (self.source, self.id, self.time, self.sequence, self.digest, self.kind, self.sender)

    @property
    def what(self):
        """The last word of its type."""
        return self.kind.rsplit(".", 1)[1]


def cell(until, value):
    return None if until is None else {"until": until.isoformat(), "value": value}


def contact_of(contact, fields):
    return {field: contact[field] for field in fields if contact.get(field) is not None}


def consignee_of(fact):
    """The person whom a shipment's fact names."""
    recipient = fact.data.get("recipient_id")
    return fact.data["customer_id"] if recipient is None else "recipient:" + recipient


def role_of(data):
    return "consignor" if data["direction"] == "return" else "consignee"
