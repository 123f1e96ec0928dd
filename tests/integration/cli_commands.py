#!/usr/bin/env python3
"""Drives the command line on a running stack: cli_commands.py STACK_DIR BUILD_DIR.

Publishes a few events of its own persons, has the consumer take them in, and asks every command about them.
"""
import hashlib
import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from stack import ROOT, Report, Stack, now  # noqa: E402

RUN = "cli" + os.urandom(4).hex()
CUSTOMER, GIFTED = RUN + "-c1", RUN + "-r1"
EMAIL, PHONE = RUN + "@example.fi", "+3584" + str(int(os.urandom(4).hex(), 16)).zfill(10)[:9]
CONTACT = {"first_name": "Ainokaisa", "last_name": "Öhman\x1b[2J", "street": "Hämeenkatu 1", "postcode": "33100",
           "city": "Tampere", "country": "FI", "phone": PHONE, "email": EMAIL}
report = Report()
check = report.check


def publish(stack):
    notice = {"id": "n1", "sha256": "0" * 64, "language": "fi"}
    order = {"order_id": RUN + "-o1", "customer_id": CUSTOMER, "currency": "EUR"}
    lines = [{"sku": "s1", "name": "A book", "quantity": 1, "price": 1200}]
    shipment = {"order_id": RUN + "-o1", "customer_id": CUSTOMER, "direction": "outbound", "carrier": "matkahuolto",
                "service": "pickup", "pickup_point": "MH-1", "parcels": 1}
    for topic, kind, data in (
            ("shop.customer.v1", "shop.customer.registered",
             {"customer_id": CUSTOMER, "kind": "account", "contact": CONTACT, "notice": notice}),
            ("shop.order.v1", "shop.order.placed",
             {**order, "guest": False, "total": 1200, "lines": lines, "buyer": CONTACT}),
            ("shop.order.v1", "shop.order.paid", {**order, "amount": 1200}),
            ("shop.shipment.v1", "shop.shipment.requested",
             {**shipment, "shipment_id": RUN + "-s1", "consignee": CONTACT}),
            ("shop.shipment.v1", "shop.shipment.requested",
             {**shipment, "shipment_id": RUN + "-s2", "recipient_id": GIFTED,
              "consignee": {**CONTACT, "first_name": "Eero"}})):
        stack.send({"topic": topic, "type": kind + ".v1", "key": CUSTOMER, "data": data, "time": now()})
    stack.send_raw("shop.order.v1", CUSTOMER, b"\xff" + RUN.encode())
    stack.flush()
    done = stack.consumer("--instance", "7", "--until-caught-up")
    check("the consumer takes the events in", done.wait(90) == 0, done.said()[-1000:])


def answer(stack, *arguments, stdin=None):
    done = stack.cli(*arguments, "--json", check=False, stdin=stdin)
    try:
        return done.returncode, json.loads(done.stdout)
    except ValueError:
        return done.returncode, {"stderr": done.stderr}


def audited(stack, subject, action):
    rows = answer(stack, "audit", "--subject", subject)[1]["audit"]
    return [row for row in rows if row["action"] == action]


def customer(stack):
    code, shown = answer(stack, "customer", "show", CUSTOMER, "--reason", "a test")
    held = {(row["category"], row["object"]): row for row in shown.get("held", [])}
    check("customer show prints every category", code == 0 and set(held) == {
        ("profile", None), ("claim", RUN + "-o1"), ("voucher", RUN + "-o1"), ("delivery", RUN + "-s1")}, shown)
    profile = held.get(("profile", None), {"value": {}})
    check("... with values, purpose, basis, end and policy", profile["value"].get("email") == EMAIL and
          profile["purposes"] == ["account"] and profile["legal_basis"] == ["6(1)(b)"] and
          len(profile["until"]) == 10 and len(profile["policy_digest"]) == 64, profile)
    rows = audited(stack, CUSTOMER, "customer show")
    check("... and the read is audited with role, user and reason", len(rows) == 1 and rows[0]["reason"] == "a test"
          and rows[0]["role"] == "kr_clerk" and rows[0]["operator"], rows)
    text = stack.cli("customer", "show", CUSTOMER, "--reason", "a test").stdout
    check("a name cannot steer the terminal", EMAIL in text and "\x1b" not in text, repr(text))
    code, shown = answer(stack, "customer", "show", "recipient:" + GIFTED, "--reason", "a test")
    check("a gift's consignee is a person of his own", code == 0 and
          [(row["category"], row["value"]["first_name"]) for row in shown["held"]] == [("delivery", "Eero")], shown)
    done = stack.cli("customer", "show", CUSTOMER, check=False)
    check("without a reason nothing is shown", done.returncode == 2 and EMAIL not in done.stdout + done.stderr,
          done.stderr)
    done = stack.cli("customer", "show", RUN + "-nobody", "--reason", "a test", check=False)
    check("an unknown person is a finding", done.returncode == 1, done.stderr)
    for how, stdin in (("--email", None), ("--phone", None), ("-", EMAIL + "\n"), ("-", PHONE + "\n")):
        given = [how] + ([EMAIL.upper() if how == "--email" else PHONE] if stdin is None else [])
        code, found = answer(stack, "customer", "find", *given, "--reason", "a test", stdin=stdin)
        check("customer find %s%s" % (how, " (%s)" % ("e-mail" if "@" in stdin else "phone") if stdin else ""),
              code == 0 and [row["person"] for row in found["found"]] == [CUSTOMER], found)
    done = stack.cli("customer", "find", "--email", "nobody-" + EMAIL, "--reason", "a test", check=False)
    check("an unknown address is a finding and is not repeated", done.returncode == 1 and
          EMAIL not in done.stdout + done.stderr, done.stderr)


