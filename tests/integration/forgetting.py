#!/usr/bin/env python3
"""Forgotten stays forgotten, on a real stack: forgetting.py STACK_DIR BUILD_DIR [NAME ...]

Requests in all their ways, erasures killed between their steps (nasty 20), orders of arrival (nasty 23), a replay of
everything after a thousand erasures (nasty 21; as many as KUNDREGISTER_TEST_ERASURES says), and a search for the forgotten
persons' strings and keys through all that the stack has (nasty 25). Daemons are stopped when it begins.
"""
import json
import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import markers  # noqa: E402
import persons as p  # noqa: E402
from persons import RUN, expect  # noqa: E402
from stack import Report, Stack, wait_for  # noqa: E402

ERASURES = int(os.environ.get("KUNDREGISTER_TEST_ERASURES", "1000"))
KILL_POINTS = ("consumer.before_commit", "consumer.after_commit", "consumer.before_destroy", "consumer.after_destroy",
               "consumer.before_destroyed")
ERASED = (0, 1)  # the numbers of the categories profile and delivery
# Whoever has these names is forgotten in the course of the stories; nobody may find them afterwards.
MARKED = {"first_name": "Qvastfrid" + RUN, "last_name": "Zyxelström" + RUN, "street": "Vqxkärrsgränden " + RUN,
          "postcode": "33100", "city": "Ödeberga" + RUN, "country": "FI", "phone": "+3584" + str(int(RUN, 16)).zfill(10),
          "email": f"qvastfrid.{RUN}@vqxk.example"}
LIVING = {**MARKED, "first_name": "Levande" + RUN, "last_name": "Bevarad" + RUN, "street": "Hemvägen " + RUN,
          "city": "Kvarberga" + RUN, "phone": "+3586" + str(int(RUN, 16)).zfill(10),
          "email": f"levande.{RUN}@vqxk.example"}


def words_of(stated):
    return [stated[field] for field in ("first_name", "last_name", "street", "city", "phone", "email")]


def tombstones(stack, person):
    return [line for line in p.dump_of(stack, person) if line["line"] == "tombstone"]


# ---- requests --------------------------------------------------------------------------------------------------------

def by_email(stack, daemons):
    """A request by e-mail is a case until an employee ties it to a person; the command goes sealed through its topic."""
    person, request = RUN + "-mail", RUN + "-mail-r"
    daemons.start()
    p.in_turn(stack, p.registered(person), p.asks(request, 10, {"email": person + "@example.fi"}, "email_loop", "email"))
    line = p.one_line(stack, request, "request")
    expect(line["case"] is True and line["person"] is None and line["state"] == "open" and line["due"], line)
    expect(p.states_told(stack, request) == ["open"], p.states_told(stack, request))
    expect(not tombstones(stack, person), "a case erases nobody by itself")
    listed = json.loads(stack.cli("request", "list", "--json").stdout)["requests"]
    expect([row["state"] for row in listed if row["request"] == request] == ["open"], listed)
    shown = stack.cli("request", "show", request, "--reason", "a test", "--json").stdout
    expect(person in shown, "request show does not name who has the address")
    for _ in range(2):  # the same command twice is one
        stack.cli("request", "tie", request, "--person", person, "--reason", "a test")
    wait_for("the command to take effect", lambda: p.one_line(stack, request, "request")["state"] == "done")
    p.settle(stack)
    line = p.one_line(stack, request, "request")
    expect(line["person"] == person and line["case"] is True, line)
    expect([one["cut"] for one in tombstones(stack, person)] == [p.at(10)], tombstones(stack, person))
    expect(p.states_told(stack, request) == ["open", "done"], p.states_told(stack, request))
    commands = [data for topic, _, _, data in p.outputs(stack, "register.command.v1")]
    expect(commands and not any(person.encode() in data for data in commands), "the command is not there, or not sealed")
    audited = stack.sql("SELECT count(*) FROM audit WHERE action = 'request tie' AND reason = 'a test'")[0][0]
    expect(audited >= 1, "not audited")


