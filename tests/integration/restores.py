#!/usr/bin/env python3
"""Base backups restored beside what was erased since (golden 15, nasty 22 and 24): restores.py STACK_DIR BUILD_DIR.

Each story: persons, a real base backup of both clusters, erasures, then one or both clusters are what they were. The
consumer refuses and names the way out; after it everybody is erased again, what the law keeps is there, and both
daemons go on.
"""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from cluster import Cluster  # noqa: E402
from stack import Failed, Report, Stack, headers_of, now, wait_for  # noqa: E402

RUN = "rest" + os.urandom(3).hex()


# ---- a shop ----------------------------------------------------------------------------------------------------------

def contact(person):
    return {"first_name": "Ainokaisa", "last_name": "Marker" + person, "street": "Satakielentie 7", "postcode": "33700",
            "city": "Tampere", "country": "FI", "email": person + "@marker.example.fi"}


class People:
    """One who paid and was sent it, one whose parcel is under way, one who stays."""

    def __init__(self, stack, story):
        self.stack = stack
        self.buyer, self.waits, self.stays = (f"{RUN}-{story}-{which}" for which in ("buyer", "waits", "stays"))
        self.erased = (self.buyer, self.waits)

    def arrive(self):
        for person in (*self.erased, self.stays):
            self.send("shop.customer.v1", "shop.customer.registered", person, {
                "customer_id": person, "kind": "account", "contact": contact(person),
                "notice": {"id": "privacy-2026-1", "sha256": "ab" * 32, "language": "fi"}})
        order = {"order_id": "O-" + self.buyer, "customer_id": self.buyer, "currency": "EUR"}
        self.send("shop.order.v1", "shop.order.placed", self.buyer, {
            **order, "guest": False, "total": 4200,
            "lines": [{"sku": "SKU-1", "name": "Saippua", "quantity": 2, "price": 2100}]})
        self.send("shop.order.v1", "shop.order.paid", self.buyer, {**order, "amount": 4200})
        for person, carrier in ((self.buyer, "matkahuolto"), (self.waits, "posti")):
            self.send("shop.shipment.v1", "shop.shipment.requested", person, {
                "shipment_id": "S-" + person, "order_id": "O-" + person, "customer_id": person,
                "consignee": contact(person), "direction": "outbound", "carrier": carrier,
                "service": "home" if carrier == "matkahuolto" else "2104", "parcels": 1})

    def deliver(self):
        """The buyer's parcel: whoever is erased then has nothing that waits."""
        told = [json.loads(message.value()) for message in self.stack.read_all("disclosure.matkahuolto.v1")
                if headers_of(message)["ce_type"].startswith("register.disclosure.shipment")]
        self.send("carrier.matkahuolto.v1", "carrier.delivery.status", told[-1]["shipment_ref"],
                  {"shipment_ref": told[-1]["shipment_ref"], "status": "delivered"})

    def ask(self):
        for person in self.erased:
            self.send("privacy.request.v1", "privacy.request.received", "R-" + person, {
                "request_id": "R-" + person, "kind": "erasure", "subject": {"customer_id": person},
                "channel": "account", "identity": "account"})

    def send(self, topic, kind, key, data):
        failed = self.stack.send({"topic": topic, "type": kind + ".v1", "key": key, "data": data, "time": now(-60)})
        self.stack.flush()
        if failed:
            raise Failed(f"{kind}: {failed}")

    def forgotten(self, erased=None):
        """Nothing of the erased is in an open dump; what must be kept is; the other one is untouched."""
        dump = self.stack.dump("--open", "--reason", "test")
        for person in erased or self.erased:
            if any("Marker" + person in line for line in dump):
                raise Failed(f"{person} is back: " + next(line for line in dump if "Marker" + person in line)[:300])
        if not any("Marker" + self.stays in line for line in dump):
            raise Failed("who stays is gone")
        order = next((json.loads(line) for line in dump if f'"O-{self.buyer}"' in line and '"line":"order"' in line), {})
        voucher = (order.get("voucher") or {}).get("value") or {}
        if voucher.get("total") != 4200 or not voucher.get("payments"):
            raise Failed(f"the voucher is not kept: {order}")

    def cuts(self):
        return self.stack.sql("SELECT count(*) FROM tombstone WHERE person = ANY(%s) AND destroyed IS NOT NULL",
                              list(self.erased))[0][0]


