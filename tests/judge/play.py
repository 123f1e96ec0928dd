#!/usr/bin/env python3
"""Plays random shops into a stack for the judge: tests/judge/play.py STACK BUILD [--seed S] [--people N] [--waves N]

Each person gets random events of every type whose effect is built, some of them twice, some about things never heard
of, at random times of the last three weeks, many at equal ones. Customers' own events keep their order (the shop's
promise), all others arrive in any order. The same seed and names give the same events.
"""
import argparse
import os
import random
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "lib")]
from judge import Refs, read_key  # noqa: E402
from stack import Stack  # noqa: E402
from terms import show_time  # noqa: E402

MINUTE = 60 * 1000000
SERVICES = [("matkahuolto", "pickup"), ("matkahuolto", "home"), ("posti", "2103"), ("posti", "2104")]
STATUSES = ["unknown", "error", "pre_transit", "in_transit", "out_for_delivery", "available_for_pickup", "failure",
            "cancelled", "return_to_sender", "delivered", "delivered", "delivered"]
HASH = "ab" * 32


class Shop:
    def __init__(self, seed, refs, begin_us, prefix):
        self.random, self.refs, self.begin, self.prefix = random.Random(seed), refs, begin_us, prefix
        self.streams, self.number = {}, 0

    def at(self):
        """Few instants, so that equal times are common."""
        return self.begin + self.random.randrange(0, 40) * 7 * 60 * MINUTE + self.random.choice([0, 0, 0, 1, MINUTE])

    def add(self, topic, kind, key, data, at=None, stream=None):
        self.number += 1
        event = {"topic": topic, "type": kind + ".v1", "key": key, "data": data, "id": f"{self.prefix}{self.number}",
                 "time": show_time(self.at() if at is None else at)}
        if self.random.random() < 0.1:
            event["sequence"] = str(self.random.randrange(3))
        stream = stream or f"{topic} {self.number}"
        self.streams.setdefault(stream, []).append(event)
        if self.random.random() < 0.1:
            self.streams[stream].append(event)

    def contact(self, name):
        pick = self.random.choice
        whole = {"first_name": pick(["Aino", "Åke", "José"]), "last_name": name, "street": f"{pick(['Katu', 'Gatan'])} {self.random.randrange(9)}",
                 "postcode": "33100", "city": pick(["Tampere", "Vasa"]), "country": "FI",
                 "phone": f"+35840{self.random.randrange(1000, 1020)}", "email": f"{self.prefix}{self.random.randrange(12)}@example.fi"}
        return whole

    def customer(self, name):
        pick, chance = self.random.choice, self.random.random
        times = sorted({self.at() for _ in range(self.random.randrange(0, 5))})  # the shop keeps their order
        begun = False
        for at in times:
            if not begun or chance() < 0.3:
                begun = True
                contact = self.contact(name)
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
                contact = self.contact(name)
                fields = self.random.sample(sorted(contact), self.random.randrange(1, 4))
                data["contact"] = {field: None if chance() < 0.3 else contact[field] for field in fields}
            self.add("shop.customer.v1", "shop.customer." + kind, name, data, at, "customer " + name)

    def orders(self, name):
        chance = self.random.random
        for number in range(self.random.randrange(0, 3)):
            order = f"{name}-o{number}"
            base = {"order_id": order, "customer_id": name}
            for kind in self.random.sample(["placed", "placed", "changed", "paid", "paid", "cancelled"],
                                           self.random.randrange(1, 5)):
                data = dict(base)
                if kind in ("placed", "changed"):
                    data.update(guest=False, currency="EUR", total=self.random.randrange(1000),
                                lines=[{"sku": "s1", "quantity": 1, "price": 5, "name": "Saippua"}])
                    if chance() < 0.3:
                        data["buyer"] = self.contact(name)
                elif kind == "paid":
                    data.update(amount=self.random.randrange(1000), currency="EUR")
                self.add("shop.order.v1", "shop.order." + kind, name, data)
            for parcel in range(self.random.randrange(0, 3)):
                self.shipment(name, order, f"{order}-s{parcel}")

    def shipment(self, name, order, shipment):
        chance, pick = self.random.random, self.random.choice
        carriers = []
        recipient = f"{self.prefix}r{self.random.randrange(4)}" if chance() < 0.3 else None
        for kind in self.random.choices(["requested", "changed"], [2, 1], k=self.random.randrange(1, 4)):
            carrier, service = pick(SERVICES)
            direction = "outbound"
            data = {"shipment_id": shipment, "order_id": order, "customer_id": name, "consignee": self.contact(name),
                    "direction": direction, "carrier": carrier, "service": service, "parcels": self.random.randrange(1, 3)}
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
            self.add(f"carrier.{carrier}.v1", "carrier.delivery.status", ref, data)

    def consents(self, name):
        chance, pick = self.random.random, self.random.choice
        for _ in range(self.random.randrange(0, 4)):
            act = pick(["granted", "granted", "withdrawn", "objected"])
            if act == "granted":
                data = {"customer_id": name, "purpose": pick(["newsletter", "newsletter", "marketing"]), "channel": "email",
                        "basis": pick(["consent", "consent", "consent", "soft_opt_in"]), "confirmed": chance() < 0.8,
                        "method": pick(["registration_form", "account_page", "checkout"]),
                        "wording": {"id": "w1", "sha256": HASH, "language": "fi"}}
                if data["basis"] == "soft_opt_in":
                    data["order_id"] = f"{name}-o0"
                self.add("shop.consent.v1", "shop.consent.granted", name, data)
                continue
            data = {"method": pick(["unsubscribe_link", "account_page"])}
            key = name
            if chance() < 0.3:
                key = data["token"] = self.refs.token(name, None)
            else:
                data["customer_id"] = name
            if chance() < 0.5:
                data["purpose"] = "newsletter"
            if chance() < 0.3:
                data["channel"] = pick(["email", "sms"])
            self.add("shop.consent.v1", "shop.consent." + act, key, data)

    def request(self, subject, number):
        chance, pick = self.random.random, self.random.choice
        name = f"{self.prefix}q{number}"
        for _ in range(1 + (chance() < 0.2)):
            self.add("privacy.request.v1", "privacy.request.received", name,
                     {"request_id": name, "kind": "erasure", "subject": subject, "channel": pick(["account", "email"]),
                      "identity": pick(["none", "account", "strong"])})
        for _ in range(self.random.randrange(0, 2)):
            self.add("privacy.request.v1", "privacy.request.identified", name,
                     {"request_id": name, "identity": pick(["email_loop", "clerk"])})

    def people(self, count):
        requests = 0
        for number in range(count):
            name = f"{self.prefix}c{number}"
            self.customer(name)
            self.orders(name)
            self.consents(name)
            while self.random.random() < 0.45:
                self.request({"customer_id": name}, requests)
                requests += 1
        for number in range(4):
            if self.random.random() < 0.4:
                self.request({"recipient_id": f"{self.prefix}r{number}"}, requests)
                requests += 1

    def arriving(self):
        """Streams keep their own order, everything else is mixed."""
        streams = [list(reversed(one)) for one in self.streams.values()]
        while streams:
            index = self.random.randrange(len(streams))
            yield streams[index].pop()
            if not streams[index]:
                streams[index] = streams[-1]
                streams.pop()


def play(stack, seed, people, prefix):
    secrets = os.path.join(stack.directory, "secrets")
    refs = Refs(read_key(os.path.join(secrets, "ref")), read_key(os.path.join(secrets, "digest")))
    midnight = int(time.time()) // 86400 * 86400 * 1000000
    shop = Shop(seed, refs, midnight - 21 * 86400 * 1000000, prefix)
    shop.people(people)
    count = 0
    for event in shop.arriving():
        stack.send(event)
        count += 1
    stack.flush()
    return count


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("stack")
    parser.add_argument("build")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--people", type=int, default=50)
    parser.add_argument("--prefix", default=None)
    arguments = parser.parse_args()
    count = play(Stack(arguments.stack, arguments.build), arguments.seed, arguments.people,
                 arguments.prefix or f"p{arguments.seed}-")
    print(f"{count} events of seed {arguments.seed}")


if __name__ == "__main__":
    main()
