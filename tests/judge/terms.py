"""Dates and terms as the contract has them (SEMANTICS.md, Dates): local dates, clamped months, kept through a date."""
import datetime
import re
import zoneinfo

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def parse_time(text):
    """Microseconds since 1970; a finer fraction is cut off."""
    found = re.fullmatch(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)", text)
    day, clock, fraction, offset = found.groups()
    moment = datetime.datetime.fromisoformat(f"{day}T{clock}{'+00:00' if offset in 'Zz' else offset}")
    delta = moment - EPOCH
    return (delta.days * 86400 + delta.seconds) * 1000000 + int(((fraction or "") + "000000")[:6])


def show_time(time_us):
    if time_us is None:
        return None
    return (EPOCH + datetime.timedelta(microseconds=time_us)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Terms:
    def __init__(self, policy):
        self.zone = zoneinfo.ZoneInfo(policy["timezone"])
        self.policy = policy

    def local_date(self, time_us):
        return (EPOCH + datetime.timedelta(microseconds=time_us)).astimezone(self.zone).date()

    @staticmethod
    def add(date, term):
        years, months, days = (int(part or 0) for part in
                               re.fullmatch(r"P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)D)?", term).groups())
        month = date.month - 1 + months + 12 * years
        year, month = date.year + month // 12, month % 12 + 1
        last = (datetime.date(year + month // 12, month % 12 + 1, 1) - datetime.timedelta(1)).day
        return datetime.date(year, month, min(date.day, last)) + datetime.timedelta(days)

    def financial_year_end(self, date):
        """31 December of the calendar year in which the financial year of the date ended."""
        years = self.policy["financial_years"]
        for one in years.get("exceptions", []):
            if one["first"] <= date.isoformat() <= one["last"]:
                return datetime.date(int(one["last"][:4]), 12, 31)
        month, day = (int(part) for part in years["default_end"].split("-"))
        ends_later = (date.month, date.day) > (month, day)
        return datetime.date(date.year + ends_later, 12, 31)

    def until(self, category, clocks):
        """clocks: name -> microseconds, or a date. None when no clock has started."""
        rule = self.policy["categories"].get(category)
        if rule is None:
            return None
        for each in (rule, rule.get("fallback")):
            start = clocks.get(each["clock"]) if each else None
            if start is None:
                continue
            date = start if isinstance(start, datetime.date) else self.local_date(start)
            if each["clock"] == "financial_year_calendar_end":
                date = self.financial_year_end(date)
            elif each["clock"] == "calendar_year_end":
                date = datetime.date(date.year, 12, 31)
            return self.add(date, each["term"])
        return None
