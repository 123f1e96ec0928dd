#!/usr/bin/env python3
"""Nasty 7: the reply to COMMIT is lost while the backend is still at it. consumer_commit_cut.py STACK BUILD

A proxy stands between the consumer and the register. It passes everything on but, on every second COMMIT, cuts the
connection as soon as the COMMIT is through; a deferred trigger keeps the backend busy in it for a while. The consumer
cannot know whether it committed: only a new claim settles it. In the end each event counts once.
"""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from proxy import Commits, Proxy, conninfo_through  # noqa: E402
from stack import Report, Stack, now  # noqa: E402

SHIPMENTS = 60
SLOW_COMMIT = """
    CREATE FUNCTION planted_wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.4); RETURN NULL; END $$;
    GRANT EXECUTE ON FUNCTION planted_wait() TO kr_consumer;
    CREATE CONSTRAINT TRIGGER planted AFTER INSERT ON shipment DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW WHEN (NEW.shipment_id LIKE '%0') EXECUTE FUNCTION planted_wait();"""


def shipments(first):
    contact = {"first_name": "Åsa-Lovisa", "last_name": "Öhman", "phone": "+358401234567", "street": "Katu 1", "postcode": "33100",
               "city": "Tampere"}
    for number in range(first, first + 10):
        yield {"topic": "shop.shipment.v1", "type": "shop.shipment.requested.v1", "key": f"cut{number}", "time": now(-5),
               "data": {"shipment_id": f"cut-s{number}", "order_id": f"cut-o{number}", "customer_id": f"cut{number}",
                        "consignee": contact, "direction": "outbound", "carrier": "posti", "service": "2104", "parcels": 1}}


def register_port(stack):
    return int(re.search(r"port=(\d+)", stack.env["REGISTER_CONNINFO"])[1])


def each_counts_once(stack):
    proxy, commits = Proxy(register_port(stack)), Commits()
    proxy.cut_behind(commits)
    stack.sql(SLOW_COMMIT)
    through = {"KUNDREGISTER_REGISTER_CONSUMER": conninfo_through(stack, "register", "consumer", proxy)}
    consumer = stack.consumer(env=through)
    stack.ready("CONSUMER", 60)
    for first in range(0, SHIPMENTS, 10):
        for event in shipments(first):
            stack.send(event)
        stack.wait_consumed(60)
    assert consumer.stop() == 0, consumer.said()[-600:]
    assert commits.cuts >= 3, f"only {commits.cuts} of {commits.seen} COMMITs were cut"
    counts = stack.sql("""SELECT (SELECT count(*) FROM shipment WHERE customer_id LIKE 'cut%'),
        (SELECT count(*) FROM outbox WHERE person LIKE 'cut%'), (SELECT count(*) FROM ledger WHERE subject LIKE 'cut%'),
        (SELECT count(DISTINCT output_id) FROM ledger WHERE subject LIKE 'cut%'),
        (SELECT sum(revision) FROM person WHERE person LIKE 'cut%'), (SELECT count(*) FROM dead_letter)""")[0]
    assert tuple(map(int, counts)) == (SHIPMENTS, SHIPMENTS, SHIPMENTS, SHIPMENTS, SHIPMENTS, 0), counts
    print(f"# {commits.cuts} of {commits.seen} COMMITs were cut")


def main():
    stack, report = Stack(sys.argv[1], sys.argv[2]), Report()
    try:
        report.case("nasty 7: COMMIT's reply is cut while the backend is at it: each event once", each_counts_once, stack)
    finally:
        stack.stop_all()
    return report.exit_code()


if __name__ == "__main__":
    sys.exit(main())
