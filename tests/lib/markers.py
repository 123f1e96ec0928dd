"""Searches everything that a stack has for strings that must not be there: byte for byte, in each form in which
software is likely to leave a string behind.

Looked through: every file of the stack, both clusters' data directories with their write-ahead logs, Kafka's logs, the
programs' and servers' own logs; then, because files may hold them compressed, each table of both clusters and each record
of the topics; what the daemons tell on /metrics; and what the command line prints without --open. Left out are only the
topics where the strings belong: the inputs, and disclosures to recipients.
"""
import base64
import json
import os
import stat
import subprocess

from stack import Failed, SHOP_TOPICS

CHUNK = 8 << 20
SHORTEST = 6  # bytes: what is shorter stands anywhere by chance


def forms(word):
    """{name: bytes} of a string, or of bytes (a key)."""
    plain = word.encode() if isinstance(word, str) else word
    found = {"as it is": plain, "in hexadecimal": plain.hex().encode(), "in HEXADECIMAL": plain.hex().upper().encode()}
    if isinstance(word, str):
        found["in UTF-16LE"], found["in UTF-16BE"] = word.encode("utf-16-le"), word.encode("utf-16-be")
        found["escaped in JSON"] = json.dumps(word)[1:-1].encode()
    for shift in range(3):  # where in a group of three bytes it begins; only characters that are its own
        whole = base64.b64encode(bytes(shift) + plain + bytes(3))
        own = whole[(0, 2, 3)[shift]:(shift + len(plain)) * 8 // 6]
        found[f"in base64 ({shift})"] = own
        found[f"in base64url ({shift})"] = own.replace(b"+", b"-").replace(b"/", b"_")
    return found


class Search:
    def __init__(self, words):
        self.names, self.found = {}, {}
        for number, word in enumerate(words):
            if len(word.encode() if isinstance(word, str) else word) < SHORTEST:
                raise Failed("a marker is too short to be told from chance")
            for form, needle in forms(word).items():
                self.names.setdefault(needle, f"marker {number + 1} {form}")
        self.overlap = max(map(len, self.names)) - 1

    def bytes(self, place, data):
        """One search a needle: each runs at gigabytes a second, a regular expression of them all at a tenth."""
        for needle, name in self.names.items():
            if needle in data:
                self.found.setdefault(place, set()).add(name)

    def text(self, place, text):
        self.bytes(place, text.encode("utf-8", "surrogateescape"))

    def file(self, place, path):
        """Read, not mapped: servers truncate files under us. Holes are skipped."""
        with open(path, "rb", buffering=0) as file:
            at, size = 0, os.fstat(file.fileno()).st_size
            while at < size:
                try:
                    at = os.lseek(file.fileno(), at, os.SEEK_DATA)
                except OSError:  # nothing but a hole is left
                    return
                end = os.lseek(file.fileno(), at, os.SEEK_HOLE)
                kept = b""
                while at < end:
                    data = os.pread(file.fileno(), min(CHUNK, end - at), at)
                    if not data:
                        return
                    at += len(data)
                    if data.count(0) != len(data):
                        self.bytes(place, kept + data)
                    kept = data[-self.overlap:]

    def directory(self, top, without=()):
        for folder, folders, files in os.walk(top):
            folders[:] = [name for name in folders if os.path.join(folder, name) not in without]
            for name in files:
                path = os.path.join(folder, name)
                try:
                    if stat.S_ISREG(os.lstat(path).st_mode):
                        self.file(os.path.relpath(path, os.path.dirname(top)), path)
                except FileNotFoundError:  # servers recycle theirs
                    pass

    def tables(self, cluster, connection):
        names = [row[0] for row in connection.execute(
            """SELECT c.oid::regclass::text FROM pg_class c WHERE c.relkind IN ('r', 'm')
               AND c.relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)""")]
        for name in names:
            with connection.cursor() as cursor, cursor.copy(f"COPY {name} TO STDOUT") as copy:
                for row in copy:
                    self.bytes(f"table {cluster}.{name}", bytes(row))

    def topics(self, stack, names):
        for message in stack.read_all(*names, isolation="read_uncommitted"):
            place = f"topic {message.topic()}"
            self.bytes(place, message.key() or b"")
            self.bytes(place, message.value() or b"")
            for name, value in message.headers() or []:
                self.text(place, name)
                self.bytes(place, value or b"")


def belongs(topic):
    return topic in SHOP_TOPICS or topic.startswith(("carrier.", "disclosure."))


def checkpoint(stack):
    """All that is in the servers' memory goes to their files."""
    for connection in (stack.register(), stack.vault()):
        with connection:
            connection.execute("CHECKPOINT")


def find(stack, words):
    """{place: what was found there}; empty when nothing was."""
    search = Search(words)
    checkpoint(stack)
    topics = stack.topics()
    data = os.path.join(stack.directory, "kafka", "data")
    theirs = {os.path.join(data, f"{topic}-{number}") for topic in topics if belongs(topic)
              for number in range(topics[topic])}
    search.directory(stack.directory, theirs)
    for cluster, connection in (("register", stack.register()), ("vault", stack.vault())):
        with connection:
            search.tables(cluster, connection)
    search.topics(stack, [topic for topic in topics if not belongs(topic) and not topic.startswith("__")])
    for which in ("CONSUMER", "PRODUCER"):
        for path in ("/metrics", "/readyz"):
            try:
                search.text(f"{which} {path}", stack.http(which, path)[1])
            except OSError:  # it does not run
                pass
    for command in (("dump",), ("dump", "--notices"), ("status",), ("dead-letter", "list"), ("audit",),
                    ("consumer", "position", "list"), ("request", "list")):
        for how in ((), ("--json",) if command[0] != "dump" else ()):
            done = stack.cli(*command, *how, check=False)
            search.text("kundregister " + " ".join(command), done.stdout + done.stderr)
    return search.found


def expect_nowhere(stack, words):
    found = find(stack, words)
    if found:
        raise Failed("found: " + "; ".join(f"{', '.join(sorted(what))} in {place}"
                                           for place, what in sorted(found.items())))


# ---- keys ------------------------------------------------------------------------------------------------------------

def keys(stack, persons=None):
    """{(person, generation, cells or transit, category, period, serial): key} of the rings that the vault has now."""
    with stack.vault() as vault:
        vault_id = vault.execute("SELECT value FROM setting WHERE name = 'vault_id'").fetchone()[0]
        rows = vault.execute("""SELECT person, generation, encode(key_id, 'hex'), encode(blob, 'hex'),
                                       encode(transit, 'hex') FROM ring
                                WHERE %(persons)s::text[] IS NULL OR person = ANY(%(persons)s)""",
                             {"persons": persons}).fetchall()
    done = subprocess.run([os.path.join(stack.build, "tests", "ring"), os.path.join(stack.directory, "secrets", "kek"),
                           vault_id], input="".join(" ".join(map(str, row)) + "\n" for row in rows),
                          capture_output=True, text=True, check=True)
    found = {}
    for line in done.stdout.splitlines():
        person, generation, kind, category, period, serial, key = line.split(" ")
        found[person, int(generation), kind, int(category), int(period), int(serial)] = bytes.fromhex(key)
    return found


def expect_no_key_in_register(stack, secrets):
    """Key bytes, or whatever else of the vault is given, stand nowhere in the register's cluster."""
    search = Search(secrets)
    checkpoint(stack)
    search.directory(os.path.join(stack.directory, "register"))
    with stack.register() as connection:
        search.tables("register", connection)
    if search.found:
        raise Failed("found in the register's cluster: " + ", ".join(sorted(search.found)))
