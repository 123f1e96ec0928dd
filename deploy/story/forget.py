"""The chapters about forgetting: who asks, what is done at once, what waits, what is kept by law, and who is told.

Each takes the story's means (means.py) and raises Untrue where something is not as it must be.
"""
import datetime
import json
import zoneinfo

import carrier
import shop as sample
from means import RECIPIENTS, must, quote, say, table

REQUESTS = "privacy.request.v1"
ASKING = [  # (person, request, what is special)
    (sample.ILTA, "Q-ilta", "read the newsletter, never ordered; asks twice"),
    (sample.JOEL, "Q-joel", "has a parcel on its way"),
    (sample.KERTTU, "Q-kerttu", "paid an order, which is long delivered"),
    (sample.LUMI, "Q-lumi", "was sent a gift by Helka"),
]


def now():
    return sample.instant(datetime.datetime.now(datetime.timezone.utc))


def request(means, kind, request_id, data, times=1):
    event = sample.envelope("privacy.request." + kind, now(), {"request_id": request_id, **data})
    sample.publish(["kcat", "-F", means.principal("shop")], REQUESTS, [(request_id, event)] * times)


def person_of(one):
    """The person's name in the register: a gift's consignee is nobody's customer."""
    return ("recipient:" if one is sample.LUMI else "") + one["id"]


def subject_of(one):
    return {"recipient_id" if one is sample.LUMI else "customer_id": one["id"]}


def state_of(means, request_id):
    return [data["state"] for data in means.told("register.request.v1", request_id)]


def anonymized(means, one):
    return means.told("register.anonymization.v1", person_of(one))


def kept(told):
    return ", ".join(f"{one['category']} to {one['until']} ({one['ground']})" for one in told["retained"])


def held(dump, line, **where):
    """The one line of the dump with these members."""
    found = [one for one in dump.get(line, []) if all(one[name] == value for name, value in where.items())]
    must(len(found) == 1, f"the dump has {len(found)} lines {line} {where}")
    return found[0]


def voucher_end():
    """The voucher is kept through the sixth year after that in which the payment's financial year ended."""
    paid = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=20)
    return f"{paid.astimezone(zoneinfo.ZoneInfo('Europe/Helsinki')).year + 6}-12-31"


def four_requests(means):
    say("6. Four persons ask to be forgotten.")
    for one, request_id, _special in ASKING:
        request(means, "received", request_id, {"kind": "erasure", "subject": subject_of(one), "channel": "account",
                                                "identity": "account"}, times=2 if one is sample.ILTA else 1)
    means.wait("the requests to be decided, the keys destroyed and the recipients' answers in", means.settled)
    rows, told = [], {}
    for one, request_id, special in ASKING:
        says = anonymized(means, one)
        must(len(says) == 1, f"{person_of(one)} was told of {len(says)} times")
        told[one["id"]] = says[0]
        rows.append((one["contact"]["first_name"], special, state_of(means, request_id)[-1], ", ".join(says[0]["erased"]),
                     ", ".join(waits["category"] for waits in says[0]["waiting"])))
    table(["who", "what is special", "request", "erased now", "waits"], rows)
    dump = means.dump()
    for one, _request_id, _special in ASKING:
        if one is not sample.LUMI:
            must(held(dump, "person", person=one["id"])["profile"] is None, f"{one['id']} has a profile still")
    ilta, joel, kerttu, lumi = (told[one["id"]] for one, _request_id, _special in ASKING)
    must(ilta["complete"] and ilta["erased"] == ["profile", "delivery"], f"of Ilta it says {ilta}")
    must(state_of(means, "Q-ilta") == ["done"], "Ilta asked twice and was answered twice")
    must([one["category"] for one in ilta["retained"]] == ["consent_proof"], f"of Ilta is kept {ilta['retained']}")
    say(f"   Ilta asked twice, which is once. That she had consented can still be proven: {kept(ilta)}.")
    must_wait(means, dump, joel)
    must_keep(dump, kerttu)
    must_be_a_gift(dump, lumi)


def must_wait(means, dump, joel):
    must(not joel["complete"] and joel["erased"] == ["profile"] and [one["event"] for one in joel["waiting"]] ==
         ["parcels_closed"] and state_of(means, "Q-joel") == ["open"], f"of Joel it says {joel}")
    shipment = held(dump, "shipment", shipment="S-joel")
    must(shipment["waiting"] and shipment["delivery"], "Joel's parcel does not wait")
    say("   Joel's profile is gone; what Posti needs to bring his parcel stays until it has come.")


def must_keep(dump, kerttu):
    retained = {one["category"]: (one["until"], one["ground"]) for one in kerttu["retained"]}
    must(kerttu["complete"] and set(kerttu["erased"]) == {"profile", "delivery"}, f"of Kerttu it says {kerttu}")
    must(retained.get("voucher") == (voucher_end(), "17(3)(b)"), f"Kerttu's voucher is kept {retained.get('voucher')}")
    order = held(dump, "order", order="O-kerttu")
    must(order["voucher"] and order["voucher"]["until"] == voucher_end(), "Kerttu's voucher is not there")
    must(held(dump, "shipment", shipment="S-kerttu")["delivery"] is None, "Kerttu's address is there still")
    say(f"   Kerttu's order is kept, without her name: {kept(kerttu)}.")