def identity(stack, daemons):
    """Without identity a request waits; identified it is done, also when that was known first; its cut is when it came."""
    waits, first = RUN + "-wait", RUN + "-first"
    daemons.start()
    p.in_turn(stack, p.registered(waits), p.registered(first),
              p.asks(waits + "-r", 10, {"customer_id": waits}, "none"), p.identified(first + "-r", 20))
    line = p.one_line(stack, waits + "-r", "request")
    expect(line["state"] == "awaiting_identity" and line["due"] is None and line["identity"] == "none", line)
    told = [data for _, _, key, data in p.outputs(stack, "register.request.v1") if key == waits + "-r"]
    expect([data["state"] for data in told] == ["awaiting_identity"] and "due" not in told[0], told)
    expect(not tombstones(stack, waits), "erased without knowing who asks")
    expect(p.states_told(stack, first + "-r") == [], "told of a request that nobody made yet")
    p.in_turn(stack, p.identified(waits + "-r", 30), p.asks(first + "-r", 10, {"customer_id": first}, "none"))
    for person, heard in ((waits, 30), (first, 20)):
        line = p.one_line(stack, person + "-r", "request")
        expect(line["state"] == "done" and line["identity"] == "email_loop" and line["identified"] == p.at(heard), line)
        expect([one["cut"] for one in tombstones(stack, person)] == [p.at(10)], tombstones(stack, person))
        expect(p.one_line(stack, person, "person")["profile"] is None, "the profile is there")
    expect(p.states_told(stack, waits + "-r") == ["awaiting_identity", "done"], p.states_told(stack, waits + "-r"))
    expect(p.states_told(stack, first + "-r") == ["done"], p.states_told(stack, first + "-r"))


def sent_twice(stack, daemons):
    """Sent twice it is one request; of nobody it is answered all the same; of another kind it is a dead letter."""
    person, nobody = RUN + "-twice", RUN + "-nobody"
    daemons.start()
    asked = p.asks(person + "-r", 10, {"customer_id": person}, id="one")
    dead = stack.sql("SELECT count(*) FROM dead_letter WHERE reason = 'not_supported'")[0][0]
    p.in_turn(stack, p.registered(person), asked, asked, {**asked, "id": "two"},
              p.asks(nobody + "-r", 10, {"customer_id": nobody}),
              p.asks(person + "-x", 10, {"customer_id": person}, kind="access"))
    expect(len([line for line in p.dump_of(stack, person + "-r")]) == 1, p.dump_of(stack, person + "-r"))
    expect(len(tombstones(stack, person)) == 1 and len(tombstones(stack, nobody)) == 1, "not one tombstone each")
    expect(p.states_told(stack, person + "-r") == ["done"], p.states_told(stack, person + "-r"))
    expect(p.states_told(stack, nobody + "-r") == ["done"], p.states_told(stack, nobody + "-r"))
    told = [data for _, kind, key, data in p.outputs(stack, "register.anonymization.v1") if key == person]
    expect(len(told) == 1, told)
    now_dead = stack.sql("SELECT count(*) FROM dead_letter WHERE reason = 'not_supported'")[0][0]
    expect(now_dead == dead + 1, f"{now_dead - dead} dead letters")


# ---- nasty 20 --------------------------------------------------------------------------------------------------------

def prepare_killed(stack, daemons):
    """Persons whose data two carriers and the mail house hold."""
    daemons.start()
    everybody = [f"{RUN}-kill{number}" for number in range(len(KILL_POINTS))]
    p.send(stack, *(p.registered(person) for person in everybody))
    p.settle(stack)
    p.send(stack, *(p.granted(person, 1) for person in everybody),
           *(p.requested(person, person + "-m", 2) for person in everybody),
           *(p.requested(person, person + "-p", 3, "posti", "2104") for person in everybody))
    p.settle(stack)
    p.send(stack, *(p.status(stack, "matkahuolto", person, person + "-m", 4) for person in everybody),
           *(p.status(stack, "posti", person, person + "-p", 4) for person in everybody))
    p.settle(stack)
    return everybody