def work(stack):
    """Both daemons, one after the other, until everything is through."""
    for start in (stack.consumer, stack.relay):
        started = start("--until-caught-up")
        if started.wait(120) != 0:
            raise Failed(f"{started.program} exited with {started.process.returncode}: {started.said()[-600:]}")


def refuses(started, words):
    code, said = started.wait(60), started.said()
    if code != 78 or words not in said or '"assigned"' in said:
        raise Failed(f"{started.program} exited with {code}: {said[-600:]}")


def reconcile(stack):
    return json.loads(stack.cli("restore", "reconcile", "--reason", "a restore in a test", "--json").stdout)


def settled(stack, people):
    """After the way out: the daemons go on, nobody is back, nothing is left to be destroyed."""
    work(stack)
    wait_for("the erasures to be destroyed", lambda: people.cuts() == 2, 10)
    people.forgotten()
    if stack.sql("SELECT count(*) FROM doomed")[0][0]:
        raise Failed("keys are doomed still")
    again = reconcile(stack)
    if again["register_lacked"] or again["vault_older"] or again["topic_lacks"]:
        raise Failed(f"not all is reconciled: {again}")
    deep = stack.cli("doctor", "--deep", "--json", check=False)
    if "no key ring" in deep.stdout:
        raise Failed(deep.stdout[:600])
    work(stack)


def lived(stack, story, backups):
    """People arrive, base backups are taken, people are erased."""
    people = People(stack, story)
    people.arrive()
    work(stack)
    people.deliver()
    work(stack)
    for cluster in backups:
        cluster.backup(story)
    people.ask()
    work(stack)
    if people.cuts() != 2:
        raise Failed("nobody was erased")
    return people


# ---- stories ---------------------------------------------------------------------------------------------------------

def only_with_the_keys(stack, register):
    """nasty 24: the register as it was, alone and with all WAL, beside the vault of now."""
    people = lived(stack, "keys", [register])
    for wal in (None, "now"):
        register.put("keys", keep=None if wal else "now", wal=wal)
        shown = stack.cli("customer", "show", people.buyer, "--reason", "test", check=False)
        if "Marker" in shown.stdout + shown.stderr:
            raise Failed("the profile opened: " + shown.stdout[:300])
        if not wal and "no key" not in shown.stderr:
            raise Failed(f"{shown.returncode}: {shown.stdout} {shown.stderr}")
        if not wal:  # nobody's profile any more, but the rest of it all opens
            stack.sql("UPDATE person SET profile = NULL, profile_until = NULL WHERE person = ANY(%s)", list(people.erased))
            stack.sql("UPDATE shipment SET delivery = NULL, delivery_until = NULL WHERE customer_id = ANY(%s)",
                      list(people.erased))
        dump = stack.dump("--open", "--reason", "test")
        if not any(f'"O-{people.buyer}"' in line and '"total":4200' in line for line in dump):
            raise Failed("the voucher does not open")
    register.take_back("now")
    people.forgotten([people.buyer]) # the other's parcel is under way
    return people


class Late:
    """Arrives after the backup, is sent a parcel, and is erased while it is under way: a restored register has never heard of
    him, and the carrier has."""

    def __init__(self, stack):
        self.stack, self.person = stack, f"{RUN}-late"
        people = People(stack, "late")
        people.send("shop.customer.v1", "shop.customer.registered", self.person, {
            "customer_id": self.person, "kind": "account", "contact": contact(self.person),
            "notice": {"id": "privacy-2026-1", "sha256": "ab" * 32, "language": "fi"}})
        people.send("shop.shipment.v1", "shop.shipment.requested", self.person, {
            "shipment_id": "S-" + self.person, "order_id": "O-" + self.person, "customer_id": self.person,
            "consignee": contact(self.person), "direction": "outbound", "carrier": "posti", "service": "2103", "parcels": 1})
        work(stack)
        people.send("privacy.request.v1", "privacy.request.received", "R-" + self.person, {
            "request_id": "R-" + self.person, "kind": "erasure", "subject": {"customer_id": self.person},
            "channel": "account", "identity": "account"})
        work(stack)
        if self.told_to_forget():
            raise Failed("the carrier was told to forget a parcel that is under way")

    def told_to_forget(self):
        told, named = set(), set()
        for message in self.stack.read_all("disclosure.posti.v1"):
            body = json.loads(message.value())
            if self.person in json.dumps(body):
                told.add(body["disclosure_ref"])
            if headers_of(message)["ce_type"].startswith("register.notice.anonymize"):
                named.update(body["disclosures"])
        if not told:
            raise Failed("the carrier was never told of him")
        return told <= named

    def forgotten(self):
        if not self.told_to_forget():
            raise Failed("the carrier keeps what only the lost register knew that it had told")
        records = [json.loads(message.value()) for message in self.stack.read_all("register.marketing-permission.v1")]
        reasons = [line["reason"] for record in records if record["customer_id"] == self.person
                   for line in record["permissions"]]
        if reasons[-1:] != ["erased"]:
            raise Failed(f"his last permission record says {reasons[-1:]}")