def disclosures(stack):
    code, shown = answer(stack, "disclosures", CUSTOMER, "--reason", "test")
    rows = shown.get("disclosures", [])
    check("disclosures names the recipient, the fields and the state", code == 0 and len(rows) == 1 and
          rows[0]["recipient_name"] == "Oy Matkahuolto Ab" and
          sorted(rows[0]["fields"]) == ["first_name", "last_name", "phone", "pickup_point"] and
          rows[0]["state"] in ("decided", "handed_over", "published"), shown)
    code, shown = answer(stack, "disclosures", "recipient:" + GIFTED, "--reason", "test")
    check("... of a consignee too", code == 0 and len(shown.get("disclosures", [])) == 1, shown)
    check("... and is audited", len(audited(stack, CUSTOMER, "disclosures")) == 1)


def dump(stack):
    lines = [line for line in stack.dump() if RUN in line]
    opened = [json.loads(line) for line in stack.dump("--open", "--reason", "test") if RUN in line]
    kinds = [json.loads(line)["line"] for line in lines]
    check("dump has a line for each aggregate, in order",
          kinds == ["person"] * 2 + ["order"] + ["shipment"] * 2 + ["permission"], kinds)
    check("dump shows digests only", not any("Hämeenkatu" in line or EMAIL in line for line in lines), lines[0])
    check("dump --open shows values", any((line.get("profile") or {}).get("value", {}).get("email") == EMAIL
                                          for line in opened), opened)
    check("two dumps are equal", stack.dump() == stack.dump())
    persons = [json.loads(line)["person"].encode() for line in stack.dump() if line.startswith('{"line":"person"')]
    check("... and ordered bytewise", persons == sorted(persons), persons)
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run([os.path.join(stack.build, "kundregister"), "dump"], env=stack.env, stdout=full,
                              stderr=subprocess.PIPE, check=False)
    check("a dump that cannot be printed is 74", done.returncode == 74, done.stderr)
    notices = stack.dump("--notices")
    check("dump --notices adds no other lines", [line for line in notices if not line.startswith('{"line":"notice"')]
          == stack.dump())


def dead_letters(stack):
    code, listed = answer(stack, "dead-letter", "list", "--topic", "shop.order.v1", "--reason", "not_utf8")
    rows = listed.get("dead_letters", [])
    check("dead-letter list", code == 0 and rows and all(row["reason"] == "not_utf8" for row in rows), listed)
    where = "%s/%d/%d" % (rows[0]["topic"], rows[0]["partition"], rows[0]["offset"]) if rows else "x/0/0"
    code, shown = answer(stack, "dead-letter", "show", where)
    check("dead-letter show", code == 0 and len(shown["record_hash"]) >= 32 and RUN not in json.dumps(shown), shown)
    check("an unknown reason is a mistake", stack.cli("dead-letter", "list", "--reason", "nonsense",
                                                      check=False).returncode == 2)
    check("an unknown pointer is a finding", stack.cli("dead-letter", "show", "a/0/1", check=False).returncode == 1)