def killed_in_erasure(stack, daemons):
    """Nasty 20: killed between any two steps of an erasure it is finished within 60 s of the restart, each is told once."""
    for point, person in zip(KILL_POINTS, prepare_killed(stack, daemons)):
        keys_before = {key for place, key in markers.keys(stack, [person]).items() if place[3] in ERASED}
        expect(keys_before, "the person has no keys")
        daemons.killed_at(point)
        p.send(stack, p.asks(person + "-r", 10, {"customer_id": person}))
        daemons.await_death()
        began = time.monotonic()
        daemons.start()
        p.settle(stack, 60)
        expect(time.monotonic() - began < 60, f"{point}: took {time.monotonic() - began:.0f} s")
        wait_for("the gauge to say so", lambda: stack.metric("CONSUMER", "kundregister_erasures_pending") == 0)
        rows = stack.sql("SELECT destroyed IS NOT NULL FROM tombstone WHERE person = %s", person)
        expect(rows == [(True,)], f"{point}: {rows}")
        expect(stack.sql("SELECT count(*) FROM doomed WHERE person = %s", person)[0][0] == 0, f"{point}: keys left doomed")
        expect(not keys_before & set(markers.keys(stack, [person]).values()), f"{point}: a key of what was erased is there")
        with stack.vault() as vault:
            found = vault.execute("SELECT count(*) FROM lookup WHERE person = %s", (person,)).fetchone()[0]
        expect(found == 0, f"{point}: he can be looked up")
        told = p.notices_to(stack, person)
        expect(told == {"matkahuolto": ["request"], "posti": ["request"], "letterhouse": ["request"]}, f"{point}: {told}")
        told = [data["complete"] for _, _, key, data in p.outputs(stack, "register.anonymization.v1") if key == person]
        expect(told == [True], f"{point}: {told}")
        expect(p.states_told(stack, person + "-r") == ["done"], f"{point}: {p.states_told(stack, person + '-r')}")


# ---- nasty 19 --------------------------------------------------------------------------------------------------------

def stopped(daemon):
    with open(f"/proc/{daemon.process.pid}/stat", encoding="ascii", errors="replace") as file:
        return file.read().rsplit(")", 1)[1].split()[0] == "T"


def erased_on_the_way(stack, daemons):
    """Nasty 19: erased while its disclosure is unread, produced but uncommitted, aborted: withheld, or a notice follows."""
    for timing in ("unread", "uncommitted", "aborted"):
        person = f"{RUN}-{timing}"
        daemons.start()
        p.in_turn(stack, p.registered(person))
        daemons.stop(("relay",))
        if timing != "unread":
            daemons.start(relay_env={"KUNDREGISTER_STOP_AT": "relay.before_commit"})
        p.send(stack, p.granted(person, 1))
        stack.wait_consumed()
        if timing != "unread":
            wait_for("the relay to stop inside its transaction", lambda: stopped(daemons.relay))
        p.send(stack, p.asks(person + "-r", 10, {"customer_id": person}))
        stack.wait_consumed()
        stack.wait_erased()
        if timing == "uncommitted":
            daemons.relay.signal(signal.SIGCONT)
        if timing == "aborted":
            daemons.relay.kill()
        daemons.start()
        p.settle(stack)
        seen = p.told_to(stack, "letterhouse", person)
        expect(seen[-2:] == ["register.disclosure.withdrawn", "register.notice.anonymize"], f"{timing}: {seen}")
        state = stack.sql("""SELECT state FROM publication JOIN ledger USING (seq)
                             WHERE subject = %s AND kind = 'register.disclosure.newsletter'""", person)
        if timing == "uncommitted" and state != [("withheld",)]:
            expect(seen[0] == "register.disclosure.newsletter" and len(seen) == 3, f"{timing}: {seen}")
        else:
            expect(state == [("withheld",)] and len(seen) == 2, f"{timing}: {state} {seen}")
        shown = json.loads(stack.cli("disclosures", person, "--reason", "a test", "--json").stdout)["disclosures"]
        expect([row["state"] for row in shown if "withheld" in row["state"]] == ["withheld"] * (len(seen) == 2), shown)


