#!/usr/bin/env python3
"""Nasty 7: the reply to COMMIT is lost while the backend is still at it. consumer_commit_cut.py STACK BUILD

A proxy stands between the consumer and the register. It passes everything on but, on every second COMMIT, cuts the
connection as soon as the COMMIT is through; a deferred trigger keeps the backend busy in it for a while. The consumer
cannot know whether it committed: only a new claim settles it. In the end each event counts once.
"""
import os
import re
import socket
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from stack import Report, Stack, now  # noqa: E402

SHIPMENTS = 60
SLOW_COMMIT = """
    CREATE FUNCTION planted_wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.4); RETURN NULL; END $$;
    GRANT EXECUTE ON FUNCTION planted_wait() TO kr_consumer;
    CREATE CONSTRAINT TRIGGER planted AFTER INSERT ON shipment DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW WHEN (NEW.shipment_id LIKE '%0') EXECUTE FUNCTION planted_wait();"""


class Proxy:
    """Cuts the connection behind every second COMMIT of a transaction."""

    def __init__(self, port):
        self.target, self.commits, self.cuts = port, 0, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            server = socket.create_connection(("127.0.0.1", self.target))
            threading.Thread(target=self.pump, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self.pump, args=(server, client, False), daemon=True).start()

    def pump(self, source, sink, from_client):
        prepared = set()
        try:
            while data := source.recv(65536):
                sink.sendall(data)
                if from_client and self.is_commit(data, prepared):
                    self.commits += 1
                    if self.commits % 2:
                        self.cuts += 1
                        break
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    @staticmethod
    def is_commit(data, prepared):
        """A COMMIT is sent alone: its text when it is prepared, its statement's name afterwards."""
        found = re.search(rb"P[\x00-\xff]{4}([^\x00]*)\x00COMMIT\s*\x00", data)
        if found:
            prepared.add(found[1])
        return any(b"B" in data and b"\x00" + name + b"\x00" in data for name in prepared)


def shipments(first):
    contact = {"first_name": "Åsa-Lovisa", "last_name": "Öhman", "phone": "+358401234567", "street": "Katu 1", "postcode": "33100",
               "city": "Tampere"}
    for number in range(first, first + 10):
        yield {"topic": "shop.shipment.v1", "type": "shop.shipment.requested.v1", "key": f"cut{number}", "time": now(-5),
               "data": {"shipment_id": f"cut-s{number}", "order_id": f"cut-o{number}", "customer_id": f"cut{number}",
                        "consignee": contact, "direction": "outbound", "carrier": "posti", "service": "2104", "parcels": 1}}


def each_counts_once(stack):
    conninfo = None
    with open(os.path.join(stack.directory, "kundregister.ini"), encoding="utf-8") as file:
        section = ""
        for line in file:
            section = line.strip() if line.startswith("[") else section
            if section == "[register]" and line.split("=")[0].strip() == "consumer":
                conninfo = line.split("=", 1)[1].strip()
    proxy = Proxy(int(re.search(r"port=(\d+)", conninfo)[1]))
    stack.sql(SLOW_COMMIT)
    with open(re.search(r"passfile=(\S+)", conninfo)[1], encoding="utf-8") as file:  # it names the register's own port
        password = next(line.strip().split(":")[4] for line in file if f":{proxy.target}:" in line)
    through = {"KUNDREGISTER_REGISTER_CONSUMER":
               re.sub(r"passfile=\S+", f"password={password}", re.sub(r"port=\d+", f"port={proxy.port}", conninfo))}
    consumer = stack.consumer(env=through)
    stack.ready("CONSUMER", 60)
    for first in range(0, SHIPMENTS, 10):
        for event in shipments(first):
            stack.send(event)
        stack.wait_consumed(60)
    assert consumer.stop() == 0, consumer.said()[-600:]
    assert proxy.cuts >= 3, f"only {proxy.cuts} of {proxy.commits} COMMITs were cut"
    counts = stack.sql("""SELECT (SELECT count(*) FROM shipment WHERE customer_id LIKE 'cut%'),
        (SELECT count(*) FROM outbox WHERE person LIKE 'cut%'), (SELECT count(*) FROM ledger WHERE subject LIKE 'cut%'),
        (SELECT count(DISTINCT output_id) FROM ledger WHERE subject LIKE 'cut%'),
        (SELECT sum(revision) FROM person WHERE person LIKE 'cut%'), (SELECT count(*) FROM dead_letter)""")[0]
    assert tuple(map(int, counts)) == (SHIPMENTS, SHIPMENTS, SHIPMENTS, SHIPMENTS, SHIPMENTS, 0), counts
    print(f"# {proxy.cuts} of {proxy.commits} COMMITs were cut")


def main():
    stack, report = Stack(sys.argv[1], sys.argv[2]), Report()
    try:
        report.case("nasty 7: COMMIT's reply is cut while the backend is at it: each event once", each_counts_once, stack)
    finally:
        stack.stop_all()
    return report.exit_code()


if __name__ == "__main__":
    sys.exit(main())