def positions(stack):
    code, listed = answer(stack, "consumer", "position", "list")
    rows = [row for row in listed.get("positions", []) if row["topic"] == "shop.order.v1"]
    check("position list", code == 0 and rows and all(row["parked"] is None for row in rows), listed)
    where = next(row for row in rows if row["next"] > 0)
    place = ("shop.order.v1", str(where["partition"]))
    done = stack.cli("consumer", "position", "accept", *place, "--reason", "a test", check=False)
    check("accept refuses a partition that is not parked", done.returncode == 1, done.stderr)
    before = stack.dump()
    stack.sql("UPDATE position SET parked = 'fingerprint' WHERE topic = %s AND partition = %s", *place)
    check("a parked partition is a finding of status", answer(stack, "status")[0] == 1)
    code, moved = answer(stack, "consumer", "position", "accept", *place, "--reason", "a test")
    check("accept reads another log from its start", code == 0 and moved["moved"][0]["next"] == 0, moved)
    row = stack.sql("SELECT epoch, parked, fingerprint_offset FROM position WHERE topic = %s AND partition = %s", *place)
    check("... under a new epoch, unparked, without fingerprint", row == [(where["epoch"] + 1, None, None)], row)
    stack.sql("UPDATE position SET parked = 'missing_key', next = 1 WHERE topic = %s AND partition = %s", *place)
    code, moved = answer(stack, "consumer", "position", "accept", *place, "--reason", "a test")
    check("accept tries the same log again where it stands", code == 0 and moved["moved"][0]["next"] == 1, moved)
    code, moved = answer(stack, "consumer", "position", "reset", "--reason", "a test")
    check("reset sets every input back to its log's start", code == 0 and len(moved["moved"]) >= len(rows) and
          all(row["next"] == 0 for row in moved["moved"]), moved)
    check("... and is audited", len(audited(stack, "%s/%s" % place, "position reset")) >= 1)
    running = stack.consumer("--instance", "7")
    try:
        stack.wait_consumed(60)
        done = stack.cli("consumer", "position", "reset", "--reason", "a test", check=False)
        check("reset is refused while a consumer runs", done.returncode == 1, done.stderr)
    finally:
        running.stop()
    check("everything read once more changes nothing", stack.dump() == before)


def policy(stack):
    with tempfile.TemporaryDirectory() as directory:
        with open(os.path.join(stack.directory, "policy.json"), encoding="utf-8") as file:
            body = file.read()
        broken, other = os.path.join(directory, "broken.json"), os.path.join(directory, "other.json")
        with open(broken, "w", encoding="utf-8") as file:
            file.write(body.replace('"purposes"', '"porpoises"', 1))
        with open(other, "w", encoding="utf-8") as file:
            file.write(body + "\n")
        code, checked = answer(stack, "policy", "check", broken)
        check("policy check names every mistake by its path", code == 1 and not checked["fine"] and
              any("porpoises" in row["path"] + row["message"] for row in checked["complaints"]), checked)
        check("policy activate refuses it", stack.cli("policy", "activate", broken, check=False).returncode == 1)
        code, shown = answer(stack, "policy", "activate", other)
        digest = hashlib.sha256((body + "\n").encode()).hexdigest()
        check("policy activate makes another one active", code == 0 and shown["digest"] == digest, shown)
        rows = answer(stack, "policy", "show")[1]["policies"]
        check("... the only one", [row["digest"] for row in rows if row["active"]] == [digest], rows)
        check("... and is audited", len(audited(stack, digest, "policy activate")) >= 1)
        check("doctor says that it is not the file's", any(
            row["grade"] == "warning" and row["about"] == "policy" for row in answer(stack, "doctor")[1]["findings"]))
        code, shown = answer(stack, "policy", "activate")
        check("the former one can come back", code == 0 and not shown["was_active_already"], shown)
        check("activating it once more changes nothing", answer(stack, "policy", "activate")[1]["was_active_already"])


