#!/usr/bin/env python3
"""Plays random shops into a stack for the judge: tests/judge/play.py STACK BUILD [--seed S] [--people N] [--poison PERCENT]

Each person gets random events of every type whose effect is built, some of them twice, some about things never heard
of, at random times of the last three weeks, many at equal ones; guests, gifts, returns and cases that came by e-mail among
them, in binary and structured mode. Customers' own events keep their order (the shop's promise), all others arrive in any
order. The same seed and names give the same events.

play() is the first half of a story. answer() lets the recipients acknowledge the notices that they have got, and tie() lets
an employee tie cases to persons; both need the outputs of what was played before.
"""
import argparse
import json
import os
import random
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "lib")]
from history import header  # noqa: E402
from poison import Poison  # noqa: E402
from reading import CONSTRAINT, records  # noqa: E402
from refs import Refs, read_key  # noqa: E402
from stack import Stack  # noqa: E402
from terms import show_time  # noqa: E402

MINUTE = 60 * 1000000
SERVICES = [("matkahuolto", "pickup"), ("matkahuolto", "home"), ("posti", "2103"), ("posti", "2104")]
STATUSES = ["unknown", "error", "pre_transit", "in_transit", "out_for_delivery", "available_for_pickup", "failure",
            "cancelled", "return_to_sender", "delivered", "delivered", "delivered"]
HASH = "ab" * 32
REFUSED = "refused"  # in the name of whom the planted constraint refuses
OTHER = {"matkahuolto": "posti", "posti": "matkahuolto"}


