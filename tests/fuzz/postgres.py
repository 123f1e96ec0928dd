#!/usr/bin/env python3
"""Puts what the fuzz targets accepted before a private PostgreSQL: postgres.py FILE...

A file holds records of a kind ('j': JSON, 't': a text), a length of four bytes and so many bytes (common.c). PostgreSQL must
take each JSON as jsonb, and each text, JSON or not, as a text parameter: bound in binary as the program binds its own. What
only a number's size keeps out of jsonb is counted and no failure: no number of an event gets there but those in range.
"""
import hashlib
import os
import pwd
import shutil
import struct
import subprocess
import sys
import tempfile

import psycopg

POSTGRES = "/usr/lib/postgresql/15/bin"
PORTION = 2000
TEXT, TEXT_ARRAY = 25, 1009
QUERIES = {
    "j": b"SELECT count(d::jsonb) FROM unnest($1) AS u (d)",
    "t": b"SELECT count(length(d)) FROM unnest($1) AS u (d)",
}
OVERFLOW = "22003"


def records(path):
    with open(path, "rb") as file:
        data = file.read()
    at = 0
    while at + 5 <= len(data):
        kind, size = chr(data[at]), struct.unpack_from("<I", data, at + 1)[0]
        if at + 5 + size > len(data):
            break  # the target was ended in the middle of it
        yield kind, data[at + 5:at + 5 + size]
        at += 5 + size


def text_array(items):
    """PostgreSQL's binary form of text[], as core/db_params.c makes it."""
    parts = [struct.pack(">iiI", 1, 0, TEXT), struct.pack(">ii", len(items), 1)]
    for item in items:
        parts += [struct.pack(">i", len(item)), item]
    return b"".join(parts)


class Cluster:
    """A PostgreSQL of this run's own, reached by a socket in its folder."""

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="kundregister-postgres-")
        self.data = os.path.join(self.folder, "data")
        self.run_as = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
        if self.run_as:
            shutil.chown(self.folder, "postgres", pwd.getpwnam("postgres").pw_gid)
        self.run("initdb", "-D", self.data, "-U", "postgres", "--auth=trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
        options = f"-c listen_addresses= -c unix_socket_directories={self.folder} -c fsync=off -c log_min_messages=panic"
        self.run("pg_ctl", "-D", self.data, "-w", "-o", options, "-l", os.path.join(self.folder, "log"), "start")
        return psycopg.connect(host=self.folder, user="postgres", dbname="postgres", autocommit=True).pgconn

    def run(self, program, *arguments):
        subprocess.run([*self.run_as, os.path.join(POSTGRES, program), *arguments], check=True, cwd=self.folder,
                       stdout=subprocess.DEVNULL)

    def __exit__(self, *_):
        self.run("pg_ctl", "-D", self.data, "-w", "-m", "immediate", "stop")
        shutil.rmtree(self.folder, ignore_errors=True)


def refused(connection, kind, items):
    """Of these items those that PostgreSQL does not take, with its SQLSTATE: found by halving."""
    result = connection.exec_params(QUERIES[kind], [text_array(items)], [TEXT_ARRAY], [1])
    state = result.error_field(psycopg.pq.DiagnosticField.SQLSTATE)
    if not state:
        return []
    if len(items) == 1:
        return [(items[0], state.decode())]
    half = len(items) // 2
    return refused(connection, kind, items[:half]) + refused(connection, kind, items[half:])


def can_tell(connection):
    """The check sees what it is for."""
    wrong = {"j": [b'{"a":"\\u0000"}', b'"\\ud800"', b"{'a':1}", b'"\xff"'], "t": [b"a\0b", b"\xc0\xaf", b"\xed\xa0\x80"]}
    return all(len(refused(connection, kind, [b"1"] + items)) == len(items) for kind, items in wrong.items())


def main():
    items = {"j": {}, "t": {}}
    for path in sys.argv[1:]:
        for kind, item in records(path):
            items[kind][hashlib.sha256(item).digest()] = item
            if kind == "j":
                items["t"][hashlib.sha256(item).digest()] = item
    failed = 0
    with Cluster() as connection:
        print(("ok" if can_tell(connection) else "not ok") + " - fuzz: PostgreSQL refuses what it should")
        for kind, name in (("j", "JSON as jsonb"), ("t", "text as a parameter")):
            every, bad, large = list(items[kind].values()), [], 0
            for at in range(0, len(every), PORTION):
                bad += refused(connection, kind, every[at:at + PORTION])
            large = sum(state == OVERFLOW for _, state in bad)
            bad = [(item, state) for item, state in bad if state != OVERFLOW]
            fine = every and not bad
            print(f"{'ok' if fine else 'not ok'} - fuzz: PostgreSQL takes every accepted {name} ({len(every)} of them)")
            if large:
                print(f"# {large} hold a number too large for jsonb")
            for item, state in bad[:10]:
                print(f"# {state}: {item[:200]!r}")
            failed += not fine
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
