"""A sample shop from a fixed seed: the events of its customers, orders and shipments, and a few bad records.

Only the times are not fixed: they end a little before now. Everybody is invented. Events go out in CloudEvents'
structured mode, so that one kcat per topic carries them all.
"""
import datetime
import json
import random
import subprocess
import uuid

FIRST = ["Aino", "Eetu", "Venla", "Onni", "Helmi", "Leo", "Åsa", "Björn", "Saga", "Väinö", "Ülle", "Zoë", "Nguyễn", "Дмитрий"]
LAST = ["Virtanen", "Korhonen", "Lindström", "Öhman", "Mäkinen", "Nieminen", "Sjöberg", "Häkkinen", "O'Neill", "Иванов"]
STREETS = ["Hämeenkatu", "Sulapuronkatu", "Mannerheimvägen", "Itsenäisyydenkatu", "Kuninkaankatu", "Pyynikintie"]
PLACES = [("33100", "Tampere"), ("33700", "Tampere"), ("00100", "Helsinki"), ("20100", "Turku"), ("65100", "Vaasa")]
MATKAHUOLTO, POSTI = "matkahuolto", "posti"
HEROINE = {"id": "C-aino", "order": "O-aino-1", "shipment": "S-aino-1", "first_name": "Aino", "last_name": "Kaarnalehto",
           "street": "Satakielentie 7 B 12", "postcode": "33700", "city": "Tampere", "phone": "+358405550101",
           "email": "aino.kaarnalehto@example.fi"}


def instant(at):
    return at.strftime("%Y-%m-%dT%H:%M:%S.%f") + "Z"


