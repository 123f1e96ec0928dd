"""The register's dump row for row against the model's.

Not judged: `opened` of a recipient whom only shipments have named that went to somebody else in the end. Whether such a one
opens him the contract leaves open; the program lets it as far as he was told of it.
"""
import collections

LINE_IDS = {"person": ("person", "generation"), "order": ("customer", "order"), "shipment": ("customer", "shipment"),
            "consent": ("person", "source", "id", "time", "act"), "permission": ("person", "generation", "purpose", "channel"),
            "suppression": ("contact_hash", "person"), "request": ("request",), "tombstone": ("subject", "cut")}
CELLS = ("profile", "delivery", "claim", "voucher", "oss", "proof")


def identity(line):
    return (line["line"], *(str(line.get(name)) for name in LINE_IDS[line["line"]]))


def by_identity(lines):
    """Several lines may have one identity: facts that differ in sequence or data alone."""
    found = collections.defaultdict(list)
    for line in lines:
        found[identity(line)].append(line)
    return found


def difference(expected, actual):
    return ", ".join(f"{name}: expected {expected.get(name)!r}, got {actual.get(name)!r}"
                     for name in {**expected, **actual} if expected.get(name) != actual.get(name))


def either_way(world, lines, actual):
    """Takes over `opened` where it is not judged."""
    for line in lines:
        if line["line"] == "person" and line["opened"] and line["person"].startswith("recipient:"):
            person = world.model.persons[line["person"]]
            his = any(view["generation"] == person.newest for view in person.views)
            for other in actual.get(identity(line), ()) if not his else ():
                line["opened"] = other["opened"]


def check(world, say):
    expected, actual = by_identity(world.lines), by_identity(world.history.dump)
    either_way(world, world.lines, actual)
    for kind in LINE_IDS:
        world.look(f"register: {kind} lines", sum(len(lines) for key, lines in actual.items() if key[0] == kind))
    for key in sorted({*expected, *actual}):
        missing, more = list(expected.get(key, ())), []
        for line in actual.get(key, ()):
            if line in missing:
                missing.remove(line)
            else:
                more.append(line)
        compare_lines(key, missing, more, bool(expected.get(key)), say)


def compare_lines(key, missing, more, known, say):
    name = " ".join(key)
    for line, other in zip(missing, more):
        older = line.get("version_time") and other.get("version_time") and other["version_time"] < line["version_time"]
        came_back = any(line.get(one) is None and other.get(one) is not None for one in CELLS)
        say("lost-update" if older else "resurrected" if came_back else "different", f"{name}: {difference(line, other)}")
    for _ in missing[len(more):]:
        say("lost", f"{name}: the line is missing")
    for _ in more[len(missing):]:
        say("duplicate" if known else "resurrected", f"{name}: " + ("once more" if known else "no fact explains it"))