def must_be_a_gift(dump, lumi):
    must(lumi["complete"] and lumi["erased"] == ["delivery"], f"of Lumi it says {lumi}")
    must(held(dump, "shipment", shipment="S-gift")["delivery"] is None, "Lumi's address is there still")
    order = held(dump, "order", order="O-gift")
    must(order["claim"] and order["voucher"] and held(dump, "person", person=sample.HELKA["id"])["profile"],
         "Helka lost something")
    say("   Lumi's address is gone; Helka, who sent the gift, and her order are as they were.\n")


def parcel_arrives(means):
    joel = sample.JOEL["contact"]
    say("7. Joel's parcel arrives: Posti says so, and what waited is erased unasked.")
    ref = next(message.data["shipment_ref"] for message in means.read("disclosure.posti.v1")
               if message.kind == "disclosure.shipment" and message.data["fields"].get("last_name") == joel["last_name"])
    status = carrier.envelope("posti", "carrier.delivery.status", {"shipment_ref": ref, "status": "delivered"})
    sample.publish(["kcat", "-F", means.principal("carrier-posti")], "carrier.posti.v1", [(ref, status.encode())])
    means.wait("Joel's request to be done", lambda: means.settled() and state_of(means, "Q-joel")[-1] == "done")
    says = anonymized(means, sample.JOEL)
    table(["message", "complete", "erased", "waits"],
          [("customer.anonymized", str(one["complete"]).lower(), ", ".join(one["erased"]),
            ", ".join(waits["category"] for waits in one["waiting"])) for one in says])
    must([one["complete"] for one in says] == [False, True] and says[1]["erased"] == ["profile", "delivery"],
         "his erasure was not told in two steps")
    must(held(means.dump(), "shipment", shipment="S-joel")["delivery"] is None, "his address is there still")
    must(state_of(means, "Q-joel") == ["open", "done"], f"his request went {state_of(means, 'Q-joel')}")
    say()


def by_mail(means):
    nelli = sample.NELLI
    say("8. An e-mail asks for erasure. It names an address, no customer; whose it is, an employee decides.")
    request(means, "received", "Q-nelli", {"kind": "erasure", "subject": {"email": nelli["contact"]["email"]},
                                           "channel": "email", "identity": "none"})
    means.wait("the case to be open", lambda: means.through() and state_of(means, "Q-nelli"))
    must(state_of(means, "Q-nelli") == ["awaiting_identity"], "it should wait for proof of identity")
    request(means, "identified", "Q-nelli", {"identity": "email_loop"})
    means.wait("the proof to be taken in", lambda: means.through() and state_of(means, "Q-nelli")[-1] == "open")
    must(held(means.dump(), "person", person=nelli["id"])["profile"], "Nelli was erased before anybody said it was she")
    means.show("request", "list")
    shown = means.json("request", "show", "Q-nelli", "--reason", "whose address is it?")
    must([one["person"] for one in shown["candidates"]] == [nelli["id"]], "the address was not found")
    say(f"   `kundregister request show` says that the address is {nelli['id']}'s.")
    means.show("request", "tie", "Q-nelli", "--person", nelli["id"], "--reason", "she answered from that address")
    means.wait("the command to come back and be carried out",
               lambda: means.settled() and state_of(means, "Q-nelli")[-1] == "done")
    must(held(means.dump(), "person", person=nelli["id"])["profile"] is None, "Nelli has a profile still")
    must(not means.json("customer", "find", "--email", nelli["contact"]["email"], "--reason", "demo")["found"],
         "the address is found still")
    say("   The command went through the journal and was carried out: the address is nobody's now.\n")


def recipients(means):
    say("9. Whoever had received something was told to forget it, under refs of his own, and answered:")
    rows, retained = [], 0
    for one in sample.FORGOTTEN:
        shown = means.json("disclosures", person_of(one), "--reason", "demo")
        notices = [notice for notice in shown["notices"] if notice["kind"] == "anonymize"]
        for notice in notices:
            must(notice["answer"], f"{notice['recipient_name']} has not answered")
            retained += notice["answer"] == "retained"
            rows.append((one["contact"]["first_name"], notice["recipient_name"], notice["cause"], notice["answer"],
                         notice["retained_until"]))
        must({notice["recipient"] for notice in notices} == {row["recipient"] for row in shown["disclosures"]},
             f"somebody who received {person_of(one)}'s data was not told")
        must(len(notices) == len({notice["recipient"] for notice in notices}), "somebody was told twice")
    table(["who", "recipient", "cause", "answer", "which keeps it to"], rows)
    must(retained == 1 and len(rows) == len(sample.FORGOTTEN), "five notices, one of them retained, were expected")
    refs = {}
    for name in RECIPIENTS:
        for message in means.read(f"disclosure.{name}.v1"):
            if message.kind == "notice.anonymize":
                must(not any(word in json.dumps(message.data, ensure_ascii=False) for one in sample.FORGOTTEN
                             for word in sample.words_of(one)), "a notice names somebody")
                refs.setdefault(message.data["person_ref"], set()).add(name)
    must(all(len(names) == 1 for names in refs.values()), "two recipients know a person under one ref")
    say("   The ledger keeps who received what kind of field and when, never the field.\n")


def certificate(means):
    say("10. What an employee can answer Kerttu:")
    printed = means.show("customer", "erasure", sample.KERTTU["id"])
    for what in (voucher_end(), "17(3)(b)", RECIPIENTS["matkahuolto"], "retained"):
        must(what in printed, f"the certificate does not say {what}")
    say()