def whole(stack):
    code, found = answer(stack, "doctor", "--deep")
    check("doctor --deep finds no error", code == 0 and found["errors"] == 0, found)
    keep = stack.sql("SELECT profile FROM person WHERE person = %s", CUSTOMER)[0][0]
    stack.sql("UPDATE person SET profile = overlay(profile PLACING '\\xffff' FROM 40) WHERE person = %s", CUSTOMER)
    code, found = answer(stack, "doctor", "--deep")
    check("... and names whose cell does not open", code == 1 and any(
        row["about"] == "rings" and CUSTOMER in row["finding"] for row in found["findings"]), found)
    stack.sql("UPDATE person SET profile = %s WHERE person = %s", keep, CUSTOMER)
    check("migrate again changes nothing", answer(stack, "migrate") == (0, {"migrations": []}))
    stack.sql("INSERT INTO schema_version (version) VALUES (999)")
    for command in (("migrate",), ("status",), ("dump",)):
        done = stack.cli(*command, check=False)
        check("%s refuses a schema from the future" % command[0], done.returncode == 78, done.stderr)
    stack.sql("DELETE FROM schema_version WHERE version = 999")
    for words, code in ((["statsu"], 2), (["dump", "--nonsense"], 2), (["help", "exit-codes"], 0),
                        (["help", "policy"], 0), (["policy", "check", "-h"], 0), ([], 2)):
        done = stack.cli(*words, check=False)
        check("kundregister %s exits %d" % (" ".join(words), code), done.returncode == code, done.stderr)
    away = {**stack.env, "KUNDREGISTER_REGISTER_OPERATOR": "host=127.0.0.1 port=1 dbname=x"}
    stack.env, kept = away, stack.env
    done = stack.cli("status", check=False)
    check("a register that is away is 69", done.returncode == 69, done.stderr)
    stack.env = kept
    with open(os.path.join(ROOT, "deploy", "man", "kundregister.1"), encoding="utf-8") as file:
        check("the manual page is the one that `help --manual` makes", file.read() == stack.cli("help", "--manual").stdout)
    done = stack.cli("config", "sample")
    check("config sample prints every setting", "kek.file" in done.stdout)


def forget(stack):
    """A case by e-mail, tied to a person whose parcel is under way; then the certificate."""
    person, email, request = RUN + "-c2", "Forget." + RUN + "-c2@example.fi", RUN + "-q1"
    contact = {**CONTACT, "email": email, "phone": "+358409" + str(int(os.urandom(3).hex(), 16)).zfill(8)}
    notice = {"id": "n1", "sha256": "0" * 64, "language": "fi"}
    order = {"order_id": RUN + "-o2", "customer_id": person, "currency": "EUR"}
    lines = [{"sku": "s1", "name": "A book", "quantity": 1, "price": 1200}]
    events = (
        ("shop.customer.v1", "shop.customer.registered", person,
         {"customer_id": person, "kind": "account", "contact": contact, "notice": notice}),
        ("shop.consent.v1", "shop.consent.granted", person,
         {"customer_id": person, "purpose": "newsletter", "channel": "email", "basis": "consent", "confirmed": True,
          "method": "account_page", "wording": {"id": "w1", "sha256": "1" * 64, "language": "fi"}}),
        ("shop.order.v1", "shop.order.placed", person, {**order, "guest": False, "total": 1200, "lines": lines, "buyer": contact}),
        ("shop.order.v1", "shop.order.paid", person, {**order, "amount": 1200}),
        ("shop.shipment.v1", "shop.shipment.requested", person,
         {"order_id": RUN + "-o2", "customer_id": person, "direction": "outbound", "carrier": "matkahuolto",
          "service": "pickup", "pickup_point": "MH-1", "parcels": 1, "shipment_id": RUN + "-s3", "consignee": contact}))
    for topic, kind, key, data in events:
        stack.send({"topic": topic, "type": kind + ".v1", "key": key, "data": data, "time": now()})
    stack.flush()
    through(stack)
    code, shown = answer(stack, "customer", "show", person, "--reason", "a test")
    check("customer show tells consents and permissions", code == 0 and
          [row["act"] for row in shown["consents"]] == ["granted"] and
          [(row["allowed"], row["basis"]) for row in shown["permissions"]] == [(True, "consent")] and
          "consent_proof" in {row["category"] for row in shown["held"]}, shown)
    code, shown = answer(stack, "customer", "erasure", person)
    check("nobody is erased yet", code == 1, shown)
    stack.send({"topic": "privacy.request.v1", "type": "privacy.request.received.v1", "key": request, "time": now(), "data": {
        "request_id": request, "kind": "erasure", "subject": {"email": email.upper()}, "channel": "email",
        "identity": "email_loop"}})
    stack.flush()
    through(stack)
    tie_a_case(stack, request, person, email)
    certificate(stack, request, person, contact)
    delivered(stack, request, person)


