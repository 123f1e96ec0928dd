#!/usr/bin/env python3
"""Searches all that a test run leaves behind for the personal strings that were put in: scan.py STACK BUILD SUITE

What was put in is read from the input topics: every contact's names, street, city, phone and e-mail, wherever it stands
in a record, bad records included (there by what looks like such a member), whatever else looks like an e-mail address,
and what a test wrote into STACK/marked (mark). Left out is what would be found anywhere: strings
of fewer than six bytes or of fewer than four different characters, those that serve as an id too, and those that the
stack's policy states (the controller's own address).

Searched, byte for byte and in each form that markers.py knows: the stack's directory with both clusters' data, dead rows
and write-ahead logs, Kafka's files, logs, what /metrics said last; each table's rows and each record of the topics, for
files may hold them compressed; core files, here and where the kernel puts them. Left out are the input topics. In a
recipient's disclosure topic may stand what some shipment named it as the carrier for, and in the mail house's the
e-mail addresses of who ever consented; nobody else's.
"""
import glob
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import unicodedata

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from markers import SHORTEST, checkpoint, forms  # noqa: E402
from stack import ROOT, SHOP_TOPICS, Failed, Stack  # noqa: E402

PERSONAL = ("first_name", "last_name", "street", "city", "phone", "email")
IDS = ("customer_id", "recipient_id", "merged_customer_id", "order_id", "shipment_id", "return_id", "request_id",
       "pickup_point", "carrier", "service", "id", "sku", "source")
DIFFERENT = 4  # characters, at least
LONGEST = 200  # characters of a string that are searched for
MARKED = "marked"  # in the stack's directory
# Files that hold what was put in because a test wrote it there: (suite, file below the stack's directory).
EXCEPTED = (("*", MARKED),)
LOOSE_MEMBER = re.compile(r'"(?:' + "|".join(PERSONAL) + r')"\s*:\s*"((?:[^"\\]|\\.)*)"')
LOOSE_EMAIL = re.compile(r"[^\s\"'<>{}\\,:;]+@[^\s\"'<>{}\\,:;]+\.[^\s\"'<>{}\\,:;]+")


# ---- what was put in -------------------------------------------------------------------------------------------------

class Strings:
    """The strings, and to which recipients each may have been told."""

    def __init__(self):
        self.all, self.ids = set(), set()
        self.told = {}      # {recipient: strings of consignees that shipments named it the carrier for}
        self.emails = {}    # {customer: e-mail addresses}
        self.consented = set()
        self.mail_houses = set()  # recipients to whom nothing is sent by parcel

    def add(self, text, *groups):
        text = re.sub("[\ud800-\udfff]", "\N{REPLACEMENT CHARACTER}", text)  # half a character is in no encoding
        for form in {text[:LONGEST], unicodedata.normalize("NFC", text)[:LONGEST]}:
            self.all.add(form)
            for group in groups:
                group.add(form)

    def walk(self, value, *groups):
        """Every member of a contact at any depth, and every e-mail address."""
        if isinstance(value, list):
            for item in value:
                self.walk(item, *groups)
        if not isinstance(value, dict):
            return
        for name, member in value.items():
            if "@" in name:
                self.add(name, *groups)
            if isinstance(member, str):
                if name in PERSONAL or "@" in member:
                    self.add(member, *groups)
                elif name in IDS:
                    self.ids.add(member)
            self.walk(member, *groups)

    def loose(self, text):
        """Of a record that is no JSON: what looks like it."""
        for found in LOOSE_MEMBER.findall(text):
            self.add(found)
        for found in LOOSE_EMAIL.findall(text):
            self.add(found)

    def take_marked(self, path):
        with open(path, encoding="utf-8") as file:
            for line in file:
                marked = json.loads(line)
                self.add(marked["text"], *(self.told.setdefault(one, set()) for one in marked["recipients"]))

    def take(self, message):
        headers = {name: value or b"" for name, value in message.headers() or []}
        self.ids.add(headers.get("ce_id", b"").decode("utf-8", "replace"))
        key = (message.key() or b"").decode("utf-8", "replace")
        if "@" in key:
            self.add(key)
        value = message.value() or b""
        value = value[5:] if value[:1] == b"\0" else value  # Confluent's prefix
        try:
            data = json.loads(value, strict=False)
        except (ValueError, RecursionError):
            self.loose(value.decode("utf-8", "replace"))
            return
        kind = headers.get("ce_type", b"").decode("utf-8", "replace")
        if isinstance(data, dict) and "specversion" in data:  # structured
            kind = data.get("type")
        self.walk(data)
        payload = data.get("data", data) if isinstance(data, dict) else {}
        if isinstance(payload, dict):
            self.note(str(kind), payload)

    def note(self, kind, data):
        """Who may have been told of it, now or later."""
        customer = data.get("customer_id")
        if kind.startswith(("shop.shipment.requested", "shop.shipment.changed")):
            self.walk(data.get("consignee"), self.told.setdefault(data.get("carrier"), set()))
        elif kind.startswith(("shop.customer.registered", "shop.customer.changed")):
            self.walk(data.get("contact"), self.emails.setdefault(customer, set()))
        elif kind.startswith("shop.consent.granted"):
            self.consented.add(customer)

    def may_know(self, recipient, text):
        if text in self.told.get(recipient, ()):
            return True
        return recipient in self.mail_houses and any(text in self.emails.get(one, ()) and "@" in text
                                                  for one in self.consented)

    def markers(self, policy):
        """Those that are found nowhere by chance, sorted."""
        return sorted(text for text in self.all if len(text.encode("utf-8", "replace")) >= SHORTEST
                      and len(set(text)) >= DIFFERENT and text not in self.ids and text not in policy)


