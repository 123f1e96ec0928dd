"""What the shop's own systems are told of a person: permissions, requests, erasures; and the register's list of notices against
the notices that went out and what was answered.
"""
import collections
import json

from facts import FIRST
from terms import show_time


def plain(value):
    """For comparison: whatever the order of its members."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def check(world, say):
    check_permissions(world, say)
    check_requests(world, say)
    check_erased(world, say)
    check_anonymized(world, say)
    check_notices(world, say)


def check_changes(outputs, say, what, same=lambda data: plain(data)):
    """Each differs from the one before it."""
    before = None
    for output in outputs:
        content = same(output.data)
        if content == before:
            say("duplicate", f"{output.place}: {what} says what the one before it said")
        before = content


def check_last(world, outputs, expected, what, say):
    """The last word on a key, where expected is what the whole of the facts says."""
    if not outputs:
        say("lost", f"{what}: nothing was told")
    elif plain(outputs[-1].data) != plain(expected):
        earlier = any(plain(one.data) == plain(expected) for one in outputs)
        say("stale" if earlier else "different",
            f"{what}: the last word is {plain(outputs[-1].data)}, not {plain(expected)}")


def check_permissions(world, say):
    told, model = world.by_key("register.marketing.permission"), world.model
    world.look("subjects: permission records", sum(map(len, told.values())))
    world.look("subjects: last permissions", 0)
    for name, outputs in told.items():
        check_changes(outputs, say, f"permission of {name}")
        person = model.persons.get(name)
        if person is None or person.is_recipient:
            say("phantom", f"permission of {name}, whom no fact names")
    for person in model.persons.values():
        if person.is_recipient or not (person.name in told or any(True for _ in model.permission_generations(person))):
            continue  # whom no event has opened and who never said anything of marketing has no record
        world.look("subjects: last permissions")
        expected = {"customer_id": person.name, "permissions": model.permission_record(person)}
        check_last(world, told.get(person.name), expected, f"permission of {person.name}", say)


def check_requests(world, say):
    told = world.by_key("register.request.status")
    world.look("subjects: states of requests", sum(map(len, told.values())))
    lines = {line["request"]: line for line in world.lines if line["line"] == "request"}
    for name, outputs in told.items():
        check_changes(outputs, say, f"status of request {name}")
        if name not in lines or lines[name]["state"] is None:
            say("phantom", f"status of request {name}, which was not received")
    for name, line in lines.items():
        outputs, what = told.get(name), f"status of request {name}"
        if line["state"] is None:
            continue
        if not outputs:
            say("lost", f"{what}: nothing was told")
            continue
        if outputs[-1].data["state"] != line["state"]:
            earlier = any(output.data["state"] == line["state"] for output in outputs)
            say("stale" if earlier else "different", f"{what}: the last word is {outputs[-1].data['state']}, not {line['state']}")
        possible = world.model.possible_dues(name)
        for output in outputs:  # it is told at each change of state; when only `due` moves, nothing is
            due = output.data.get("due")
            if (due is None) != (output.data["state"] == "awaiting_identity") or (due and due not in possible):
                say("different", f"{output.place}: {what}: due {due}, which no fact gives")


def check_erased(world, say):
    told = world.by_key("register.subject.erased")
    world.look("subjects: tombstones", sum(map(len, told.values())))
    subjects = {world.refs.subject(person.name): person for person in world.model.persons.values() if person.cuts}
    for subject, outputs in told.items():
        check_changes(outputs, say, f"tombstone of {subject[:8]}")
        if subject not in subjects and outputs[-1].data["erasures"]:
            say("phantom", f"a tombstone of {subject[:8]}, whom no fact erases")
    for subject, person in subjects.items():
        members = [{name: value for name, value in one.items() if value is not None}
                   for one in world.model.erased_record(person)]
        for output in told.get(subject, ()):
            output.data["erasures"].sort(key=plain)
        check_last(world, told.get(subject), {"subject": subject, "erasures": sorted(members, key=plain)},
                   f"tombstone of {person.name}", say)


def check_anonymized(world, say):
    told = collections.defaultdict(lambda: collections.defaultdict(list))
    for name, outputs in world.by_key("register.customer.anonymized").items():
        for output in outputs:
            told[name][output.data.get("generation")].append(output)
    for person in world.model.persons.values():
        of_his = told.get(person.name, {})
        check_certificates(world, person, of_his, say)
        possible = {show_time(generation) for generation in world.generations_ever(person)}
        for generation in of_his.keys() - possible:
            say("phantom", f"certificate of {person.name}, generation {generation}, which no fact ends")
    for name in told.keys() - world.model.persons.keys():
        say("phantom", f"certificate of {name}, whom no fact names")


def check_certificates(world, person, told, say):
    """A cut that was told before one that lies earlier became known was told under an earlier generation's name; it is told
    anew only when `complete` changes."""
    retained = world.model.retained_dates(person) if told else None
    world.look("subjects: certificates", sum(map(len, told.values())))
    world.look("subjects: what certificates retain", 0)
    cuts = iter(person.cuts)
    for generation, expected in world.model.anonymized(person).items():
        cut, what = show_time(next(cuts)[0]), f"certificate of {person.name}, generation {generation}"
        if generation in told:
            candidates = told[generation][-1:]
        else:
            candidates = [output for name, outputs in told.items() if name is None or name < cut for output in outputs]
        if not candidates:
            say("lost", f"{what}: nothing was told")
        elif not any(certificate(output.data) == expected for output in candidates):
            earlier = any(certificate(output.data) == expected for output in told.get(generation, ()))
            say("stale" if earlier else "different",
                f"{what}: {plain(certificate(candidates[-1].data))}, not {plain(expected)}")
        for output in told.get(generation, ()):
            check_retained(world, output, retained, what, say)


def certificate(data):
    return {**{name: data[name] for name in ("cause", "complete", "waiting")}, "erased": sorted(data["erased"])}


def check_retained(world, output, possible, what, say):
    world.look("subjects: what certificates retain", len(output.data["retained"]))
    for one in output.data["retained"]:
        rule = world.policy["categories"].get(one["category"], {}).get("on_request")
        ground = rule.get("keep") if isinstance(rule, dict) else None
        if one["category"] not in possible or one["ground"] != ground:
            say("different", f"{what}: {one['category']} is not kept on {one['ground']}")
        elif one["until"] not in possible[one["category"]]:
            say("different", f"{what}: {one['category']} until {one['until']}, which no fact gives")


# ---- notices ----

def answers(world):
    """{notice_ref: the data of the highest version of what its recipient answered}"""
    best = {}
    for fact in world.model.facts:
        if fact.kind == "carrier.notice.acknowledged":
            ref = fact.data["notice_ref"]
            key = (ref, fact.sender)
            if key not in best or fact.version() > best[key].version():
                best[key] = fact
    return {key: fact.data for key, fact in best.items()}


def check_notices(world, say):
    """The dump's notices against the stream's. A notice that was withheld stands in the dump alone."""
    answered, expected, seen = answers(world), collections.Counter(), {}
    for output in world.outputs:
        if not output.recipient or "notice_ref" not in output.data or output.faults:
            continue
        ref = output.data["notice_ref"]
        if (ref, output.data.get("reminder")) in seen:
            say("duplicate", f"{output.place}: notice_ref of {seen[ref, output.data.get('reminder')]} once more")
        seen[ref, output.data.get("reminder")] = output.place
        line = notice_line(world, output, answered.get((ref, output.recipient), {}))
        if line:
            expected[plain(line)] += 1
    actual = collections.Counter(plain(told_line(line)) for line in world.history.notices)
    world.look("subjects: notices", len(world.history.notices))
    world.look("subjects: answers to notices", sum(bool(line["outcome"]) for line in world.history.notices))
    hidden = collections.Counter()
    for row in world.history.ledger:
        if row.id in world.suppressed and row.recipient:
            hidden[row.recipient, row.subject, row.kind.rsplit(".", 1)[1]] += 1
    for text, count in (expected - actual).items():
        say("lost", f"{count} notice missing in the register: {text}")
    for text, count in (actual - expected).items():
        line = json.loads(text)
        key = (line["recipient"], line["person"], line["kind"])
        if hidden[key] < count:
            say("phantom", f"{count - hidden[key]} notice in the register that never went out: {text}")


def told_line(line):
    """A line of the dump without what is not judged: until when the recipient's own words are kept."""
    return {**line, "disclosures": sorted(line["disclosures"], key=plain), "fields": sorted(line["fields"]),
            "ground": line["ground"] and line["ground"]["value"].get("ground")}


def notice_line(world, output, answer):
    """The line of `dump --notices` that an output must have. None where it names what check_disclosures does not know."""
    data, kind = output.data, output.kind.rsplit(".", 1)[1]
    whose = world.person_refs.get(data["person_ref"])
    refs = data["disclosures"] if "disclosures" in data else [data["disclosure_ref"]]
    units = [world.units.get(ref) for ref in refs]
    if whose is None or None in units:
        return None
    cause = data.get("cause") or data.get("reason") or "changed"
    return {"line": "notice", "recipient": output.recipient, "person": whose[1],
            "generation": None if whose[2] is FIRST else show_time(whose[2]), "kind": kind, "cause": cause,
            "disclosures": sorted(({"shipment": unit.key[1] if unit.key else None, "service": unit.service, "role": unit.role}
                                   for unit in units), key=plain),
            "fields": sorted(data.get("fields", ())), "answer_by": data["answer_by"], "reminder": data.get("reminder", 0),
            "outcome": answer.get("outcome"), "ground": answer.get("ground"), "until": answer.get("until")}