def delivered(stack, request, person):
    """The parcel comes, the carrier and the mail house answer: the certificate's last state."""
    sent = [json.loads(message.value()) for message in stack.read_all("disclosure.matkahuolto.v1")
            if any(value == b"register.disclosure.shipment.v1" for _, value in message.headers())]
    refs = {row["disclosure_ref"] for row in answer(stack, "disclosures", person, "--reason", "a test")[1]["disclosures"]}
    ref = next(data["shipment_ref"] for data in sent if data["disclosure_ref"] in refs)
    stack.send({"topic": "carrier.matkahuolto.v1", "type": "carrier.delivery.status.v1", "key": ref, "time": now(),
                "data": {"shipment_ref": ref, "status": "delivered"}})
    stack.flush()
    through(stack)
    shown = answer(stack, "customer", "erasure", person)[1]
    check("the last parcel completes the erasure", shown["state"] in ("erased", "destroying keys") and not shown["waiting"] and
          shown["erasures"][0]["erased"] == ["profile", "delivery"], shown)
    for topic, outcome in (("matkahuolto", {"outcome": "retained", "ground": "a law", "until": "2030-01-01"}),
                           ("letterhouse", {"outcome": "erased"})):
        notices = [json.loads(message.value()) for message in stack.read_all("disclosure.%s.v1" % topic)
                   if any(value == b"register.notice.anonymize.v1" for _, value in message.headers())]
        for notice in notices:
            if set(notice["disclosures"]) & refs:
                stack.send({"topic": "carrier.%s.v1" % topic, "type": "carrier.notice.acknowledged.v1", "time": now(),
                            "key": notice["notice_ref"], "data": {"notice_ref": notice["notice_ref"], **outcome}})
    stack.flush()
    through(stack)
    shown = answer(stack, "customer", "erasure", person)[1]
    check("the certificate tells what recipients answered", {
        (row["recipient"], row["sent"], row["outcome"], row["until"], bool(row["acknowledged"])) for row in shown["notices"]} == {
            ("matkahuolto", "published", "retained", "2030-01-01", True), ("letterhouse", "published", "erased", None, True)},
          shown["notices"])
    remnants = {row["name"]: row for row in shown["remnants"]}
    check("... and the day on which the vault's backups must be gone", shown["state"] == "erased" and
          remnants["backups and write-ahead log of the vault from before"]["until"], shown["remnants"])
    rows = answer(stack, "disclosures", person, "--reason", "a test")[1]["disclosures"]
    check("disclosures tells that they are acknowledged", {row["state"] for row in rows
          if row["what"] in ("register.disclosure.shipment", "register.disclosure.newsletter", "register.notice.anonymize")} ==
          {"acknowledged"}, rows)
    code, shown = answer(stack, "request", "show", request, "--reason", "a test")
    check("the request is done", code == 0 and shown["state"] == "done" and shown["until"], shown)
    check("... and no longer listed but with --all", request not in json.dumps(answer(stack, "request", "list")[1]) and
          request in json.dumps(answer(stack, "request", "list", "--all")[1]))


def through(stack):
    """Everything in, everything out, and what came back in the journal in again."""
    for start, arguments in ((stack.consumer, ("--instance", "7")), (stack.relay, ()), (stack.consumer, ("--instance", "7"))):
        daemon = start(*arguments, "--until-caught-up")
        check("a daemon catches up", daemon.wait(90) == 0, daemon.said()[-1000:])