# ---- nasty 23 --------------------------------------------------------------------------------------------------------

def arrivals(person):
    """What happens to the person; all but the order of arrival across topics is the same."""
    again = {**p.contact(person), "street": "Uusikatu 2"}
    return {"customer": [p.registered(person, 1, id="c1"), p.registered(person, 30, again, id="c2"),
                         p.changed(person, 31, {"city": "Turku"}, id="c3")],
            "order": [p.placed(person, person + "-o1", 2, id="o1"), p.paid(person, person + "-o1", 3, id="o2"),
                      p.placed(person, person + "-o2", 32, id="o3")],
            "consent": [p.granted(person, 4, id="y1"), p.objected(person, 5, id="y2")],
            "shipment": [p.requested(person, person + "-s1", 6, id="s1"), p.requested(person, person + "-s2", 33, id="s2")],
            "request": [p.asks(person + "-r", 20, {"customer_id": person}, id="r1")]}


def as_one(stack, person):
    """His dump lines with what is his alone taken out."""
    found = []
    for line in p.dump_of(stack, person) + p.dump_of(stack, person + "-r"):
        line = {key: value for key, value in line.items() if key not in ("subject", "contact_hash")}
        found.append(json.dumps(line).replace(p.contact(person)["phone"], "PHONE").replace(person, "PERSON"))
    return sorted(found)


def orders_of_arrival(stack, daemons):
    """Nasty 23: what precedes the cut arrives after the erasure, what follows it before: equal dumps, a new key."""
    daemons.start()
    schedules = (("customer", "order", "consent", "shipment", "status", "request"),
                 ("customer", "request", "order", "status", "shipment", "consent"),
                 ("request", "consent", "shipment", "order", "status", "customer"),
                 ("status", "shipment", "customer", "request", "consent", "order"))
    folded = []
    for number, schedule in enumerate(schedules):
        person = f"{RUN}-way{number}"
        events = {**arrivals(person), "status": [p.status(stack, "matkahuolto", person, person + "-s1", 7, id="d1")]}
        for topic in schedule:
            p.send(stack, *events[topic])
            p.settle(stack)
        folded.append(as_one(stack, person))
        generations = {line["generation"] for line in p.dump_of(stack, person) if line["line"] == "person"}
        expect(generations == {None, p.at(20)}, f"{schedule}: {generations}")
        rings = {}
        for (_, generation, kind, category, period, _), key in markers.keys(stack, [person]).items():
            rings.setdefault(generation, set()).add(key)
        expect(len(rings) == 2 and not set.intersection(*rings.values()), f"{schedule}: {len(rings)} rings")
    for schedule, lines in zip(schedules[1:], folded[1:]):
        differing = sorted(set(lines) ^ set(folded[0]))
        expect(not differing, f"{schedule}:\n" + "\n".join(differing))


# ---- nasty 21 --------------------------------------------------------------------------------------------------------

def drop_outbox(stack, daemons):
    """Everything that was published goes with its partition: the number jumps to the next one, and the floor follows."""
    last = stack.sql("SELECT last_value FROM outbox_seq")[0][0]
    stack.sql("SELECT setval('outbox_seq', (last_value / 1048576 + 1) * 1048576 + 5) FROM outbox_seq")
    stack.sql("SELECT outbox_extend()")
    p.in_turn(stack, p.registered(RUN + "-floor", 1))
    daemons.stop(("relay",))
    daemons.start()
    wait_for("the outbox to be dropped",
             lambda: stack.sql("SELECT count(*) FROM outbox WHERE seq <= %s", last)[0][0] == 0, 30)


