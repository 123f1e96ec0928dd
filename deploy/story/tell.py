"""Runs the sample shop through a stack and tells what happened; exits non-zero when any step is not true.

  tell.py STACK-DIR BUILD-DIR [--keep] [--customers N]

Standard library, kcat, psql and kundregister's own command line only.
"""
import collections
import os
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import forget  # noqa: E402
import search  # noqa: E402
import shop as sample  # noqa: E402
from means import CARRIERS, INPUTS, RECIPIENTS, Means, Untrue, must, quote, say, table  # noqa: E402

PERMISSIONS = "register.marketing-permission.v1"


class Story(Means):
    def __init__(self, stack, build, customers):
        super().__init__(stack, build)
        self.shop = sample.Shop(customers=customers)

    def show(self, *arguments):
        """Runs a command, shows it and what it printed, and returns that."""
        say("    $ kundregister " + " ".join(word if re.fullmatch(r"[\w@./:-]+", word) else f"'{word}'" for word in arguments))
        printed = self.cli(*arguments)
        quote(printed)
        return printed

    def publish(self):
        count = self.shop.count
        say("1. A shop publishes what happened in twenty days.")
        started = time.monotonic()
        for topic, records in self.shop.records.items():
            sample.publish(["kcat", "-F", self.principal("shop")], topic, records)
        table(["what", "how many"], [(name, number) for name, number in count.items() if number])
        self.wait("everything to be taken in, disclosed and answered", self.settled)
        taken = sum(self.ends(INPUTS).values())
        say(f"   The carriers answered with delivery statuses and acknowledgements: {taken} records in all, taken in and")
        say(f"   relayed {time.monotonic() - started:.1f} s after the first was sent (kcat's own time included).\n")

    def parcel(self):
        her, outputs = sample.HEROINE, self.disclosed()
        say(f"2. One parcel, {her['shipment']}: asked for with Matkahuolto's pickup, then changed to Posti's home delivery.")
        seen = {}
        for carrier in CARRIERS:
            messages = [(message.kind, message.data) for message in outputs[carrier]]
            refs = {data["person_ref"] for kind, data in messages
                    if kind == "disclosure.shipment" and data["fields"].get("last_name") == her["last_name"]}
            must(len(refs) == 1, f"{carrier} knows her under {len(refs)} names")
            seen[carrier] = [(kind, data) for kind, data in messages if data["person_ref"] in refs]
        everything = ["first_name", "last_name", "street", "postcode", "city", "phone", "email"]
        allowed = {"matkahuolto": {"first_name", "last_name", "phone", "pickup_point"},
                   "posti": {"first_name", "last_name", "street", "postcode", "city", "country", "phone"}}
        for carrier, told in seen.items():
            say(f"   {RECIPIENTS[carrier]} was told:")
            rows = []
            for kind, data in told:
                fields = data.get("fields", {})
                must(set(fields) <= allowed[carrier], f"{carrier} was told {sorted(fields)}")
                order = sorted(fields, key=[*everything, "country", "pickup_point"].index)
                rows.append((kind, ", ".join(fields[name] for name in order) or data.get("reason") or "cause: " + data["cause"]))
            table(["message", "content"], rows)
            given = {name for _kind, data in told for name in data.get("fields", {})}
            say(f"     and never saw: {', '.join(name for name in everything if name not in given)}; no order, no price.")
        must([kind for kind, _data in seen["matkahuolto"]] == ["disclosure.shipment", "disclosure.withdrawn", "notice.anonymize"],
             "Matkahuolto was not told to forget")
        names = {carrier: {value for _kind, data in told for key, value in data.items() if key.endswith("_ref")}
                 for carrier, told in seen.items()}
        must(not names["matkahuolto"] & names["posti"], "the two carriers share a ref")
        say("   The two know her and her parcel under different refs, and no id or trace is common to both.\n")

    def holds(self):
        her = sample.HEROINE
        say(f"3. What the register holds of {her['id']}, why, and until when (read by a clerk, with a reason, on record):")
        rows = [(held["category"], held["object"], ", ".join(held["purposes"]), ", ".join(held["legal_basis"]), held["until"],
                 ", ".join(held["value"])) for held in self.json("customer", "show", her["id"], "--reason", "demo")["held"]]
        table(["category", "of", "purpose", "basis", "kept until", "fields"], rows)
        must({row[0] for row in rows} == {"profile", "claim", "voucher", "delivery"} and all(row[4] for row in rows),
             "she should have a profile, a claim, a voucher and a delivery, each with an end")
        say("   Who received it, by name:")
        shown = self.json("disclosures", her["id"], "--reason", "demo")
        table(["recipient", "what", "fields", "state"],
              [(row["recipient_name"], row["what"], ", ".join(row["fields"] or []), row["state"]) for row in shown["disclosures"]])
        must(all(row["state"] in ("published", "acknowledged") for row in shown["disclosures"])
             and all(row["answer"] for row in shown["notices"]), "a disclosure is not published or a notice not acknowledged")
        say(f"   Matkahuolto was told to forget her and answered: {', '.join(row['answer'] for row in shown['notices'])}.\n")

    # -- the newsletter --

    def permission(self, customer):
        """Every record about the newsletter by e-mail to a customer, the last one last."""
        return [one for data in self.told(PERMISSIONS, customer) for one in data["permissions"]
                if (one["purpose"], one["channel"]) == ("newsletter", "email")]

    def reached(self):
        """{person_ref: token} of those whose address the mail house holds."""
        holds = {}
        for message in self.read("disclosure.letterhouse.v1"):
            data = message.data
            if message.kind == "disclosure.newsletter":
                must(set(data["fields"]) == {"email"}, f"the mail house was told {sorted(data['fields'])}")
                holds[data["person_ref"]] = (data["fields"]["email"], data["token"])
            elif message.kind != "disclosure.corrected":
                holds.pop(data["person_ref"], None)
        return dict(holds.values())

    def newsletter(self):
        helka, oiva = sample.HELKA, sample.OIVA
        say("4. Whom may the newsletter be sent to? register.marketing-permission.v1 says so at any moment; silence is a no.")
        last = {message.key: message.data["permissions"] for message in self.read(PERMISSIONS)}
        allowed = {customer for customer, permissions in last.items() if any(one["allowed"] for one in permissions)}
        must(allowed == self.shop.readers, f"{len(allowed ^ self.shop.readers)} permissions are wrong")
        tokens = self.reached()
        must(len(tokens) == len(allowed) and helka["contact"]["email"] in tokens, "the mail house has other addresses")
        said = {helka["id"]: "a consent, confirmed by mail", oiva["id"]: "a consent, not confirmed", sample.HEROINE["id"]: "nothing"}
        table(["customer", "said", "may be written to", "why not"],
              [(customer, what, "yes" if self.permission(customer)[-1]["allowed"] else "no", self.permission(customer)[-1]["reason"])
               for customer, what in said.items()])
        say(f"   {len(allowed)} of {len(last)} may be; the mail house has their e-mail addresses and nothing else.")
        self.unsubscribe(tokens[helka["contact"]["email"]], len(self.permission(helka["id"])))

    def unsubscribe(self, token, before):
        helka = sample.HELKA
        say("   Helka clicks on the link in a letter, without login, and, since nothing seems to happen, once more.")
        for _click in range(2):
            event = sample.envelope("shop.consent.withdrawn", forget.now(), {"token": token, "method": "unsubscribe_link"})
            sample.publish(["kcat", "-F", self.principal("shop")], "shop.consent.v1", [(token, event)])
        self.wait("the mail house to have forgotten her", self.settled)
        records = self.permission(helka["id"])
        told = [message for message in self.read("disclosure.letterhouse.v1") if message.kind != "disclosure.newsletter"]
        hers = {message.data["person_ref"] for message in self.read("disclosure.letterhouse.v1")
                if message.data.get("token") == token}
        table(["to", "message", "says"],
              [("the shop", "marketing.permission", f"{'allowed' if one['allowed'] else 'denied'}, {one['reason'] or one['basis']}")
               for one in records[before - 1:]] +
              [("the mail house", message.kind, message.data.get("reason") or "cause: " + message.data["cause"])
               for message in told if message.data["person_ref"] in hers])
        must(len(records) == before + 1 and not records[-1]["allowed"] and records[-1]["reason"] == "withdrawn",
             "two clicks should make one denial")
        must(helka["contact"]["email"] not in self.reached(), "the mail house holds her address still")
        say("   The second click changed nothing. The proof of her consent is kept; the permission is not.\n")

    def dead_letters(self):
        say("5. What could not be taken in became a dead letter: a pointer and a reason, never the content.")
        listed = self.json("dead-letter", "list", "--limit", "1000")["dead_letters"]
        found = collections.Counter(row["reason"] for row in listed)
        table(["reason", "where"], [(row["reason"], f"{row['topic']}/{row['partition']}/{row['offset']}") for row in listed])
        must(found == self.shop.expected_dead, f"expected {self.shop.expected_dead}, found {dict(found)}")
        say("   Their neighbours were taken in.\n")

    # -- the replay --

    def forgotten(self):
        return sum(map(float, re.findall(r"^kundregister_forgotten_total\S* (\S+)$", self.http("CONSUMER", "/metrics"), re.M)))

    def replay(self, daemons):
        say("11. Every input topic is replayed from its first record: the names of the forgotten come in once more.")
        before, outputs, ends = self.cli("dump"), self.outputs(), self.ends(INPUTS)
        self.stop(daemons)
        self.cli("consumer", "position", "reset", "--reason", "demo: full replay")
        must(sum(self.positions().values()) == 0, "the positions are not at the start")
        daemons = self.start_daemons()
        self.wait("the replay to be through", self.settled)
        after, again = self.cli("dump"), self.outputs()
        ids = [message[4] for messages in again.values() for message in messages]
        table(["what", "before", "after"],
              [("rows in the register's dump", len(before.splitlines()), len(after.splitlines())),
               ("messages published", sum(map(len, outputs.values())), len(ids)),
               ("different output ids", len({message[4] for messages in outputs.values() for message in messages}), len(set(ids))),
               ("dead letters", sum(self.shop.expected_dead.values()),
                len(self.json("dead-letter", "list", "--limit", "1000")["dead_letters"])),
               ("input records", sum(ends.values()), sum(self.ends(INPUTS).values()))])
        for what, same in (("the dump", before == after), ("what was published", outputs == again),
                           ("an output id came twice: the ids", len(ids) == len(set(ids)))):
            must(same, f"the replay changed {what}")
        dropped = self.forgotten()
        must(dropped > 0, "no event of a forgotten person was dropped")
        say(f"   {sum(ends.values())} records went through a second time and changed nothing, byte for byte;")
        say(f"   {dropped:.0f} events of the forgotten were dropped and counted. Nobody came back.\n")
        return daemons

    def run(self, keep):
        try:
            daemons = self.start_daemons()
            recipients = self.start_recipients()
            for chapter in (self.publish, self.parcel, self.holds, self.newsletter, self.dead_letters):
                chapter()
            for chapter in (forget.four_requests, forget.parcel_arrives, forget.by_mail, forget.recipients, forget.certificate):
                chapter(self)
            daemons = self.replay(daemons)
            search.search(self)
            say("Every step was true.")
            if not keep:
                for recipient in recipients:
                    recipient.terminate()
                self.stop(daemons)
            return 0
        except (Untrue, subprocess.CalledProcessError, KeyError, IndexError, StopIteration) as wrong:
            say(f"\nNOT TRUE: {wrong if isinstance(wrong, Untrue) else repr(wrong)}")
            return 1
        finally:
            if not keep:
                self.kill_all()


def main():
    arguments = sys.argv[1:]
    keep = "--keep" in arguments
    customers = int(arguments[arguments.index("--customers") + 1]) if "--customers" in arguments else 1000
    return Story(os.path.abspath(arguments[0]), os.path.abspath(arguments[1]), customers).run(keep)


if __name__ == "__main__":
    sys.exit(main())
