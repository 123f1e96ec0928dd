"""What holds of every output whatever it says: no id twice (O1); each decided output out exactly once, or recorded as withheld;
per key in the order of decision (O5); envelope, key and data as events.json says; and no value by which two recipients could
join what they know.
"""
import collections

COMPACTED = ("register.marketing-permission.v1", "register.erasure.v1")


def check(world, say):
    check_ids(world, say)
    check_order(world, say)
    check_recipients_apart(world, say)
    world.look("streams: outputs", len(world.outputs))
    for output in world.outputs:
        output.look()
        for fault in output.faults:
            say("malformed", f"{output.place}: {fault}")


def check_ids(world, say):
    times = collections.Counter(output.id for output in world.outputs)
    for output in world.outputs:
        if times[output.id] > 1:
            say("duplicate", f"output {output.id} stands {times[output.id]} times on {output.topic}")
            times[output.id] = 1
    for output in world.outputs:
        row = world.ledger.get(output.id)
        if row is None:
            say("phantom", f"{output.place}: output {output.id} ({output.kind}) was never decided")
        elif (row.topic, row.kind, row.decided) != (output.topic, output.kind, output.time):
            say("different", f"{output.place}: output {output.id} is another than the ledger's")
        elif output.id in world.suppressed:
            say("phantom", f"{output.place}: output {output.id} is out, though recorded as withheld")
    world.look("streams: decided outputs", len(world.history.ledger))
    older = 0
    newest = {(row.topic, row.subject): row.seq for row in world.history.ledger if row.id in times}
    for row in world.history.ledger:
        if row.id in times or row.id in world.suppressed:
            continue
        if row.topic in COMPACTED and newest.get((row.topic, row.subject), -1) > row.seq:
            older += 1
            continue  # Kafka keeps the last of each key
        say("lost", f"output {row.id} ({row.kind}) was decided and is not on {row.topic}")
    if older:
        world.remark(f"whether {older} outputs went out that a compacted topic need not hold any more")


def check_order(world, say):
    last = {}
    world.look("streams: outputs behind another of their key", 0)
    for output in world.outputs:
        where = (output.topic, output.record.partition, output.key)
        if output.seq is None:
            continue
        world.look("streams: outputs behind another of their key", where in last)
        if output.seq < last.get(where, -1):
            say("reordered", f"{output.place}: output {output.id} was decided before its predecessor of the same key")
        last[where] = max(output.seq, last.get(where, -1))


def opaque_values(output):
    """What only this recipient may ever have seen."""
    data = output.data
    found = {output.id, *(data[name] for name in ("person_ref", "shipment_ref", "disclosure_ref", "notice_ref", "token")
                          if name in data), *data.get("disclosures", ())}
    for name, value in output.record.headers:
        if name == "traceparent":
            found |= set((value or b"").decode("utf-8", "replace").split("-")[1:3])
    return found


def check_recipients_apart(world, say):
    whose = {}
    world.look("streams: outputs to recipients", sum(bool(output.recipient) for output in world.outputs))
    for recipient, outputs in world.disclosure_topics().items():
        for output in outputs:
            for value in opaque_values(output):
                if whose.setdefault(value, recipient) != recipient:
                    say("leak", f"{output.place}: {recipient} and {whose[value]} know one value")
                    whose[value] = recipient
