#!/usr/bin/env python3
"""The search for personal strings finds what it is for: edges_markers.py STACK_DIR BUILD_DIR

tests/lib/scan.py runs over every stack of every suite and finds nothing; here strings are planted wherever it looks, and
it must see each. No daemon runs when it begins."""
import base64
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import persons as p  # noqa: E402
import scan  # noqa: E402
from persons import expect  # noqa: E402
from stack import Report, Stack, wait_for  # noqa: E402

RUN = os.urandom(4).hex()


def word(name):
    """In two parts: whoever searches this file's own processes finds no whole one."""
    return "Öv" + name + RUN


def places(stack, text, strings=None, working="/nonexistent"):
    """Where the search finds it."""
    return {place for _, _, place in scan.find(stack, "markers", strings or scan.Strings(), [text], working)}


def found(stack, text, *where, **how):
    at = places(stack, text, **how)
    for one in where:
        expect(any(one in place for place in at), f"not found in {one}, but in {sorted(at)}")
    return at


# ---- what was put in -------------------------------------------------------------------------------------------------

def put_in(stack):
    """Strings of contacts are known from every kind of record, broken ones too; ids and short or common ones are not."""
    long, broken, structured, prefixed = word("lång"), word("bruten"), word("hel"), word("förled")
    contact = {"first_name": "Aino", "last_name": long, "street": "aaaaaaaaaa", "city": "Tampere", "phone": "+358401234567",
               "email": f"{RUN}@example.fi", "postcode": "33100"}
    whole = {"specversion": "1.0", "id": RUN, "source": "urn:shop", "type": "shop.customer.registered.v1",
             "data": {"customer_id": RUN + "-c", "contact": {"last_name": structured, "first_name": RUN + "-c"}}}
    stack.send(p.event("shop.customer.v1", "shop.customer.registered", RUN, 0, {"customer_id": RUN, "contact": contact}))
    stack.send_raw("shop.order.v1", RUN, ('{"order_id":"x","buyer":{"last_name": "%s",}' % broken).encode())
    stack.send_raw("shop.customer.v1", RUN, json.dumps(whole).encode())
    stack.send_raw("shop.customer.v1", f"key.{RUN}@example.fi", b"\0\0\0\0\1" +
                   json.dumps({"contact": {"street": prefixed, f"{RUN}@name.example": 1}}).encode())
    stack.flush()
    markers = scan.put_in(stack).markers(policy="")
    for one in (long, broken, structured, prefixed, "Tampere", "+358401234567", f"{RUN}@example.fi",
                f"key.{RUN}@example.fi", f"{RUN}@name.example"):
        expect(one in markers, f"{one} is not known")
    for one in ("Aino", "aaaaaaaaaa", "33100", RUN + "-c"):
        expect(one not in markers, f"{one} is searched for")
    expect("Tampere" not in scan.put_in(stack).markers(policy='"city": "Tampere"'), "what the policy says is searched for")


# ---- where it is found -----------------------------------------------------------------------------------------------

def in_databases(stack):
    """In rows, in bytes, in rows that are gone, in the write-ahead log, of both clusters."""
    row, gone, sealed = word("rad"), word("borta"), word("bytes")
    with stack.register() as register:
        register.execute("CREATE TABLE planted (text text)")
        register.execute("INSERT INTO planted VALUES (%s), (%s)", (row, gone))
        register.execute("DELETE FROM planted WHERE text = %s", (gone,))
    with stack.vault() as vault:
        vault.execute("CREATE TABLE planted (bytes bytea)")
        vault.execute("INSERT INTO planted VALUES (%s)", (sealed.encode(),))
    found(stack, row, "table register.planted", "register/base", "register/pg_wal")
    at = found(stack, gone, "register/base", "register/pg_wal")
    expect(not any(place.startswith("table") for place in at), "a deleted row is shown")
    found(stack, sealed, "table vault.planted", "vault/base")


