"""The last chapter: names, streets and addresses are searched where they must not be, and where they must.

A search that finds nothing proves nothing unless it is known to find what is there: each place is searched for
something too that must be in it.
"""
import os
import secrets
import subprocess

import shop as sample
from means import INPUTS, RECIPIENTS, REGISTER, must, say, table

PSQL = "/usr/lib/postgresql/15/bin/psql"
LIVING = [sample.HEROINE, sample.HELKA, sample.OIVA]


def words_of(persons):
    return [word.encode() for one in persons for word in sample.words_of(one)]


def sql(means, cluster, text):
    subprocess.run([PSQL, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", text, means.env[cluster.upper() + "_CONNINFO"]],
                   check=True, capture_output=True)


class Place:
    """Somewhere to search: found[word] once a word was met."""

    def __init__(self, name, words, marker):
        self.name, self.words, self.marker = name, words, marker.encode()
        self.bytes, self.found, self.works = 0, [], False

    def look(self, content):
        self.bytes += len(content)
        self.found += [word.decode() for word in self.words if word in content]
        self.works = self.works or self.marker in content

    def look_through(self, folder, only="", but=None):
        for where, folders, files in os.walk(folder):
            folders[:] = [name for name in folders if name != but]
            for name in files:
                if not name.startswith(only):
                    continue
                try:
                    with open(os.path.join(where, name), "rb") as file:
                        self.look(file.read())
                except FileNotFoundError:
                    pass  # PostgreSQL removed it meanwhile
        return self


def places(means):
    """Each cluster's write-ahead log as it was all along, then, once all is on disk, all its files; logs; topics."""
    nobody = words_of(sample.FORGOTTEN + LIVING)
    marker = "search-" + secrets.token_hex(8)
    for cluster in ("register", "vault"):
        sql(means, cluster, f"SELECT pg_logical_emit_message(true, 'demo', '{marker}')")
        sql(means, cluster, f"DO $$ BEGIN RAISE LOG '{marker}'; END $$")
        yield Place(f"{cluster}: write-ahead log", nobody, marker).look_through(os.path.join(means.stack, cluster, "pg_wal"))
        sql(means, cluster, "CHECKPOINT")
        yield Place(f"{cluster}: data", nobody, sample.KERTTU["id"]).look_through(os.path.join(means.stack, cluster),
                                                                                  but="pg_wal")
        yield Place(f"{cluster}: its log", nobody, marker).look_through(os.path.join(means.stack, "log"), cluster)
    for program, says in (("kundregister-consumer", "program"), ("kundregister-producer", "program"), ("kafka", "metadata")):
        yield Place(f"{program}: log", nobody, says).look_through(os.path.join(means.stack, "log"), program)
    for topic in REGISTER:
        place = Place(topic, nobody, "register.")
        place.look(means.raw(topic))
        yield place


def search(means):
    say("12. A search for the names, streets, e-mail addresses and phone numbers of the forgotten, and of three who are not:")
    searched = list(places(means))
    table(["place", "kB", "found", "finds what is there"],
          [(place.name, place.bytes // 1000, len(place.found), "yes" if place.works else "NO") for place in searched])
    for place in searched:
        must(not place.found, f"{place.name} holds {place.found[:3]}")
        must(place.works, f"the search does not find what is in {place.name}")
    sent = Place("inputs and disclosures", words_of(sample.FORGOTTEN), "carrier.delivery.status")
    for topic in [*INPUTS, *(f"disclosure.{name}.v1" for name in RECIPIENTS)]:
        sent.look(means.raw(topic))
    must(set(sent.found) == {word.decode() for word in sent.words}, "the search does not find what was sent")
    say(f"   The same words do stand, {len(sent.found)} times, in the input topics and the recipients' own, until their")
    say("   retention ends; the certificate says when that is.")
    opened = Place("the register, opened", words_of(sample.FORGOTTEN), sample.HEROINE["last_name"])
    opened.look(means.cli("dump", "--open", "--reason", "demo: who is still there").encode())
    must(not opened.found and opened.works, f"the register, opened, holds {opened.found[:3]}")
    say("   The register opened with every key it has names the living and none of the forgotten.\n")
