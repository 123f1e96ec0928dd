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
NOTICE = {"id": "privacy-2026-1", "sha256": "ab" * 32, "language": "fi"}
WORDING = {"id": "newsletter-2026-1", "sha256": "cd" * 32, "language": "fi"}


def somebody(person, first_name, last_name, street, phone, email):
    """One whose story is told: his names, street and addresses are nobody else's."""
    return {"id": person, "contact": {"first_name": first_name, "last_name": last_name, "street": street, "postcode": "33100",
                                      "city": "Tampere", "country": "FI", "phone": phone, "email": email}}


# Helka reads the newsletter until she has enough of it; Oiva never answered the letter that asked whether it was he.
HELKA = somebody("C-helka", "Helka", "Uutislampi", "Kirjekuja 4", "+358405550201", "helka.uutislampi@example.fi")
OIVA = somebody("C-oiva", "Oiva", "Puolivahva", "Ehkäpolku 2", "+358405550202", "oiva.puolivahva@example.fi")
# Those who ask to be forgotten. A phone that ends in 7: the parcel stays on its way (carrier.py).
ILTA = somebody("C-ilta", "Ilta", "Unholanranta", "Hiljaisuudentie 3", "+358405550301", "ilta.unholanranta@example.fi")
JOEL = somebody("C-joel", "Joel", "Pakettivaara", "Matkamiehenkatu 11", "+358405550307", "joel.pakettivaara@example.fi")
KERTTU = somebody("C-kerttu", "Kerttu", "Tositemaa", "Kirjanpitäjänkuja 5", "+358405550302", "kerttu.tositemaa@example.fi")
LUMI = somebody("R-lumi", "Lumi", "Yllätyslahja", "Pakettipolku 9", "+358405550303", "lumi.yllatyslahja@example.fi")
NELLI = somebody("C-nelli", "Nelli", "Sähköpostila", "Kyselijänraitti 8", "+358405550304", "nelli.sahkopostila@example.fi")
FORGOTTEN = [ILTA, JOEL, KERTTU, LUMI, NELLI]


def words_of(one):
    """What a search for this person looks for: none of it is anybody else's."""
    contact = one.get("contact", one)
    return [contact[name] for name in ("last_name", "street", "email", "phone")]


def instant(at):
    return at.strftime("%Y-%m-%dT%H:%M:%S.%f") + "Z"


def envelope(kind, at, data, number=None):
    """An event in CloudEvents' structured mode."""
    return json.dumps({"specversion": "1.0", "id": str(uuid.UUID(int=number, version=4) if number else uuid.uuid4()),
                       "source": "urn:shop:sample", "type": kind + ".v1", "time": at,
                       "datacontenttype": "application/json", "data": data}, ensure_ascii=False).encode()