class Shop:
    def __init__(self, seed=2026, customers=1000):
        self.random = random.Random(seed)
        self.clock = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None) - datetime.timedelta(days=20)
        self.records = {}  # topic -> [(key, value bytes)] in order
        self.count = {"customers": 0, "orders": 0, "shipments": 0, "cancelled orders": 0, "cancelled shipments": 0,
                      "address corrections": 0, "carrier changes": 0, "bad records": 0, "events": 0}
        self.expected_dead = {}
        self.heroine()
        for number in range(1, customers):
            self.customer(number)
        self.bad_records()

    def event(self, topic, kind, key, data):
        self.clock += datetime.timedelta(seconds=self.random.uniform(0.1, 500))
        latest = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None) - datetime.timedelta(seconds=60)
        envelope = {"specversion": "1.0", "id": str(uuid.UUID(int=self.random.getrandbits(128), version=4)),
                    "source": "urn:shop:sample", "type": kind + ".v1", "time": instant(min(self.clock, latest)),
                    "datacontenttype": "application/json", "data": data}
        self.raw(topic, key, json.dumps(envelope, ensure_ascii=False).encode())
        self.count["events"] += 1

    def raw(self, topic, key, value):
        self.records.setdefault(topic, []).append((key, value))

    def contact(self, number):
        first, last = self.random.choice(FIRST), self.random.choice(LAST)
        postcode, city = self.random.choice(PLACES)
        return {"first_name": first, "last_name": last, "street": f"{self.random.choice(STREETS)} {number % 90 + 1}",
                "postcode": postcode, "city": city, "country": "FI", "phone": f"+3584{number:08d}",
                "email": f"customer{number}@example.fi"}

    def heroine(self):
        her = HEROINE
        contact = {name: her[name] for name in ("first_name", "last_name", "street", "postcode", "city", "phone", "email")}
        self.registered(her["id"], {**contact, "country": "FI"})
        self.order(her["id"], her["order"])
        common = {"shipment_id": her["shipment"], "order_id": her["order"], "customer_id": her["id"],
                  "consignee": contact, "direction": "outbound", "parcels": 1}
        self.count["shipments"] += 1
        self.event("shop.shipment.v1", "shop.shipment.requested", her["id"],
                   {**common, "carrier": MATKAHUOLTO, "service": "pickup", "pickup_point": "MH-33100-1"})
        self.count["carrier changes"] += 1
        self.event("shop.shipment.v1", "shop.shipment.changed", her["id"],
                   {**common, "carrier": POSTI, "service": "2104"})

    def registered(self, customer, contact):
        self.count["customers"] += 1
        self.event("shop.customer.v1", "shop.customer.registered", customer,
                   {"customer_id": customer, "kind": "account", "contact": contact,
                    "notice": {"id": "privacy-2026-1", "sha256": "ab" * 32, "language": "fi"}})

    def order(self, customer, order):
        lines = [{"sku": f"SKU-{self.random.randint(1, 400)}", "name": "Saippua", "quantity": self.random.randint(1, 3),
                  "price": self.random.randint(300, 9000)} for _ in range(self.random.randint(1, 4))]
        total = sum(line["quantity"] * line["price"] for line in lines)
        self.count["orders"] += 1
        self.event("shop.order.v1", "shop.order.placed", customer,
                   {"order_id": order, "customer_id": customer, "guest": False, "currency": "EUR", "total": total,
                    "lines": lines})
        if self.random.random() < 0.03:
            self.count["cancelled orders"] += 1
            self.event("shop.order.v1", "shop.order.cancelled", customer, {"order_id": order, "customer_id": customer})
            return False
        self.event("shop.order.v1", "shop.order.paid", customer,
                   {"order_id": order, "customer_id": customer, "amount": total, "currency": "EUR"})
        return True

    def customer(self, number):
        customer, contact = f"C-{number:05d}", self.contact(number)
        self.registered(customer, contact)
        for nth in range(self.random.choice([1, 1, 1, 2])):
            order = f"O-{number:05d}-{nth}"
            if self.order(customer, order):
                self.shipment(customer, order, contact)

    def shipment(self, customer, order, contact):
        carrier, service = self.random.choice([(MATKAHUOLTO, "pickup"), (MATKAHUOLTO, "home"), (POSTI, "2103"), (POSTI, "2104")])
        data = {"shipment_id": "S" + order[1:], "order_id": order, "customer_id": customer, "consignee": contact,
                "direction": "outbound", "carrier": carrier, "service": service, "parcels": self.random.choice([1, 1, 1, 2])}
        if service in ("pickup", "2103"):
            data["pickup_point"] = f"PP-{self.random.randint(1, 50)}"
        self.count["shipments"] += 1
        self.event("shop.shipment.v1", "shop.shipment.requested", customer, data)
        chance = self.random.random()
        if chance < 0.02:
            self.count["cancelled shipments"] += 1
            self.event("shop.shipment.v1", "shop.shipment.cancelled", customer,
                       {"shipment_id": data["shipment_id"], "order_id": order, "customer_id": customer})
        elif chance < 0.05:
            self.count["address corrections"] += 1
            self.event("shop.shipment.v1", "shop.shipment.changed", customer,
                       {**data, "consignee": {**contact, "street": "Korjattu katu 1"}})

    def bad(self, reason, topic, key, value):
        self.count["bad records"] += 1
        self.expected_dead[reason] = self.expected_dead.get(reason, 0) + 1
        self.raw(topic, key, value)

    def bad_records(self):
        good = self.records["shop.customer.v1"][0][1]
        self.bad("not_utf8", "shop.customer.v1", HEROINE["id"], good.replace("Kaarnalehto".encode(), b"Kaarna\xc0\xaflehto"))
        self.bad("not_json", "shop.order.v1", "C-00001", b"<order/>")
        self.bad("nul_character", "shop.customer.v1", HEROINE["id"], good.replace(b"Tampere", b"Tam\\u0000pere"))
        self.bad("duplicate_key", "shop.order.v1", "C-00002", b'{"specversion":"1.0","specversion":"1.0"}')
        self.bad("unknown_type", "shop.order.v1", "C-00003", good.replace(b"shop.customer.registered", b"shop.customer.guessed"))
        self.bad("key_mismatch", "shop.customer.v1", "C-00009", good)
        shipment = next(value for key, value in self.records["shop.shipment.v1"] if key == HEROINE["id"])
        self.bad("unknown_carrier", "shop.shipment.v1", HEROINE["id"], shipment.replace(b'"matkahuolto"', b'"ravens"'))
        self.bad("unknown_service", "shop.shipment.v1", HEROINE["id"], shipment.replace(b'"pickup"', b'"teleport"'))
        self.bad("time_ahead", "shop.customer.v1", HEROINE["id"], good.replace(b'"time": "20', b'"time": "21'))


def publish(kcat, topic, records):
    """Sends (key, value) pairs to a topic with kcat, in order."""
    text = b"".join(key.encode() + b"\x01" + value + b"\x02" for key, value in records)
    subprocess.run([*kcat, "-P", "-t", topic, "-K", "\x01", "-D", "\x02", "-H",
                    "content-type=application/cloudevents+json; charset=UTF-8", "-X", "acks=all"],
                   input=text, check=True, stderr=subprocess.PIPE)
