"""Orders in the judge's model: claim, voucher and cross-border record, the dump's order lines."""
from facts import FIELDS, cell, contact_of
from terms import show_time


class Order:
    def __init__(self):
        self.stated, self.placed, self.paid, self.cancels, self.named = [], [], [], [], []


class OrderLines:
    """What Model knows of orders."""

    def last_delivered(self, customer, order):
        views = [view for view in self.by_order[customer, order]
                 if view["stated"] and view["top"].data["direction"] == "outbound" and view["cancelled"] is None]
        times = [view["delivered"] for view in views]
        return None if not times or None in times else max(times)

    def order_line(self, key):
        order, terms = self.orders[key], self.terms
        person = self.person(key[0])
        top = max(order.stated, key=lambda fact: fact.version(), default=None)
        times = [fact.time for fact in order.stated]
        facts = times + [fact.time for fact in order.paid] + order.cancels
        generation = person.generation(min(times) if times else min(facts + order.named))
        delivered = self.last_delivered(*key)
        payments = {}
        for fact in order.paid:
            held = payments.get((fact.source, fact.id))
            if held is None or fact.version() > held.version():
                payments[fact.source, fact.id] = fact
        payments = sorted(payments.values(), key=lambda fact: fact.version())
        recorded = min(facts, default=None)
        cancelled = min(order.cancels, default=None)
        claim = voucher = oss = None
        if top:
            value = {"lines": top.data["lines"], "total": top.data["total"], "currency": top.data["currency"]}
            if top.data.get("buyer") is not None:
                value["buyer"] = contact_of(top.data["buyer"], FIELDS)
            clocks = {"last_delivered": delivered, "recorded": recorded,
                      "order_closed": cancelled if cancelled is not None else delivered}
            claim = cell(terms.until("claim", clocks), value)
        if payments:
            date = terms.local_date(payments[0].time)
            clocks = {"financial_year_calendar_end": date, "calendar_year_end": date,
                      "last_delivered": delivered, "recorded": recorded}
            value = {"order_id": key[1], "date": date.isoformat(), "payments": [
                {"source": fact.source, "id": fact.id, "time": show_time(fact.time), "amount": fact.data["amount"],
                 "currency": fact.data["currency"]} for fact in payments]}
            if top:
                value.update(lines=top.data["lines"], total=top.data["total"], currency=top.data["currency"])
            voucher = cell(terms.until("voucher", clocks), value)
            oss = self.oss(key, top, date, clocks)
        return {"line": "order", "customer": key[0], "generation": show_time(generation), "order": key[1],
                "known": top is not None, "guest": top.data["guest"] if top else None,
                "placed": show_time(min(order.placed, default=None)), "version_time": show_time(top.time) if top else None,
                "cancelled": show_time(cancelled),
                "payments": [{"source": fact.source, "id": fact.id, "time": show_time(fact.time)} for fact in payments],
                "last_delivered": show_time(delivered), "claim": claim, "voucher": voucher, "oss": oss}

    def oss(self, key, top, date, clocks):
        rule = self.policy["categories"].get("oss")
        views = [view for view in self.by_order[key]
                 if view["stated"] and view["top"].data["direction"] == "outbound"]
        if rule is None or not views:
            return None
        first = min(views, key=lambda view: (view["first"].version(), view["key"][1].encode()))
        country = self.country(first["top"].data)
        if country == rule["when"]["country_not"]:
            return None
        value = {"order_id": key[1], "date": date.isoformat(), "country": country}
        if top:
            value["total"] = top.data["total"]
        return cell(self.terms.until("oss", clocks), value)
