"""Requests and erasures in the judge's model: their lines in the dump, and what is told of them at last."""
from facts import FIRST, IDENTITIES
from terms import show_time


def subject_of(fact):
    """The person of a request, None of one that came with an e-mail address or phone number."""
    subject = fact.data["subject"]
    if "customer_id" in subject:
        return subject["customer_id"]
    return "recipient:" + subject["recipient_id"] if "recipient_id" in subject else None


class ErasureLines:
    """What Model knows of requests and tombstones."""

    def take_requests(self):
        for name, facts in self.requests.items():
            received = [fact for fact in facts if fact.what == "received"]
            known = any(fact.what == "identified" or fact.data["identity"] != "none" for fact in facts)
            tied = [person for request, person, _ in self.ties if request == name]
            for fact in received:
                subject = subject_of(fact)
                if subject is not None:
                    self.person(subject).named.append(fact.time)
                if known:
                    for person in [subject] if subject is not None else tied:
                        self.person(person).requested.add(fact.time)
                        self.person(person).named.append(fact.time)

    @staticmethod
    def deliveries(person, cut):
        """Views of what was first requested for him not later than the cut."""
        return [view for view in person.views if view["first"].time <= cut]

    def request_line(self, name, facts):
        received = [fact for fact in facts if fact.what == "received"]
        identified = min((fact.time for fact in facts if fact.what == "identified"), default=None)
        top = max(received, key=lambda fact: fact.version(), default=None)
        strongest = max((IDENTITIES.index(fact.data["identity"]) for fact in facts), default=0)
        line = {"line": "request", "request": name, "kind": None, "person": None, "case": None, "channel": None,
                "identity": IDENTITIES[strongest], "received": None, "identified": show_time(identified),
                "state": None, "due": None, "until": None}
        if not top:
            return line
        tied = [(person, time) for request, person, time in self.ties if request == name]
        subject = subject_of(top)
        line.update(kind=top.data["kind"], person=subject if subject or not tied else tied[-1][0],
                    case=True if subject is None else None, channel=top.data["channel"], received=show_time(top.time))
        if not strongest:
            line["state"] = "awaiting_identity"
            return line
        start = max(top.time, min(fact.time for fact in facts if fact.data["identity"] != "none"))
        line["due"] = self.terms.add(self.terms.local_date(start), self.policy["deadlines"]["request"]).isoformat()
        ends, open_still = [start], False
        for fact in received:
            subject = subject_of(fact)
            if subject is None:
                open_still |= not tied
            for person in [subject] if subject else [one for one, _ in tied]:
                views = self.deliveries(self.person(person), fact.time)
                open_still |= any(view["waiting"] for view in views)
                ends += [view["closes"] for view in views if view["closed"]]
        ends += [time for _, time in tied]
        line["state"] = "open" if open_still else "done"
        if not open_still:
            line["until"] = self.terms.until("request", {"request_closed": max(ends)}).isoformat()
        return line

    def possible_dues(self, name):
        """Every `due` that the request can have had while some of its facts were not known."""
        facts, terms = self.requests[name], self.terms
        received = [fact.time for fact in facts if fact.what == "received"]
        known = [fact.time for fact in facts if fact.data["identity"] != "none"]
        return {terms.add(terms.local_date(max(one, other)), self.policy["deadlines"]["request"]).isoformat()
                for one in received for other in known}

    def erased_at_once(self, person, cause):
        """The categories that a cut ends, in the policy's order."""
        categories = self.policy["categories"]
        found = [] if person.is_recipient else \
            [name for name, rule in categories.items() if rule["on_request"] == "erase" and name != "delivery"]
        return sorted(found + (["delivery"] if cause == "request" else []), key=list(categories).index)

    def tombstone_lines(self, person):
        before = FIRST
        for cut, cause in person.cuts:
            waits = cause == "request" and any(view["waiting"] for view in self.deliveries(person, cut))
            yield {"line": "tombstone", "subject": self.refs.subject(person.name), "person": person.name,
                   "generation": show_time(before), "cut": show_time(cut), "cause": cause,
                   "categories": self.erased_at_once(person, cause), "complete": not waits}
            before = cut

    # ---- what is told ----

    def erased_record(self, person):
        """The members of the last register.subject.erased: each category of each cut."""
        found = []
        for line in self.tombstone_lines(person):
            for category in line["categories"]:
                found.append({"generation": line["generation"], "category": category, "cut": line["cut"],
                              "cause": line["cause"], "complete": line["complete"] or category != "delivery"})
        return found

    def anonymized(self, person):
        """{generation: what the last register.customer.anonymized of its cut says, but for what is retained}"""
        found = {}
        for line in self.tombstone_lines(person):
            erased = [name for name in line["categories"] if name != "delivery" or line["complete"]]
            found[line["generation"]] = {
                "cause": line["cause"], "complete": line["complete"], "erased": sorted(erased),
                "waiting": [] if line["complete"] else [{"category": "delivery", "event": "parcels_closed"}]}
        return found

    def retained_dates(self, person):
        """{category: every date to which a cell may have been kept when a certificate was made, knowing some facts only}"""
        found = {"claim": set(), "voucher": set(), "oss": set(), "consent_proof": set()}
        parcels = [fact.time for key, shipment in self.shipments_of[person.name] for fact in shipment.statuses]
        for _, order in self.orders_of[person.name]:
            paid = [fact.time for fact in order.paid]
            recorded = [fact.time for fact in order.stated] + paid + order.cancels
            clocks = {"last_delivered": parcels, "order_closed": parcels + order.cancels, "recorded": recorded,
                      "financial_year_calendar_end": paid, "calendar_year_end": paid}
            for category in ("claim", "voucher", "oss"):
                rule = self.policy["categories"].get(category)
                for clock in (rule["clock"], rule.get("fallback", rule)["clock"]) if rule else ():
                    found[category] |= {self.terms.until(category, {clock: time}) for time in clocks[clock]}
        ends = [self.proof_end(person, fact, token) for fact, token in person.consents]
        ends += [fact.time for fact, _ in person.consents] + sorted(person.requested) + \
            [fact.time for fact in person.closed]
        found["consent_proof"] |= {self.terms.until("consent_proof", {"consent_ended": end}) for end in ends}
        notices = person.registered  # what he was told stands in consent_proof too, and ends with the profile
        found["consent_proof"] |= {self.terms.until("profile", {"last_activity": fact.time}) for fact in notices}
        return {name: {date.isoformat() for date in dates if date} for name, dates in found.items()}