def in_files(stack):
    """In a daemon's log in each form, in what /metrics said last, in a core where a process was at work."""
    for number, form in enumerate((str.encode, lambda text: text.encode("utf-16-le"), lambda text: text.encode().hex().encode(),
                                   lambda text: json.dumps(text).encode(), lambda text: base64.b64encode(b"x" + text.encode()))):
        text = word(f"logg{number}")
        with open(os.path.join(stack.directory, "log", "kundregister-planted.log"), "ab") as file:
            file.write(b'{"event":"planted","name":"' + form(text) + b'"}\n')
        found(stack, text, "log/kundregister-planted.log")
    metrics, core = word("mått"), word("kärna")
    with open(os.path.join(stack.directory, "log", "kundregister-planted.log.metrics"), "w", encoding="utf-8") as file:
        file.write(f'kundregister_records_total{{topic="{metrics}"}} 1\n')
    found(stack, metrics, "planted.log.metrics")
    with tempfile.TemporaryDirectory() as working:
        for name in ("core", "core.4711"):
            with open(os.path.join(working, name), "wb") as file:
                file.write(os.urandom(100000) + core.encode() + os.urandom(100000))
        found(stack, core, "core", "core.4711", working=working)


class Message:
    """One that came in, though it never did: what is planted below would stay in the topics."""

    def __init__(self, event):
        self.event = event

    def headers(self):
        return [("ce_type", self.event["type"].encode()), ("ce_id", b"planted")]

    def key(self):
        return self.event["key"].encode()

    def value(self):
        return json.dumps(self.event["data"]).encode()


def in_topics(stack):
    """In any output topic, compressed; of disclosures in those of recipients who never were to know."""
    told, status, letter = word("mottagare"), word("status"), f"{RUN}.brev@example.fi"
    strings = scan.Strings()
    strings.mail_houses.add("letterhouse")
    strings.take(Message(p.requested(RUN, RUN + "-s", 1, stated={**p.contact(RUN), "last_name": told})))
    strings.take(Message(p.registered(RUN, 1, {**p.contact(RUN), "email": letter})))
    value = json.dumps({"n": [told, status, letter] * 50}, ensure_ascii=False)
    for topic in ("register.request.v1", "disclosure.matkahuolto.v1", "disclosure.posti.v1", "disclosure.letterhouse.v1"):
        stack.send_raw(topic, "key", value.encode(), principal="admin")
    stack.flush()
    at = found(stack, told, "topic register.request.v1", "topic disclosure.posti.v1", strings=strings)
    expect(not any("matkahuolto" in place for place in at), "what its own carrier holds is reported")
    found(stack, status, "topic register.request.v1", "topic disclosure.matkahuolto.v1", strings=strings)
    found(stack, letter, "topic disclosure.letterhouse.v1", strings=strings)
    strings.take(Message(p.granted(RUN, 2)))
    at = places(stack, letter, strings)
    expect("topic disclosure.letterhouse.v1" not in at, "what who consented told the mail house is reported")
    expect("topic disclosure.posti.v1" in at, "what who consented told a carrier is not reported")


# ---- cores -----------------------------------------------------------------------------------------------------------

def crash_leaves_no_core(stack):
    """A daemon that crashes leaves no core, though it may as far as its surroundings go."""
    def allow():
        resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)
    for program in ("kundregister-consumer", "kundregister-producer"):
        log = os.path.join(stack.directory, "log", f"{program}.crash.log")
        with tempfile.TemporaryDirectory() as working, open(log, "wb") as file:
            before = set(scan.core_files(working))
            process = subprocess.Popen([os.path.join(stack.build, program)], cwd=working, env=stack.env, stdout=file,
                                       stderr=file, preexec_fn=allow)
            with open(log, encoding="utf-8") as said:
                wait_for("the daemon to be at work", lambda: said.seek(0) or '"event":"http"' in said.read())
            process.send_signal(signal.SIGABRT)
            expect(process.wait(30) == -signal.SIGABRT, f"{program} did not crash")
            expect(not set(scan.core_files(working)) - before, f"{program} left a core")


def clean_up(stack):
    """What was planted goes; its remnants are of strings that came in by no topic."""
    stack.sql("DROP TABLE planted")
    with stack.vault() as vault:
        vault.execute("DROP TABLE planted")
    for name in ("kundregister-planted.log", "kundregister-planted.log.metrics"):
        os.unlink(os.path.join(stack.directory, "log", name))


def main():
    stack, report = Stack(*sys.argv[1:3]), Report()
    for name, case in (("what was put in is known", put_in), ("found in databases", in_databases),
                       ("found in files", in_files), ("found in topics", in_topics),
                       ("a crash leaves no core", crash_leaves_no_core), ("cleaned up", clean_up)):
        report.case(f"markers: {name}", case, stack)
    return report.exit_code()


if __name__ == "__main__":
    sys.exit(main())