def tie_a_case(stack, request, person, email):
    code, listed = answer(stack, "request", "list")
    rows = [row for row in listed.get("requests", []) if row["request"] == request]
    check("request list tells a case that waits for its person", code == 0 and len(rows) == 1 and rows[0]["case"] and
          rows[0]["state"] == "open" and person not in json.dumps(listed), listed)
    code, shown = answer(stack, "request", "show", request, "--reason", "a test")
    check("request show names who has the address", code == 0 and shown["case"] and shown["person"] is None and
          [row["person"] for row in shown["candidates"]] == [person] and email not in json.dumps(shown).lower(), shown)
    check("... and is audited", len(audited(stack, request, "request show")) == 1)
    for arguments, code in (((RUN + "-q9", "--person", person), 1), ((request, "--person", RUN + "-nobody"), 1),
                            ((request, "--person", "a b"), 2), ((request,), 2)):
        done = stack.cli("request", "tie", *arguments, "--reason", "a test", check=False)
        check("request tie %s exits %d" % (" ".join(arguments), code), done.returncode == code, done.stderr)
    tied = [answer(stack, "request", "tie", request, "--person", person, "--reason", "a test") for _ in range(2)]
    check("request tie journals a command once", [(code, row.get("was_journalled_already")) for code, row in tied] ==
          [(0, False), (0, True)] and tied[0][1]["command"] == tied[1][1]["command"] and tied[0][1]["has_the_address"], tied)
    check("... and is audited", len(audited(stack, person, "request tie")) == 2)
    through(stack)
    journal = [message for message in stack.read_all("register.command.v1") if message.key() == request.encode()]
    check("the journal names nobody", len(journal) == 1 and person.encode() not in journal[0].value() and
          set(json.loads(journal[0].value())) == {"sealed"}, [message.value() for message in journal])
    code, shown = answer(stack, "request", "show", request, "--reason", "a test")
    check("the tie took effect", code == 0 and shown["person"] == person and
          [row["person"] for row in shown["ties"]] == [person] and shown["state"] == "open", shown)
    stack.send_raw("register.command.v1", request, json.dumps({"sealed": "AAAA"}).encode(), principal="admin", headers=[
        ("ce_specversion", b"1.0"), ("ce_id", b"1"), ("ce_source", b"urn:test"), ("ce_type", b"register.command.v1"),
        ("ce_time", now().encode())])
    stack.flush()
    through(stack)
    rows = answer(stack, "dead-letter", "list", "--topic", "register.command.v1")[1]["dead_letters"]
    check("a command that does not open is a dead letter and stops nothing", [(row["reason"], row["detail"])
          for row in rows] == [("not_supported", "sealed")], rows)


def certificate(stack, request, person, contact):
    code, shown = answer(stack, "customer", "erasure", person)
    check("the certificate says what was erased and what waits", code == 0 and shown["state"] == "waiting" and
          [(row["cause"], row["erased"], row["waits"]) for row in shown["erasures"]] ==
          [("request", ["profile"], ["delivery"])] and
          [(row["event"], row["shipment"]) for row in shown["waiting"]] == [("parcels_closed", RUN + "-s3")], shown)
    kept = {row["category"]: row for row in shown.get("kept", [])}
    check("... what is kept, until when and why", {"claim", "voucher", "consent_proof", "ledger"} <= set(kept) and
          kept["voucher"]["ground"] == "17(3)(b)" and "1336/1997 2:10" in kept["voucher"]["law"] and
          all(len(kept[name]["until"]) == 10 for name in ("claim", "voucher", "consent_proof", "ledger")), kept)
    remnants = {row["name"]: row for row in shown.get("remnants", [])}
    check("... until when remnants may exist, as Kafka is set", "30 days" in remnants["shop.customer.v1"]["because"] and
          "14 days" in remnants["disclosure.matkahuolto.v1"]["because"] and not shown["key_rotation"], remnants)
    check("... who was told", [row["recipient_name"] for row in shown["recipients"]] ==
          ["Example Mail Oy", "Oy Matkahuolto Ab"], shown["recipients"])
    text = stack.cli("customer", "erasure", person).stdout
    check("... for people too, with nothing personal", "not built yet" in text and
          not any(value in text + json.dumps(shown, ensure_ascii=False) for value in (
              contact["email"], contact["phone"], contact["last_name"], contact["street"])), text)
    lines = [json.loads(line) for line in stack.dump() if person in line]
    kinds = [line["line"] for line in lines]
    check("the dump has its lines in order", kinds == ["person", "order", "shipment", "consent", "permission", "request",
                                                       "tombstone"], kinds)
    check("... and the shipment waits", [line["waiting"] for line in lines if line["line"] == "shipment"] == [True])
    code, shown = answer(stack, "customer", "show", person, "--reason", "a test")
    check("customer show tells request and erasure", code == 0 and [row["request"] for row in shown["requests"]] == [request] and
          [row["cause"] for row in shown["erasures"]] == ["request"], shown)
    code, listed = answer(stack, "disclosures", person, "--reason", "a test")
    check("the newsletter's disclosure stands beside the carrier's", sorted(
        row["what"] for row in listed["disclosures"] if row["what"].startswith("register.disclosure."))[:2] ==
          ["register.disclosure.newsletter", "register.disclosure.shipment"], listed)


def main():
    stack = Stack(*sys.argv[1:3])
    try:
        publish(stack)
        for part in (customer, disclosures, dump, dead_letters, positions, policy, whole, forget):
            try:
                part(stack)
            except Exception as error:  # one part's failure must not hide the next one's
                check("%s runs through" % part.__name__, False, "%s: %s" % (type(error).__name__, error))
    finally:
        stack.stop_all()
    sys.exit(report.exit_code())


if __name__ == "__main__":
    main()
