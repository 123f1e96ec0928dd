"""Shipments in the judge's model: whose they are, their parcels, what a recipient must hold, the dump's shipment lines."""
from facts import FIELDS, RANKS, cell, consignee_of, contact_of, role_of
from terms import show_time


class Shipment:
    def __init__(self):
        self.stated, self.cancels, self.statuses = [], [], []


class ShipmentLines:
    """What Model knows of shipments. A view is a shipment as the whole of the facts shows it."""

    @staticmethod
    def parcels(shipment, carrier, count):
        """Of each parcel (rank, -time) at its best, None where nothing is known."""
        best = [None] * count
        for fact in shipment.statuses:
            if fact.sender != carrier:
                continue
            value = (RANKS[fact.data["status"]], -fact.time)
            wanted = fact.data.get("parcel")
            for index in range(count):
                if wanted in (None, index + 1) and (best[index] is None or value > best[index]):
                    best[index] = value
        return best

    def shipment_view(self, key):
        shipment = self.shipments[key]
        view = {"key": key, "shipment": shipment, "stated": bool(shipment.stated)}
        view["cancelled"] = min((fact.time for fact in shipment.cancels), default=None)
        view["recorded"] = min(fact.time for fact in shipment.stated + shipment.cancels)
        if not shipment.stated:
            cancel = min(shipment.cancels, key=lambda fact: (fact.time, fact.data["order_id"].encode()))
            person = self.person(key[0])
            view.update(order=cancel.data["order_id"], person=person, generation=person.generation(cancel.time),
                        closed=True, delivered=None, waiting=False, erased=False)
            return view
        top = max(shipment.stated, key=lambda fact: fact.version())
        first = min(shipment.stated, key=lambda fact: fact.version())
        person = self.person(consignee_of(top))
        parcels = self.parcels(shipment, top.data["carrier"], top.data["parcels"])
        cut = person.delivery_cut(first.time)
        closes = view["cancelled"] if view["cancelled"] is not None else \
            max(-one[1] for one in parcels) if all(one and one[0] >= 7 for one in parcels) else None
        delivered = max(-one[1] for one in parcels) if all(one and one[0] == 9 for one in parcels) else None
        view.update(top=top, first=first, order=top.data["order_id"], person=person, closed=closes is not None,
                    closes=closes, delivered=delivered, generation=person.generation(first.time), cut=cut,
                    erased=cut is not None, waiting=cut is not None and closes is None)
        return view

    def shipment_line(self, view):
        top = view.get("top")
        data = top.data if top else {}
        line = {"line": "shipment", "customer": view["key"][0], "shipment": view["key"][1], "order": view["order"],
                "person": view["person"].name, "generation": show_time(view["generation"]),
                "direction": data.get("direction"), "country": self.country(data) if top else None,
                "return": data.get("return_id"), "carrier": data.get("carrier"), "service": data.get("service"),
                "role": role_of(data) if top else None, "parcels": data.get("parcels"),
                "version_time": show_time(top.time) if top else None,
                "cancelled": show_time(view["cancelled"]), "closed": view["closed"], "waiting": view["waiting"],
                "statuses": self.status_list(view["shipment"]), "delivery": None}
        if top and not (view["erased"] and view["closed"]):
            line["delivery"] = cell(self.delivery_until(view), self.delivery_content(top))
        return line

    def country(self, data):
        return data["consignee"].get("country") or self.policy["controller"]["country"]

    def delivery_content(self, fact):
        named = self.policy["categories"]["delivery"]["fields"]
        value = contact_of(fact.data["consignee"], [field for field in FIELDS if field in named])
        if fact.data.get("pickup_point") is not None and "pickup_point" in named:
            value["pickup_point"] = fact.data["pickup_point"]
        return value

    def told_fields(self, fact):
        """What the carrier of the fact may see of it: the policy's list, of it the fields with a value."""
        content = self.delivery_content(fact)
        service = self.policy["recipients"][fact.data["carrier"]]["services"][fact.data["service"]]
        return {field: content[field] for field in service if field in content}

    def delivery_until(self, view):
        delivered = view["delivered"] if view["top"].data["direction"] == "return" else \
            self.last_delivered(view["key"][0], view["order"])
        return self.terms.until("delivery", {"last_delivered": delivered, "recorded": view["recorded"]})

    @staticmethod
    def status_list(shipment):
        best = {}
        for fact in shipment.statuses:
            key = (fact.sender, fact.data.get("parcel"))
            value = (RANKS[fact.data["status"]], -fact.time)
            if key not in best or value > best[key][0]:
                best[key] = (value, fact)
        return [{"carrier": carrier, "parcel": parcel, "status": fact.data["status"], "time": show_time(fact.time)}
                for (carrier, parcel), (_, fact) in
                sorted(best.items(), key=lambda item: (item[0][0].encode(), item[0][1] or 0))]

    def held(self):
        """What each recipient must hold of shipments when all is quiet, after fold(): {(recipient, person, generation,
        shipment key, service, role): (fields, parcels)}. What is withdrawn only, anonymized or erased is not in it."""
        found = {}
        for view in self.views:
            if not view["stated"] or view["cancelled"] is not None or (view["erased"] and view["closed"]):
                continue
            data = view["top"].data
            found[data["carrier"], view["person"].name, view["generation"], view["key"], data["service"],
                  role_of(data)] = (self.told_fields(view["top"]), data["parcels"])
        return found
