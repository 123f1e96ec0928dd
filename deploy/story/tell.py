"""Runs the sample shop through a stack and tells what happened; exits non-zero when any step is not true.

  tell.py STACK-DIR BUILD-DIR [--keep] [--customers N]

Standard library, kcat and kundregister's own command line only.
"""
import collections
import json
import os
import re
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import shop as sample  # noqa: E402

INPUTS = ["shop.customer.v1", "shop.order.v1", "shop.shipment.v1", "carrier.matkahuolto.v1", "carrier.posti.v1"]
CARRIERS = {"matkahuolto": "Oy Matkahuolto Ab", "posti": "Posti Group Oyj"}


class Untrue(Exception):
    """A step of the story that is not so."""


def say(text=""):
    print(text, flush=True)


def table(heads, rows):
    rows = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [heads, *rows]) for i in range(len(heads))]
    for row in [heads, ["-" * width for width in widths], *rows]:
        say("    " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


class Story:
    def __init__(self, stack, build, customers):
        self.stack, self.build, self.here = stack, build, os.path.dirname(os.path.abspath(__file__))
        self.running = []
        sourced = subprocess.run(["bash", "-c", '. "$1/env" && env -0', "bash", stack], capture_output=True, text=True, check=True)
        self.env = dict(line.split("=", 1) for line in sourced.stdout.split("\0") if line)
        self.admin = ["kcat", "-F", self.env["KAFKA_ADMIN_CONFIG"], "-q"]
        self.shop = sample.Shop(customers=customers)

    # -- the means --

    def principal(self, name):
        return os.path.join(self.stack, "principals", name + ".conf")

    def cli(self, *arguments):
        done = subprocess.run([os.path.join(self.build, "kundregister"), *arguments], env=self.env, capture_output=True, text=True)
        if done.returncode not in (0, 1):
            raise Untrue(f"kundregister {arguments[0]} exited with {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def start(self, *command, log):
        with open(os.path.join(self.stack, "log", log), "ab") as file:
            process = subprocess.Popen(command, env=self.env, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
        self.running.append((log, process))
        return process

    def start_daemons(self):
        daemons = [self.start(os.path.join(self.build, program), log=program + ".log")
                   for program in ("kundregister-consumer", "kundregister-producer")]
        for which in ("CONSUMER", "PRODUCER"):
            self.wait(f"{which.lower()} to be ready", lambda w=which: subprocess.run(
                ["/usr/bin/python3", "-c", "import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=2)",
                 f"http://{self.env[w + '_HTTP']}/readyz"], capture_output=True).returncode == 0)
        return daemons

    def stop(self, processes):
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for process in processes:
            if process.wait(60) != 0:
                raise Untrue(f"a daemon ended with {process.returncode} instead of draining")

    def wait(self, what, condition, seconds=60):
        end = time.monotonic() + seconds
        while not condition():
            for log, process in self.running:
                if process.poll() not in (None, 0):
                    raise Untrue(f"{log} ended with {process.returncode}; see {self.stack}/log/{log}")
            if time.monotonic() > end:
                raise Untrue(f"waited {seconds} s for {what}")
            time.sleep(0.1)

    def ends(self, topics):
        """{(topic, partition): offset of the next record}"""
        listed = json.loads(subprocess.run([*self.admin, "-L", "-J"], capture_output=True, check=True).stdout)
        places = [f"{topic['topic']}:{partition['partition']}:-1" for topic in listed["topics"] if topic["topic"] in topics
                  for partition in topic["partitions"]]
        asked = subprocess.run([*self.admin, "-Q", *[word for place in places for word in ("-t", place)]],
                               capture_output=True, text=True, check=True).stdout
        return {(topic, int(partition)): int(offset)
                for topic, partition, offset in re.findall(r"(\S+) \[(\d+)\] offset (\d+)", asked)}

    def positions(self):
        listed = json.loads(self.cli("consumer", "position", "list", "--json"))["positions"]
        return {(row["topic"], row["partition"]): row["next"] for row in listed if row["topic"] in INPUTS}

    def relayed(self):
        return all(row["waiting"] == 0 for row in json.loads(self.cli("status", "--json"))["outputs"])

    def settled(self):
        """All input taken in, all output published, and nobody said anything more meanwhile."""
        ends, at = self.ends(INPUTS), self.positions()
        return (all(at.get(place, 0) >= end for place, end in ends.items()) and self.relayed()
                and sum(self.ends(INPUTS).values()) == sum(ends.values()))

    def read(self, topic, properties):
        """(type, key, data, id) of each message of a topic, read as its reader would, by partition and offset."""
        done = subprocess.run(["kcat", "-F", properties, "-q", "-C", "-J", "-u", "-e", "-o", "beginning", "-t", topic, "-X",
                               "isolation.level=read_committed"], capture_output=True, check=True)
        messages = [json.loads(line) for line in done.stdout.splitlines()]
        for message in sorted(messages, key=lambda one: (one["partition"], one["offset"])):
            headers = dict(zip(message["headers"][::2], message["headers"][1::2]))
            yield headers["ce_type"], message["key"], json.loads(message["payload"]), headers["ce_id"]

    def outputs(self):
        return {carrier: list(self.read(f"disclosure.{carrier}.v1", self.principal(f"carrier-{carrier}")))
                for carrier in CARRIERS}

    # -- the story --

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
        her, outputs = sample.HEROINE, self.outputs()
        say(f"2. One parcel, {her['shipment']}: asked for with Matkahuolto's pickup, then changed to Posti's home delivery.")
        seen = {}
        for carrier, messages in outputs.items():
            refs = {data["person_ref"] for kind, _key, data, _id in messages
                    if kind.startswith("register.disclosure.shipment") and data["fields"].get("last_name") == her["last_name"]}
            if len(refs) != 1:
                raise Untrue(f"{carrier} knows her under {len(refs)} names")
            seen[carrier] = [(kind, data) for kind, _key, data, _id in messages if data["person_ref"] in refs]
        everything = ["first_name", "last_name", "street", "postcode", "city", "phone", "email"]
        allowed = {"matkahuolto": {"first_name", "last_name", "phone", "pickup_point"},
                   "posti": {"first_name", "last_name", "street", "postcode", "city", "country", "phone"}}
        for carrier, told in seen.items():
            say(f"   {CARRIERS[carrier]} was told:")
            rows = []
            for kind, data in told:
                fields = data.get("fields", {})
                if not set(fields) <= allowed[carrier]:
                    raise Untrue(f"{carrier} was told {sorted(fields)}")
                order = sorted(fields, key=[*everything, "country", "pickup_point"].index)
                rows.append((kind.removeprefix("register.").removesuffix(".v1"), ", ".join(fields[name] for name in order) or
                             data.get("reason") or "cause: " + data["cause"]))
            table(["message", "content"], rows)
            given = {name for _kind, data in told for name in data.get("fields", {})}
            say(f"     and never saw: {', '.join(name for name in everything if name not in given)}; no order, no price.")
        if [kind for kind, _data in seen["matkahuolto"]] != ["register.disclosure.shipment.v1", "register.disclosure.withdrawn.v1",
                                                             "register.notice.anonymize.v1"]:
            raise Untrue("Matkahuolto was not told to forget")
        names = {carrier: {value for _kind, data in told for key, value in data.items() if key.endswith("_ref")}
                 for carrier, told in seen.items()}
        if names["matkahuolto"] & names["posti"]:
            raise Untrue("the two carriers share a ref")
        say("   The two know her and her parcel under different refs, and no id or trace is common to both.\n")

    def holds(self):
        her = sample.HEROINE
        say(f"3. What the register holds of {her['id']}, why, and until when (read by a clerk, with a reason, on record):")
        shown = json.loads(self.cli("customer", "show", her["id"], "--reason", "demo", "--json"))
        rows = []
        for held in shown["held"]:
            value = held["value"]
            rows.append((held["category"], held["object"] or "", ", ".join(held["purposes"]), ", ".join(held["legal_basis"]),
                         held["until"], ", ".join(value)))
        table(["category", "of", "purpose", "basis", "kept until", "fields"], rows)
        if {row[0] for row in rows} != {"profile", "claim", "voucher", "delivery"} or not all(row[4] for row in rows):
            raise Untrue("she should have a profile, a claim, a voucher and a delivery, each with an end")
        say()

    def notices(self):
        say("   Who received it, by name:")
        shown = json.loads(self.cli("disclosures", sample.HEROINE["id"], "--reason", "demo", "--json"))
        table(["recipient", "what", "fields", "state"],
              [(row["recipient_name"], row["what"], ", ".join(row["fields"] or []), row["state"]) for row in shown["disclosures"]])
        if any(row["state"] != "published" for row in shown["disclosures"]) or not all(row["answer"] for row in shown["notices"]):
            raise Untrue("a disclosure is not published or a notice not acknowledged")
        say(f"   Matkahuolto was told to forget her and answered: {', '.join(row['answer'] for row in shown['notices'])}.\n")

    def dead_letters(self):
        say("4. What could not be taken in became a dead letter: a pointer and a reason, never the content.")
        listed = json.loads(self.cli("dead-letter", "list", "--limit", "1000", "--json"))["dead_letters"]
        found = collections.Counter(row["reason"] for row in listed)
        table(["reason", "where"], [(row["reason"], f"{row['topic']}/{row['partition']}/{row['offset']}") for row in listed])
        if found != self.shop.expected_dead:
            raise Untrue(f"expected {self.shop.expected_dead}, found {dict(found)}")
        say("   Their neighbours were taken in.\n")

    def sealed(self):
        say("5. A search for her surname and street through both databases' files, write-ahead logs and our logs:")
        words = [sample.HEROINE["last_name"].encode(), sample.HEROINE["street"].encode()]
        searched, found = 0, []
        for folder in ("register", "vault", "log"):
            for where, _folders, files in os.walk(os.path.join(self.stack, folder)):
                for name in files:
                    if "kafka" in os.path.join(where, name):
                        continue
                    try:
                        with open(os.path.join(where, name), "rb") as file:
                            content = file.read()
                    except OSError:
                        continue
                    searched += len(content)
                    found += [os.path.join(where, name) for word in words if word in content]
        if found:
            raise Untrue(f"found in {found[:3]}")
        if searched < 10_000_000:
            raise Untrue(f"only {searched} bytes could be searched")
        say(f"   {searched / 1e6:.0f} MB searched, nothing found: personal data lies there only sealed.\n")

    def replay(self, daemons):
        say("6. Every input topic is replayed from its first record.")
        before, outputs, ends = self.cli("dump"), self.outputs(), self.ends(INPUTS)
        self.stop(daemons)
        self.cli("consumer", "position", "reset", "--reason", "demo: full replay")
        if sum(self.positions().values()) != 0:
            raise Untrue("the positions are not at the start")
        daemons = self.start_daemons()
        self.wait("the replay to be through", self.settled)
        after, again = self.cli("dump"), self.outputs()
        ids = [one[3] for messages in again.values() for one in messages]
        table(["what", "before", "after"],
              [("rows in the register's dump", len(before.splitlines()), len(after.splitlines())),
               ("messages to the carriers", sum(map(len, outputs.values())), len(ids)),
               ("different output ids", len({one[3] for messages in outputs.values() for one in messages}), len(set(ids))),
               ("dead letters", sum(self.shop.expected_dead.values()),
                len(json.loads(self.cli("dead-letter", "list", "--limit", "1000", "--json"))["dead_letters"])),
               ("input records", sum(ends.values()), sum(self.ends(INPUTS).values()))])
        for what, same in (("the dump", before == after), ("what the carriers were sent", outputs == again),
                           ("an output id came twice: the ids", len(ids) == len(set(ids)))):
            if not same:
                raise Untrue(f"the replay changed {what}")
        say(f"   {sum(ends.values())} records went through a second time and changed nothing, byte for byte.\n")
        return daemons

    def tell(self, keep):
        carriers = []
        try:
            daemons = self.start_daemons()
            carriers = [self.start("/usr/bin/python3", "-B", os.path.join(self.here, "carrier.py"), name,
                                   self.principal(f"carrier-{name}"), log=f"carrier-{name}.log") for name in CARRIERS]
            self.publish()
            self.parcel()
            self.holds()
            self.notices()
            self.dead_letters()
            self.sealed()
            daemons = self.replay(daemons)
            say("Every step was true.")
            if keep:
                return 0
            for carrier in carriers:
                carrier.terminate()
            self.stop(daemons)
            return 0
        except (Untrue, subprocess.CalledProcessError, KeyError) as wrong:
            say(f"\nNOT TRUE: {wrong}")
            return 1
        finally:
            if not keep:
                for _log, process in self.running:
                    if process.poll() is None:
                        process.kill()


def main():
    arguments = sys.argv[1:]
    keep = "--keep" in arguments
    customers = int(arguments[arguments.index("--customers") + 1]) if "--customers" in arguments else 1000
    return Story(os.path.abspath(arguments[0]), os.path.abspath(arguments[1]), customers).tell(keep)


if __name__ == "__main__":
    sys.exit(main())