class Shop:
    def __init__(self, seed=2026, customers=1000):
        self.random = random.Random(seed)
        self.clock = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None) - datetime.timedelta(days=20)
        self.records = {}  # topic -> [(key, value bytes)] in order
        self.count = {"customers": 0, "orders": 0, "shipments": 0, "cancelled orders": 0, "cancelled shipments": 0,
                      "address corrections": 0, "carrier changes": 0, "consents": 0, "withdrawals and objections": 0,
                      "bad records": 0, "events": 0}
        self.expected_dead = {}
        self.readers = set()  # whom the newsletter may be sent to
        self.heroine()
        self.readers_of_newsletters()
        self.those_to_be_forgotten()
        for number in range(1, customers):
            self.customer(number)
        self.bad_records()

    def event(self, topic, kind, key, data):
        self.clock += datetime.timedelta(seconds=self.random.uniform(0.1, 500))
        latest = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None) - datetime.timedelta(seconds=60)
        self.raw(topic, key, envelope(kind, instant(min(self.clock, latest)), data, self.random.getrandbits(128)))
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

    def readers_of_newsletters(self):
        for one in (HELKA, OIVA):
            self.registered(one["id"], one["contact"])
            self.granted(one["id"], confirmed=one is HELKA)

    def those_to_be_forgotten(self):
        for one in (ILTA, JOEL, KERTTU, NELLI):
            self.registered(one["id"], one["contact"])
        self.granted(ILTA["id"], confirmed=True)
        self.sold(JOEL["id"], "joel", JOEL["contact"], POSTI, "2104")
        self.sold(KERTTU["id"], "kerttu", KERTTU["contact"], MATKAHUOLTO, "home")
        self.sold(NELLI["id"], "nelli", NELLI["contact"], MATKAHUOLTO, "home")
        self.sold(HELKA["id"], "gift", LUMI["contact"], POSTI, "2104", {"recipient_id": LUMI["id"]})

    def sold(self, customer, name, consignee, carrier, service, more=None):
        """An order O-name of one, paid, and its shipment S-name."""
        self.order(customer, "O-" + name, cancelled=False)
        self.count["shipments"] += 1
        self.event("shop.shipment.v1", "shop.shipment.requested", customer,
                   {"shipment_id": "S-" + name, "order_id": "O-" + name, "customer_id": customer, "consignee": consignee,
                    "direction": "outbound", "carrier": carrier, "service": service, "parcels": 1, **(more or {})})

    def granted(self, customer, confirmed):
        """Consent to the newsletter; confirmed: the letter that asked whether it was really he was answered."""
        self.count["consents"] += 1
        if confirmed:
            self.readers.add(customer)
        self.event("shop.consent.v1", "shop.consent.granted", customer,
                   {"customer_id": customer, "purpose": "newsletter", "channel": "email", "basis": "consent",
                    "confirmed": confirmed, "method": "registration_form", "wording": WORDING})

    def no_more(self, customer):
        self.count["withdrawals and objections"] += 1
        self.readers.discard(customer)
        self.event("shop.consent.v1", "shop.consent." + self.random.choice(["withdrawn", "objected"]), customer,
                   {"customer_id": customer, "purpose": "newsletter", "method": "account_page"})

    def registered(self, customer, contact):
        self.count["customers"] += 1
        self.event("shop.customer.v1", "shop.customer.registered", customer,
                   {"customer_id": customer, "kind": "account", "contact": contact, "notice": NOTICE})

    def order(self, customer, order, cancelled=None):
        lines = [{"sku": f"SKU-{self.random.randint(1, 400)}", "name": "Saippua", "quantity": self.random.randint(1, 3),
                  "price": self.random.randint(300, 9000)} for _ in range(self.random.randint(1, 4))]
        total = sum(line["quantity"] * line["price"] for line in lines)
        self.count["orders"] += 1
        self.event("shop.order.v1", "shop.order.placed", customer,
                   {"order_id": order, "customer_id": customer, "guest": False, "currency": "EUR", "total": total,
                    "lines": lines})
        if self.random.random() < 0.03 if cancelled is None else cancelled:
            self.count["cancelled orders"] += 1
            self.event("shop.order.v1", "shop.order.cancelled", customer, {"order_id": order, "customer_id": customer})
            return False
        self.event("shop.order.v1", "shop.order.paid", customer,
                   {"order_id": order, "customer_id": customer, "amount": total, "currency": "EUR"})
        return True

    def customer(self, number):
        customer, contact = f"C-{number:05d}", self.contact(number)
        self.registered(customer, contact)
        if self.random.random() < 0.25:
            self.granted(customer, confirmed=self.random.random() < 0.9)
            if self.random.random() < 0.1:
                self.no_more(customer)
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
        access = envelope("privacy.request.received", instant(self.clock - datetime.timedelta(days=1)),
                          {"request_id": "Q-access", "kind": "access", "subject": {"customer_id": HEROINE["id"]},
                           "channel": "account", "identity": "account"})
        self.bad("not_supported", "privacy.request.v1", "Q-access", access)
        self.bad("time_ahead", "shop.customer.v1", HEROINE["id"], good.replace(b'"time": "20', b'"time": "21'))


def publish(kcat, topic, records):
    """Sends (key, value) pairs to a topic with kcat, in order."""
    text = b"".join(key.encode() + b"\x01" + value + b"\x02" for key, value in records)
    subprocess.run([*kcat, "-P", "-t", topic, "-K", "\x01", "-D", "\x02", "-H",
                    "content-type=application/cloudevents+json; charset=UTF-8", "-X", "acks=all"],
                   input=text, check=True, stderr=subprocess.PIPE)