def put_in(stack):
    strings = Strings()
    with open(os.path.join(stack.directory, "policy.json"), encoding="utf-8") as file:
        strings.mail_houses = {name for name, one in json.load(file)["recipients"].items() if "countries" not in one}
    names = [name for name in stack.topics() if name in SHOP_TOPICS or name.startswith("carrier.")]
    for message in stack.read_all(*names, isolation="read_uncommitted") if names else ():
        strings.take(message)
    marked = os.path.join(stack.directory, MARKED)
    if os.path.exists(marked):
        strings.take_marked(marked)
    return strings


def mark(directory, text, *recipients):
    """A personal string that comes into the stack by another way than the inputs, and who may be told of it."""
    with open(os.path.join(directory, MARKED), "a", encoding="utf-8") as file:
        file.write(json.dumps({"text": text, "recipients": recipients}) + "\n")


# ---- where it is searched for ----------------------------------------------------------------------------------------

def export_tables(cluster, connection, folder):
    """A file a table."""
    names = [row[0] for row in connection.execute(
        """SELECT c.oid::regclass::text FROM pg_class c WHERE c.relkind IN ('r', 'm')
           AND c.relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)""")]
    for name in names:
        with open(os.path.join(folder, f"table {cluster}.{name}"), "wb") as file, connection.cursor() as cursor, \
                cursor.copy(f"COPY {name} TO STDOUT") as copy:
            for row in copy:
                file.write(bytes(row))


def export_topics(stack, names, folder):
    """A file a topic: keys, headers and values of all records, aborted ones too."""
    files = {}
    try:
        for message in stack.read_all(*names, isolation="read_uncommitted") if names else ():
            file = files.get(message.topic())
            if not file:
                file = files[message.topic()] = open(os.path.join(folder, f"topic {message.topic()}"), "wb")
            parts = [message.key(), message.value()]
            for name, value in message.headers() or []:
                parts += [name.encode("utf-8", "surrogateescape"), value]
            file.write(b"\n".join(part or b"" for part in parts) + b"\n")
    finally:
        for file in files.values():
            file.close()


def input_folders(stack):
    """Kafka's folders of the inputs and of the disclosures, which are searched record by record; deleted topics' too."""
    topic = re.compile(r"((?:shop|privacy|carrier|disclosure)\..+)-\d+(?:\..*)?")
    return [path for path in glob.glob(os.path.join(stack.directory, "*kafka", "data", "*"))  # on a small disk, perhaps
            if topic.fullmatch(os.path.basename(path))]