class Shop:
    def __init__(self, seed, refs, begin_us, prefix):
        self.random, self.refs, self.begin, self.prefix = random.Random(seed), refs, begin_us, prefix
        self.streams, self.number, self.words, self.requests, self.asked = {}, 0, 0, 0, {}

    def at(self):
        """Few instants, so that equal times are common."""
        return self.begin + self.random.randrange(0, 40) * 7 * 60 * MINUTE + self.random.choice([0, 0, 0, 1, MINUTE])

    def add(self, topic, kind, key, data, at=None, stream=None):
        """Some are sent twice, some are stated anew under the same source and id."""
        chance = self.random.random
        self.number += 1
        event = {"topic": topic, "type": kind + ".v1", "key": key, "data": data, "id": f"{self.prefix}{self.number}",
                 "time": show_time(self.at() if at is None else at)}
        if chance() < 0.1:
            event["sequence"] = str(self.random.randrange(3))
        if chance() < 0.03:
            event["data"] = {**data, f"x{self.random.randrange(3)}": {"unknown": "Tuntematon " + key}}
        kept = self.streams.setdefault(stream or f"{topic} {self.number}", [])
        kept.append(event)
        if chance() < 0.1:
            kept.append(event)
        if chance() < 0.03 and not stream:
            again = {**event, "time": show_time(self.at()), "data": self.otherwise(data)}
            if again["time"] != event["time"]:  # else a digest would decide that the judge does not know
                kept.append(again)

    def otherwise(self, data):
        """Other data for a second fact under the same source and id, where there is something to change."""
        changes = {"amount": lambda value: value + 7, "total": lambda value: value + 7, "consignee": lambda _: self.contact(),
                   "method": lambda _: "customer_service", "status": lambda _: self.random.choice(STATUSES)}
        return {name: changes[name](value) if name in changes else value for name, value in data.items()}

    def word(self):
        """One that nobody else has: what may be searched for when he is forgotten."""
        self.words += 1
        return f"{self.prefix.replace('-', '')}w{self.words}"

    def contact(self, country="FI"):
        pick = self.random.choice
        return {"first_name": pick(["Aino", "Åke", "José", "Jose\u0301"]), "last_name": f"Sukunimi-{self.word()}",
                "street": f"{pick(['Katu', 'Gatan'])} {self.word()}", "postcode": "33100", "city": pick(["Tampere", "Vasa"]),
                "country": country, "phone": f"+35840{self.random.randrange(1000, 1020)}",
                "email": f"{self.prefix}{self.random.randrange(12)}@example.fi"}

    def customer(self, name):
        pick, chance = self.random.choice, self.random.random
        begun = False
        for at in sorted({self.at() for _ in range(self.random.randrange(0, 5))}):  # the shop keeps their order
            if not begun or chance() < 0.3:
                begun = True
                contact = self.contact()
                for field in list(contact):
                    if field != "email" and chance() < 0.2:
                        del contact[field]
                self.add("shop.customer.v1", "shop.customer.registered", name,
                         {"customer_id": name, "kind": pick(["account", "subscriber"]), "contact": contact,
                          "notice": {"id": f"n{self.random.randrange(3)}", "sha256": HASH, "language": pick(["fi", "sv"])}},
                         at, "customer " + name)
                continue
            kind = pick(["changed", "changed", "seen", "closed"])
            data = {"customer_id": name}
            if kind == "changed":
                contact = self.contact()
                fields = self.random.sample(sorted(contact), self.random.randrange(1, 4))
                data["contact"] = {field: None if chance() < 0.3 else contact[field] for field in fields}
            self.add("shop.customer.v1", "shop.customer." + kind, name, data, at, "customer " + name)

    def orders(self, name):
        for number in range(self.random.randrange(0, 3)):
            self.order(name, f"{name}-o{number}")

    def order(self, name, order):
        chance, guest = self.random.random, name.startswith("guest:")
        base = {"order_id": order, "customer_id": name}
        for kind in self.random.sample(["placed", "placed", "changed", "paid", "paid", "cancelled"],
                                       self.random.randrange(1, 5)):
            data = dict(base)
            if kind in ("placed", "changed"):
                data.update(guest=guest, currency="EUR", total=self.random.randrange(1000),
                            lines=[{"sku": "s1", "quantity": 1, "price": 5, "name": "Saippua"}])
                if guest or chance() < 0.3:
                    data["buyer"] = self.contact()
            elif kind == "paid":
                data.update(amount=self.random.randrange(1000), currency="EUR")
            self.add("shop.order.v1", "shop.order." + kind, name, data)
        for parcel in range(self.random.randrange(0, 3)):
            self.shipment(name, order, f"{order.replace('guest:', '')}-s{parcel}")

    def shipment(self, name, order, shipment):
        chance, pick = self.random.random, self.random.choice
        carriers = []
        recipient = f"{self.prefix}r{self.random.randrange(4)}" if chance() < 0.3 else None
        for kind in self.random.choices(["requested", "changed"], [2, 1], k=self.random.randrange(1, 4)):
            carrier, service = pick(SERVICES)
            data = {"shipment_id": shipment, "order_id": order, "customer_id": name,
                    "consignee": self.contact("SE" if carrier == "posti" and chance() < 0.2 else "FI"),
                    "direction": "outbound", "carrier": carrier, "service": service, "parcels": self.random.randrange(1, 3)}
            if chance() < 0.15:
                data.update(direction="return", service="return", return_id=shipment + "-r")
            if service in ("pickup", "2103"):
                data["pickup_point"] = "P1"
            if recipient and chance() < 0.9:
                data["recipient_id"] = recipient
            carriers.append(carrier)
            self.add("shop.shipment.v1", "shop.shipment." + kind, name, data)
        if chance() < 0.15:
            self.add("shop.shipment.v1", "shop.shipment.cancelled", name,
                     {"shipment_id": shipment, "order_id": order, "customer_id": name})
        for _ in range(self.random.randrange(0, 4)):
            carrier = pick(carriers)
            ref = self.refs.shipment(carrier, name, shipment)
            data = {"shipment_ref": ref, "status": pick(STATUSES)}
            if chance() < 0.5:
                data["parcel"] = self.random.randrange(1, 3)
            sender = OTHER[carrier] if chance() < 0.05 else carrier  # another's ref
            self.add(f"carrier.{sender}.v1", "carrier.delivery.status", ref, data)

    def consents(self, name):
        chance, pick = self.random.random, self.random.choice
        for _ in range(self.random.randrange(0, 4)):
            act = pick(["granted", "granted", "withdrawn", "objected"])
            if act == "granted":
                data = {"customer_id": name, "purpose": pick(["newsletter", "newsletter", "marketing"]),
                        "channel": pick(["email", "email", "email", "sms"]),
                        "basis": pick(["consent", "consent", "consent", "soft_opt_in"]), "confirmed": chance() < 0.8,
                        "method": pick(["registration_form", "account_page", "checkout"]),
                        "wording": {"id": "w1", "sha256": HASH, "language": "fi"}}
                if data["basis"] == "soft_opt_in":
                    data["order_id"] = f"{name}-o0"
                self.add("shop.consent.v1", "shop.consent.granted", name, data)
                continue
            data = {"method": pick(["unsubscribe_link", "account_page"])}
            key = name
            if chance() < 0.3:  # that of the first generation, or of one after a cut, if it becomes one
                key = data["token"] = self.refs.token(name, pick([None, None, *self.asked.get(name, ())]))
            else:
                data["customer_id"] = name
            if chance() < 0.5:
                data["purpose"] = "newsletter"
            if chance() < 0.3:
                data["channel"] = pick(["email", "sms"])
            self.add("shop.consent.v1", "shop.consent." + act, key, data)

    def request(self, subject):
        chance, pick = self.random.random, self.random.choice
        name = f"{self.prefix}q{self.requests}"
        self.requests += 1
        for _ in range(1 + (chance() < 0.2)):
            at = self.at()
            self.asked.setdefault(subject.get("customer_id"), []).append(at)
            self.add("privacy.request.v1", "privacy.request.received", name,
                     {"request_id": name, "kind": "erasure", "subject": subject, "channel": pick(["account", "email"]),
                      "identity": pick(["none", "account", "strong"])}, at)
        for _ in range(self.random.randrange(0, 2)):
            self.add("privacy.request.v1", "privacy.request.identified", name,
                     {"request_id": name, "identity": pick(["email_loop", "clerk"])})

    def people(self, count):
        for number in range(count):
            name = f"{self.prefix}c{number}"
            self.customer(name)
            self.orders(name)
            while self.random.random() < 0.45:
                self.request({"customer_id": name})
            self.consents(name)
        for number in range(count // 10):
            order = f"{self.prefix}g{number}"
            self.order("guest:" + order, order)
            if self.random.random() < 0.4:
                self.request({"customer_id": "guest:" + order})
        foreign = f"{self.prefix}foreign"  # whose shipment's ref another carrier will name, see poison.py
        self.add("shop.shipment.v1", "shop.shipment.requested", foreign,
                 {"shipment_id": "s1", "order_id": "o1", "customer_id": foreign, "consignee": self.contact(),
                  "direction": "outbound", "carrier": "matkahuolto", "service": "home", "parcels": 1})
        for number in range(1 + count // 20):  # what nobody will ever know waits parked
            ref = self.refs.shipment("posti", f"{self.prefix}never", str(number))
            self.add("carrier.posti.v1", "carrier.delivery.status", ref, {"shipment_ref": ref, "status": "delivered"})
        for number in range(4):
            if self.random.random() < 0.4:
                self.request({"recipient_id": f"{self.prefix}r{number}"})
        for number in range(1 + count // 30):
            self.request({"email": f"{self.prefix}{number}@example.fi"} if self.random.random() < 0.7 else
                         {"phone": f"+35840{1000 + number}"})

    def arriving(self):
        """Streams keep their own order, everything else is mixed."""
        streams = [list(reversed(one)) for one in self.streams.values()]
        while streams:
            index = self.random.randrange(len(streams))
            yield streams[index].pop()
            if not streams[index]:
                streams[index] = streams[-1]
                streams.pop()


def wire(event, chance):
    """(topic, key, value, headers) of an event: in binary or structured mode, with or without the 5-byte prefix."""
    envelope = {"specversion": "1.0", "id": event["id"], "source": event.get("source", "urn:shop"), "type": event["type"],
                "time": event["time"]}
    if "sequence" in event:
        envelope["sequence"] = event["sequence"]
    if chance() < 0.2:
        document, headers = {**envelope, "data": event["data"]}, [("content-type", "application/cloudevents+json; charset=utf-8")]
    else:
        document = event["data"]
        headers = [("ce_" + name, value) for name, value in envelope.items()]
        if chance() < 0.7:
            headers.append(("content-type", "application/json"))
    value = json.dumps(document, ensure_ascii=chance() < 0.3).encode()
    return event["topic"], event["key"], b"\0\0\0\0\7" + value if chance() < 0.05 else value, headers


def refs_of(stack):
    secrets = os.path.join(stack.directory, "secrets")
    return Refs(read_key(os.path.join(secrets, "ref")), read_key(os.path.join(secrets, "digest")))


def plant_refusals(stack):
    """A constraint that refuses whoever is named so: the database's own refusals, reason 29."""
    stack.sql(f"ALTER TABLE person DROP CONSTRAINT IF EXISTS {CONSTRAINT}, "
              f"ADD CONSTRAINT {CONSTRAINT} CHECK (person NOT LIKE '%{REFUSED}%')")


def play(stack, seed, people, prefix, poison=0):
    """poison: how many bad records, in percent of the good ones; they come in between. How many records were sent."""
    midnight = int(time.time()) // 86400 * 86400 * 1000000
    shop = Shop(seed, refs_of(stack), midnight - 21 * 86400 * 1000000, prefix)
    shop.people(people)
    if poison:
        plant_refusals(stack)
    dose = Poison(shop.random, shop.refs, prefix, REFUSED, midnight)
    count = 0
    for event in shop.arriving():
        stack.send_raw(*wire(event, shop.random.random))
        count += 1
        if shop.random.random() * 100 < poison:
            _, topic, key, value, headers, timestamp = dose.next(int(time.time() * 1000))
            stack.send_raw(topic, key, value, headers, timestamp=timestamp)
            count += 1
    stack.flush()
    return count


def answer(stack, seed, prefix):
    """The recipients answer the notices that stand in their topics, some twice, some with another's ref."""
    chance = random.Random(f"{seed} answers")
    topics = [topic for topic in stack.topics() if topic.startswith("disclosure.")]
    count = 0
    for record in records(stack, topics):
        body = json.loads(record.value)
        if "notice_ref" not in body or chance.random() < 0.3:
            continue
        recipient = record.topic.split(".")[1]
        kind = header(record, "ce_type").rsplit(".", 2)[1]
        for _ in range(chance.choice([1, 1, 2])):
            outcome = chance.choice(["erased" if kind == "anonymize" else "corrected", "unknown_person", "retained"])
            data = {"notice_ref": body["notice_ref"], "outcome": outcome}
            if outcome == "retained":
                data.update(ground="Kirjanpitolaki " + str(count % 5), until=f"20{chance.randrange(30, 40)}-01-31")
            sender = chance.choice([name for name in ("matkahuolto", "posti", "letterhouse") if name != recipient]) \
                if chance.random() < 0.05 else recipient
            count += 1
            event = {"topic": f"carrier.{sender}.v1", "type": "carrier.notice.acknowledged.v1", "key": body["notice_ref"],
                     "id": f"{prefix}a{count}", "source": f"urn:{sender}", "data": data,
                     "time": show_time(int(time.time()) // 3600 * 3600 * 1000000 + chance.randrange(3) * MINUTE // 60)}
            stack.send_raw(*wire(event, chance.random))
    stack.flush()
    return count


def tie(stack, seed):
    """An employee ties most of the cases that are open to somebody whom the register knows."""
    chance, count = random.Random(f"{seed} ties"), 0
    cases = stack.sql("SELECT request_id FROM request WHERE is_case AND person IS NULL ORDER BY request_id")
    persons = stack.sql("SELECT DISTINCT person FROM person WHERE person NOT LIKE '/%%' ORDER BY person")
    for (case,) in cases:
        if chance.random() < 0.8 and persons:
            stack.cli("request", "tie", case, "--person", chance.choice(persons)[0], "--reason", "judge")
            count += 1
    return count


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("stack")
    parser.add_argument("build")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--people", type=int, default=50)
    parser.add_argument("--prefix", default=None)
    parser.add_argument("--poison", type=float, default=0, help="bad records in percent of the good ones")
    arguments = parser.parse_args()
    count = play(Stack(arguments.stack, arguments.build), arguments.seed, arguments.people,
                 arguments.prefix or f"p{arguments.seed}-", arguments.poison)
    print(f"{count} events of seed {arguments.seed}")


if __name__ == "__main__":
    main()
