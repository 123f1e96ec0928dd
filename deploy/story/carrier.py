"""A carrier stand-in: consumes what the register discloses to it, and answers with the refs that it was given.

  carrier.py NAME PROPERTIES-FILE

It knows only its own topic, as a real carrier would: each parcel disclosed goes on its way and most arrive; each notice
is acknowledged. Runs until SIGTERM.
"""
import datetime
import json
import signal
import subprocess
import sys
import uuid


def envelope(name, kind, data):
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return json.dumps({"specversion": "1.0", "id": str(uuid.uuid4()), "source": f"urn:carrier:{name}", "type": kind + ".v1",
                       "time": now, "datacontenttype": "application/json", "data": data})


def answers(name, kind, data):
    """(key, event) for each answer to one message."""
    if kind == "register.disclosure.shipment.v1":
        ref = data["shipment_ref"]
        yield ref, envelope(name, "carrier.delivery.status", {"shipment_ref": ref, "status": "in_transit"})
        if ref[0] not in "Aa0":  # some are still on their way
            for parcel in range(1, data["parcels"] + 1):
                yield ref, envelope(name, "carrier.delivery.status",
                                    {"shipment_ref": ref, "parcel": parcel, "status": "delivered"})
    elif "notice_ref" in data:
        outcome = "corrected" if kind == "register.disclosure.corrected.v1" else "erased"
        yield data["notice_ref"], envelope(name, "carrier.notice.acknowledged",
                                           {"notice_ref": data["notice_ref"], "outcome": outcome})


def main(name, properties):
    inbox = subprocess.Popen(["kcat", "-F", properties, "-q", "-u", "-J", "-o", "beginning", "-C", "-t", f"disclosure.{name}.v1",
                              "-X", "isolation.level=read_committed"], stdout=subprocess.PIPE)
    outbox = subprocess.Popen(["kcat", "-F", properties, "-P", "-t", f"carrier.{name}.v1", "-K", "\t",
                               "-H", "content-type=application/cloudevents+json", "-X", "linger.ms=5"], stdin=subprocess.PIPE)

    def stop(_number, _frame):
        inbox.terminate()

    signal.signal(signal.SIGTERM, stop)
    for line in inbox.stdout:
        message = json.loads(line)
        headers = dict(zip(message["headers"][::2], message["headers"][1::2]))
        for key, event in answers(name, headers["ce_type"], json.loads(message["payload"])):
            outbox.stdin.write(f"{key}\t{event}\n".encode())
        outbox.stdin.flush()
    outbox.stdin.close()
    outbox.wait()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