def core_files(working):
    """Where a core of a crashed process would lie, besides the stack's directory."""
    with open("/proc/sys/kernel/core_pattern", encoding="utf-8") as file:
        pattern = file.read().strip()
    places = [os.path.join(working, "core"), os.path.join(working, "core.*")]
    if pattern.startswith("/"):
        places.append(re.sub("%.", "*", pattern))
    return [path for place in places for path in glob.glob(place) if os.path.isfile(path)]


def search(stack, needles, folder, paths, without=()):
    """[(number, path)]"""
    listed = os.path.join(folder, "needles")
    with open(listed, "w", encoding="ascii") as file:
        for number, needle in needles:
            file.write(f"{number} {needle.hex()}\n")
    arguments = [word for path in (*without, listed) for word in ("--without", path)]
    done = subprocess.run([os.path.join(stack.build, "tests", "marker_search"), listed, *arguments, *paths],
                          capture_output=True, check=False)
    if done.returncode:
        raise Failed(done.stderr.decode("utf-8", "replace"))
    found = [line.split(b"\t", 1) for line in done.stdout.splitlines()]
    return [(int(number), path.decode("utf-8", "replace")) for number, path in found]


def excepted(suite, path):
    return any(name in ("*", suite) and path == file for name, file in EXCEPTED)


def find(stack, suite, strings, markers, working):
    """[(marker, form, place)], of each marker in each place one; of those that lie in one another the longest."""
    needles, forms_of = [], []
    for marker in markers:
        for form, needle in forms(marker).items():
            needles.append((len(forms_of), needle))
            forms_of.append((marker, form))
    checkpoint(stack)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for cluster, connection in (("register", stack.register()), ("vault", stack.vault())):
            with connection:
                export_tables(cluster, connection, folder)
        export_topics(stack, [name for name in stack.topics() if name not in SHOP_TOPICS
                              and not name.startswith(("carrier.", "__"))], folder)
        for number, path in search(stack, needles, folder, [stack.directory, folder, *core_files(working)],
                                   input_folders(stack)):
            top = folder if path.startswith(folder) else os.path.dirname(stack.directory)
            marker, form = forms_of[number]
            if not excepted(suite, os.path.relpath(path, stack.directory)):
                found.setdefault(os.path.relpath(path, top), {}).setdefault(marker, form)
    return [(marker, at[marker], place) for place, at in sorted(found.items()) for marker in sorted(at)
            if not allowed(strings, marker, place) and not any(marker != one and marker in one for one in at)]


def allowed(strings, marker, place):
    disclosed = re.fullmatch(r"topic disclosure\.(.+)\.v1", place)
    return disclosed is not None and strings.may_know(disclosed[1], marker)


def revive(stack):
    """Servers that a test left stopped hold files as well, and what they say must be asked for."""
    subprocess.run([os.path.join(ROOT, "deploy", "stack"), "start", stack.directory], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)


def main():
    stack, suite, began = Stack(*sys.argv[1:3]), sys.argv[3], time.monotonic()
    try:
        revive(stack)
        strings = put_in(stack)
        with open(os.path.join(stack.directory, "policy.json"), encoding="utf-8") as file:
            markers = strings.markers(file.read())
        found = find(stack, suite, strings, markers, os.getcwd())
    except Exception as error:  # what cannot be searched is not clean
        print(f"not ok - markers: {suite}\n# {type(error).__name__}: {error}")
        return 1
    if not markers and not found:
        print(f"ok - markers: {suite} # SKIP nothing personal was put in")
        return 0
    left_out = len(strings.all) - len(markers)
    print(f"{'not ok' if found else 'ok'} - markers: {suite} ({len(markers)} string{'' if len(markers) == 1 else 's'}"
          f"{f', {left_out} too common' if left_out else ''}; {time.monotonic() - began:.1f} s)")
    for marker, form, place in found[:20]:
        print(f"# {marker!r} {form} in {place}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