def replay(stack, daemons):
    """All inputs once more from their starts; nothing changes and nothing goes out. Returns how long it took."""
    dump, ids = stack.dump(), p.output_ids(stack)
    daemons.stop()
    stack.cli("consumer", "position", "reset", "--reason", "a test")
    began = time.monotonic()
    daemons.start()
    p.settle(stack, 60 + ERASURES // 20)
    took = time.monotonic() - began
    after = stack.dump()
    differing = sorted(set(dump) ^ set(after))[:6]
    expect(after == dump, f"the replay changed {len(set(dump) ^ set(after))} lines:\n" + "\n".join(differing))
    more = set(p.output_ids(stack)) - set(ids)
    expect(not more, f"the replay gave {len(more)} new outputs")
    return took


def thousand(stack, daemons):
    """Nasty 21: after a thousand erasures, the outbox dropped, a replay from 0 changes nothing and tells nobody."""
    daemons.start()
    everybody = [f"{RUN}-many{number}" for number in range(ERASURES)]
    shipped = everybody[::4]
    p.send(stack, *(p.registered(person) for person in everybody))
    p.settle(stack, 60 + ERASURES // 50)
    p.send(stack, *(p.placed(person, person + "-o", 1, p.contact(person)) for person in everybody[::2]),
           *(p.requested(person, person + "-s", 2) for person in shipped),
           *(p.granted(person, 3) for person in everybody[::5]))
    p.settle(stack, 60 + ERASURES // 50)
    by_ref = p.refs(stack, [("matkahuolto", person, person + "-s") for person in shipped])
    p.send(stack, *(p.status_by_ref("matkahuolto", ref, 4) for ref in by_ref[::2]))  # half of the parcels are under way
    p.settle(stack, 60 + ERASURES // 50)
    began = time.monotonic()
    p.send(stack, *(p.asks(person + "-r", 10, {"customer_id": person}) for person in everybody))
    p.settle(stack, 60 + ERASURES // 10)
    print(f"# {ERASURES} erasures, keys and all, in {time.monotonic() - began:.1f} s", flush=True)
    counted = dict(stack.sql("SELECT complete, count(*) FROM tombstone WHERE person LIKE %s GROUP BY 1", RUN + "-many%"))
    waiting = len(by_ref) - len(by_ref[::2])
    expect(counted == {True: ERASURES - waiting, **({False: waiting} if waiting else {})}, counted)
    p.send(stack, *(p.status_by_ref("matkahuolto", ref, 11) for ref in by_ref[1::2]))
    p.settle(stack, 60 + ERASURES // 20)
    left = stack.sql("SELECT count(*) FROM tombstone WHERE NOT complete OR destroyed IS NULL")[0][0]
    expect(left == 0, f"{left} tombstones are not through")
    drop_outbox(stack, daemons)
    print(f"# the replay took {replay(stack, daemons):.1f} s", flush=True)


# ---- nasty 25, golden 14 ---------------------------------------------------------------------------------------------

def marked(stack, daemons):
    """Somebody with distinctive strings in everything, forgotten; and one who stays."""
    person, gone, stays = RUN + "-marked", "recipient:" + RUN + "-gift", RUN + "-stays"
    daemons.start()
    p.send(stack, p.registered(person, 0, MARKED), p.registered(stays, 0, LIVING))
    p.settle(stack)
    p.in_turn(stack, p.granted(person, 1), p.requested(person, person + "-s", 2, stated=MARKED))
    p.send(stack, p.requested(stays, stays + "-s", 2, "posti", "2104", RUN + "-gift", MARKED),
           p.requested(stays, stays + "-t", 2, "posti", "2104", stated=LIVING),
           p.changed(person, 3, {"street": MARKED["street"]}), p.placed(person, person + "-o", 3))
    # Bad records: broken, of an unknown type, with an unknown field that is somebody's e-mail.
    for key, value in ((person, json.dumps(MARKED)[:-1]), (person, "\x00" + MARKED["email"])):
        stack.send_raw("shop.customer.v1", key, value.encode())
    p.send(stack, {**p.event("shop.customer.v1", "shop.customer.married", person, 3, MARKED)},
           p.event("shop.customer.v1", "shop.customer.seen", person, 3, {"customer_id": person, MARKED["email"]: "x"}))
    p.in_turn(stack, p.status(stack, "matkahuolto", person, person + "-s", 4),
              p.status(stack, "posti", stays, stays + "-s", 4))
    stack.cli("customer", "find", "--email", MARKED["email"], "--reason", "a test")
    keys = markers.keys(stack, [person, gone])
    p.in_turn(stack, p.asks(person + "-r", 10, {"customer_id": person}),
              p.asks(person + "-g", 10, {"recipient_id": RUN + "-gift"}),
              p.asks(person + "-e", 11, {"email": MARKED["email"]}, "email_loop", "email"))
    expect(all(line["profile"] is None for line in p.dump_of(stack, person) if line["line"] == "person"), "not erased")
    return keys


def searched(stack, daemons, keys_before):
    """Nasty 25: the forgotten are found nowhere but in inputs and disclosures, the living only by who opens."""
    daemons.start()
    p.settle(stack)
    began = time.monotonic()
    words = words_of(MARKED) + words_of(LIVING)
    markers.expect_nowhere(stack, words)
    print(f"# searched for {len(words)} strings in {time.monotonic() - began:.1f} s", flush=True)
    control = markers.find(stack, [RUN + "-stays"])  # ids are clear: where the search can look at all
    for place in ("pg_wal", "table register.person", "table vault.ring", "kundregister dump", "topic register."):
        expect(any(place in found for found in control), f"an id is not found in {place}")
    opened = "\n".join(stack.dump("--open", "--reason", "a test"))
    expect(not any(word in opened for word in words_of(MARKED)), "dump --open shows a forgotten person")
    expect(all(word in opened for word in words_of(LIVING)), "dump --open does not show who is not forgotten")
    kept = markers.keys(stack)
    gone = [place for place, key in keys_before.items() if key not in kept.values()]
    expect(any(place[2] == "cells" for place in gone) and any(place[2] == "transit" for place in gone),
           f"of the forgotten persons' keys only {gone} are gone")
    sample = list(keys_before.values()) + list(kept.values())[:10]
    markers.expect_no_key_in_register(stack, sample)
    with stack.vault() as vault:
        blobs = [bytes(row[0]) for row in vault.execute("SELECT blob FROM ring LIMIT 10")]
    markers.expect_no_key_in_register(stack, [blob[40:72] for blob in blobs])


def main():
    stack, report, kept = Stack(*sys.argv[1:3]), Report(), {}
    daemons = p.Daemons(stack)

    def mark(*given):
        kept.update(marked(*given))

    def search(*given):
        searched(*given, kept)

    search.__doc__, mark.__doc__ = searched.__doc__, marked.__doc__
    stories = {"marked": mark, "by_email": by_email, "identity": identity, "sent_twice": sent_twice,
               "erased_on_the_way": erased_on_the_way, "orders_of_arrival": orders_of_arrival,
               "killed_in_erasure": killed_in_erasure, "thousand": thousand, "searched": search}
    try:
        for name, story in stories.items():
            if not sys.argv[3:] or name in sys.argv[3:]:
                report.case(story.__doc__.split(".")[0].split("\n")[0], story, stack, daemons)
                stack.stop_all()
    finally:
        stack.stop_all()
    return report.exit_code()


if __name__ == "__main__":
    sys.exit(main())
