"""Events of made-up persons, for suites that tell stories on a real stack. Times are seconds of `Story.begin`, an hour ago,
so that every event has its place in time whenever it is sent."""
import hashlib
import json
import os
import subprocess
import time

from stack import Failed, headers_of

RUN = os.urandom(4).hex()
NOTICE = {"id": "privacy-1", "sha256": "ab" * 32, "language": "fi"}
WORDING = {"id": "newsletter-3", "sha256": "cd" * 32, "language": "fi"}
LINES = [{"sku": "soap-1", "name": "Saippua", "quantity": 2, "price": 450}]
BEGIN = int(time.time()) - 3600


def expect(fine, why):
    if not fine:
        raise Failed(why)


def at(second):
    """The instant of that second, as events and the dump write it."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(BEGIN + second)) + ".000000Z"


def contact(person, **more):
    """One that no other person has."""
    number = int(hashlib.sha256(person.encode()).hexdigest(), 16) % 10 ** 10
    return {"first_name": "Ainokaisa", "last_name": "Öhman", "street": "Hämeenkatu 1", "postcode": "33100", "city": "Tampere",
            "country": "FI", "phone": f"+3585{number:010d}", "email": person + "@example.fi", **more}


def event(topic, kind, key, second, data, **more):
    return {"topic": topic, "type": kind + ".v1", "key": key, "time": at(second), "data": data, **more}


def registered(person, second=0, stated=None, **more):
    return event("shop.customer.v1", "shop.customer.registered", person, second,
                 {"customer_id": person, "kind": "account", "contact": stated or contact(person), "notice": NOTICE}, **more)


def changed(person, second, stated, **more):
    return event("shop.customer.v1", "shop.customer.changed", person, second,
                 {"customer_id": person, "contact": stated}, **more)


def placed(person, order, second, buyer=None, **more):
    return event("shop.order.v1", "shop.order.placed", person, second,
                 {"order_id": order, "customer_id": person, "guest": False, "currency": "EUR", "total": 900, "lines": LINES,
                  **({"buyer": buyer} if buyer else {})}, **more)


def paid(person, order, second, **more):
    return event("shop.order.v1", "shop.order.paid", person, second,
                 {"order_id": order, "customer_id": person, "amount": 900, "currency": "EUR"}, **more)


def requested(person, shipment, second, carrier="matkahuolto", service="pickup", to=None, stated=None, **more):
    return event("shop.shipment.v1", "shop.shipment.requested", person, second,
                 {"shipment_id": shipment, "order_id": "o-" + shipment, "customer_id": person,
                  "consignee": stated or contact(to or person), "direction": "outbound", "carrier": carrier,
                  "service": service, "parcels": 1, **({"pickup_point": "MH-1"} if service in ("pickup", "2103") else {}),
                  **({"recipient_id": to} if to else {})}, **more)


def granted(person, second, **more):
    return event("shop.consent.v1", "shop.consent.granted", person, second,
                 {"customer_id": person, "purpose": "newsletter", "channel": "email", "basis": "consent", "confirmed": True,
                  "method": "registration_form", "wording": WORDING}, **more)


def objected(person, second, **more):
    return event("shop.consent.v1", "shop.consent.objected", person, second,
                 {"customer_id": person, "method": "customer_service"}, **more)


def asks(request, second, subject, identity="account", channel="account", kind="erasure", **more):
    return event("privacy.request.v1", "privacy.request.received", request, second,
                 {"request_id": request, "kind": kind, "subject": subject, "channel": channel, "identity": identity}, **more)


def identified(request, second, identity="email_loop", **more):
    return event("privacy.request.v1", "privacy.request.identified", request, second,
                 {"request_id": request, "identity": identity}, **more)


def status(stack, carrier, person, shipment, second, what="delivered", **more):
    ref = refs(stack, [(carrier, person, shipment)])[0]
    return status_by_ref(carrier, ref, second, what, **more)


def status_by_ref(carrier, ref, second, what="delivered", **more):
    return event(f"carrier.{carrier}.v1", "carrier.delivery.status", ref, second, {"shipment_ref": ref, "status": what},
                 **more)


def refs(stack, shipments):
    """What the register will call them: [(recipient, customer, shipment)]"""
    done = subprocess.run([os.path.join(stack.build, "tests", "ref"), os.path.join(stack.directory, "secrets", "ref"),
                           "shipments"], input="".join(" ".join(one) + "\n" for one in shipments), capture_output=True,
                          text=True, check=True)
    return done.stdout.split()


def send(stack, *events):
    for one in events:
        stack.send(one)
    stack.flush()


def settle(stack, seconds=60):
    """All is consumed, relayed, and what was erased has lost its keys."""
    stack.settle(seconds)
    stack.wait_erased(seconds)


def in_turn(stack, *events):
    """Each takes effect before the next is sent."""
    for one in events:
        send(stack, one)
        settle(stack)


def dump_of(stack, what, *options):
    """The lines of `dump --open` that name a person, customer, order or request of that id."""
    found = []
    for text in stack.dump("--open", "--reason", "a test", *options):
        if what in text:
            line = json.loads(text)
            if what in [line.get(key) for key in ("person", "customer", "request")]:
                found.append(line)
    return found


def one_line(stack, what, kind):
    found = [line for line in dump_of(stack, what) if line["line"] == kind]
    expect(len(found) == 1, f"{len(found)} {kind} lines of {what}")
    return found[0]


OUTPUTS = ("register.anonymization.v1", "register.marketing-permission.v1", "register.request.v1", "register.erasure.v1",
           "register.command.v1", "register.dead-letter.v1", "disclosure.matkahuolto.v1", "disclosure.posti.v1",
           "disclosure.letterhouse.v1")


def outputs(stack, *topics):
    """[(topic, type without version, key, data)] in order by key; of commands the data is what stands there."""
    found = []
    for message in stack.read_all(*(topics or OUTPUTS)):
        value = message.value()
        if message.topic() != "register.command.v1":
            value = json.loads(value)
        found.append((message.topic(), headers_of(message)["ce_type"].removesuffix(".v1"), message.key().decode(), value))
    return found


def output_ids(stack):
    return sorted(headers_of(message)["ce_id"] for message in stack.read_all(*OUTPUTS))


def states_told(stack, request):
    return [data["state"] for _, _, key, data in outputs(stack, "register.request.v1") if key == request]


def person_ref(stack, recipient, person, generation="-1"):
    done = subprocess.run([os.path.join(stack.build, "tests", "ref"), os.path.join(stack.directory, "secrets", "ref"),
                           "person", recipient, person, generation], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def told_to(stack, recipient, person):
    """The types of what the recipient was sent about the person, in order."""
    ref = person_ref(stack, recipient, person)
    return [kind for _, kind, key, _ in outputs(stack, f"disclosure.{recipient}.v1") if key == ref]


def notices_to(stack, person):
    """{recipient: [cause of each anonymize]}"""
    found = {}
    for recipient in ("matkahuolto", "posti", "letterhouse"):
        ref = person_ref(stack, recipient, person)
        causes = [data["cause"] for _, kind, key, data in outputs(stack, f"disclosure.{recipient}.v1")
                  if kind == "register.notice.anonymize" and key == ref]
        if causes:
            found[recipient] = causes
    return found


class Daemons:
    """Both, restarted as a story wants."""

    def __init__(self, stack):
        self.stack = stack
        self.consumer = self.relay = None

    def start(self, consumer_env=None, relay_env=None, ready=True):
        if not (self.consumer and self.consumer.running):
            self.consumer = self.stack.consumer(env=consumer_env)
        if not (self.relay and self.relay.running):
            self.relay = self.stack.relay(env=relay_env)
        if ready:
            self.stack.ready("CONSUMER")
            self.stack.ready("PRODUCER")
        return self

    def stop(self, which=("consumer", "relay")):
        for daemon in (getattr(self, name) for name in which):
            if daemon and daemon.running:
                code = daemon.stop()
                expect(code == 0, f"{daemon.program} ended with {code}: {daemon.said()[-400:]}")

    def killed_at(self, point):
        """A consumer that kills itself there, once it comes by."""
        self.stop(("consumer",))
        self.consumer = self.stack.consumer(env={"KUNDREGISTER_KILL_AT": point})
        self.stack.ready("CONSUMER")

    def await_death(self, seconds=30):
        code = self.consumer.wait(seconds)
        expect(code == -9, f"the consumer ended with {code} instead of being killed: {self.consumer.said()[-400:]}")
