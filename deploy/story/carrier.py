"""A recipient's stand-in: consumes what the register discloses to it, and answers with the refs that it was given.

  carrier.py NAME PROPERTIES-FILE [--claim-of LAST-NAME]

It knows only its own topic, as a real carrier or mail house would. Each parcel disclosed goes on its way and arrives,
but those to a phone number that ends in 7. Each notice is acknowledged: what must be forgotten is erased, except what it
was told of the person of that last name, with whom a claim about a parcel is open. Runs until SIGTERM.
"""
import datetime
import json
import os
import signal
import subprocess
import sys
import uuid


def envelope(name, kind, data):
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return json.dumps({"specversion": "1.0", "id": str(uuid.uuid4()), "source": f"urn:carrier:{name}", "type": kind + ".v1",
                       "time": now, "datacontenttype": "application/json", "data": data})


class Recipient:
    def __init__(self, name, claim_of=None):
        self.name, self.claim_of = name, claim_of
        self.disputed = set()  # disclosure_refs of the person with whom a claim is open

    def status(self, ref, status, parcel=None):
        return ref, envelope(self.name, "carrier.delivery.status",
                             {"shipment_ref": ref, **({"parcel": parcel} if parcel else {}), "status": status})

    def acknowledgement(self, kind, data):
        answer = {"notice_ref": data["notice_ref"],
                  "outcome": "corrected" if kind == "register.disclosure.corrected.v1" else "erased"}
        if self.disputed.intersection(data.get("disclosures", [data.get("disclosure_ref")])):
            until = datetime.date.today() + datetime.timedelta(days=365)
            answer.update(outcome="retained", ground="claim about a damaged parcel", until=until.isoformat())
        return data["notice_ref"], envelope(self.name, "carrier.notice.acknowledged", answer)

    def answers(self, kind, data):
        """(key, event) for each answer to one message."""
        if "notice_ref" in data:
            yield self.acknowledgement(kind, data)
        elif kind == "register.disclosure.shipment.v1":
            if self.claim_of and data["fields"].get("last_name") == self.claim_of:
                self.disputed.add(data["disclosure_ref"])
            yield self.status(data["shipment_ref"], "in_transit")
            if not data["fields"].get("phone", "").endswith("7"):
                for parcel in range(1, data["parcels"] + 1):
                    yield self.status(data["shipment_ref"], "delivered", parcel)


def bursts(stream):
    """Messages as they come, those that came together together."""
    pending = b""
    while chunk := os.read(stream.fileno(), 1 << 20):
        *lines, pending = (pending + chunk).split(b"\n")
        yield [json.loads(line) for line in lines]


def main(name, properties, claim_of=None):
    inbox = subprocess.Popen(["kcat", "-F", properties, "-q", "-u", "-J", "-o", "beginning", "-C", "-t", f"disclosure.{name}.v1",
                              "-X", "isolation.level=read_committed"], stdout=subprocess.PIPE)

    def stop(_number, _frame):
        inbox.terminate()

    signal.signal(signal.SIGTERM, stop)
    recipient = Recipient(name, claim_of)
    for messages in bursts(inbox.stdout):
        answers = []
        for message in messages:
            headers = dict(zip(message["headers"][::2], message["headers"][1::2]))
            answers += [f"{key}\t{event}\n" for key, event in
                        recipient.answers(headers["ce_type"], json.loads(message["payload"]))]
        if answers:  # a kcat each: one that is kept holds back what does not fill its buffer
            subprocess.run(["kcat", "-F", properties, "-P", "-t", f"carrier.{name}.v1", "-K", "\t", "-H",
                            "content-type=application/cloudevents+json"], input="".join(answers).encode(), check=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[4] if sys.argv[3:4] == ["--claim-of"] else None)