def older_register(stack, register, people):
    late = Late(stack)
    register.put("keys")
    refuses(stack.consumer("--until-caught-up"), "restore reconcile")
    refuses(stack.relay("--until-caught-up"), "producer reconcile")
    done = reconcile(stack)
    if done["register_lacked"] != 3 or done["erased_again"] != 3 or done["unknown"] or done["permissions_told"] < 3:
        raise Failed(str(done))
    stack.cli("producer", "reconcile")
    settled(stack, people)
    late.forgotten()


def older_vault(stack, vault):
    people = lived(stack, "vault", [vault])
    vault.put("vault")
    refuses(stack.consumer("--until-caught-up"), "restore reconcile")
    done = reconcile(stack)
    if not done["vault_older"] or done["destroyed_again"] < 2 or done["register_lacked"]:
        raise Failed(str(done))
    settled(stack, people)
    with stack.vault() as connection:
        kept = connection.execute("SELECT count(*) FROM tombstone").fetchone()[0]
        rings = connection.execute("SELECT count(*) FROM lookup WHERE person = ANY(%s)", [list(people.erased)]).fetchone()[0]
    if kept < 2 or rings:
        raise Failed(f"the vault has {kept} tombstones and {rings} lookups of the erased")


def both_old(stack, register, vault):
    people = lived(stack, "both", [register, vault])
    register.put("both")
    vault.put("both")
    refuses(stack.consumer("--until-caught-up"), "restore reconcile")
    done = reconcile(stack)
    if done["register_lacked"] != 2 or done["erased_again"] != 2:
        raise Failed(str(done))
    stack.cli("producer", "reconcile")
    settled(stack, people)


def both_empty(stack, register, vault):
    people = lived(stack, "empty", [])
    register.put("first")
    vault.put("first")
    refuses(stack.consumer("--until-caught-up"), "restore reconcile")
    done = reconcile(stack)
    if not done["unknown"] or done["erased_again"] or done["vault_told"] != done["unknown"]:
        raise Failed(str(done))
    stack.cli("producer", "reconcile")
    settled(stack, people)


def while_one_runs(stack):
    """The way out is not for use beside a consumer."""
    running = stack.consumer()
    stack.ready("CONSUMER", 60)
    done = stack.cli("restore", "reconcile", "--reason", "test", check=False)
    running.stop()
    if done.returncode != 1 or "a consumer runs" not in done.stderr:
        raise Failed(f"{done.returncode}: {done.stderr[-300:]}")
    audited = stack.sql("SELECT count(*) FROM audit WHERE action = 'restore reconcile' AND reason = 'a restore in a test'")
    if not audited[0][0]:
        raise Failed("the audit does not know of it")


def main():
    stack, report = Stack(*sys.argv[1:3]), Report()
    register, vault = Cluster(stack, "register"), Cluster(stack, "vault")
    for cluster in (register, vault):
        cluster.backup("first")
    people = []
    stories = (
        ("nasty 24: base backup, all WAL and today's vault: the profile stays shut, the voucher opens",
         lambda: people.append(only_with_the_keys(stack, register))),
        ("golden 15, nasty 22: an older register is refused, reconciled, erased again",
         lambda: older_register(stack, register, people[0])),
        ("golden 15, nasty 22: an older vault is refused, and destroys again", lambda: older_vault(stack, vault)),
        ("nasty 22: both older: the topic knows", lambda: both_old(stack, register, vault)),
        ("restore reconcile beside a running consumer is refused; it is audited", lambda: while_one_runs(stack)),
        ("nasty 22: both empty: who was erased comes back from no replay", lambda: both_empty(stack, register, vault)))
    for name, story in stories:
        report.case(name, story)
        stack.stop_all()
    return report.exit_code()


if __name__ == "__main__":
    sys.exit(main())
