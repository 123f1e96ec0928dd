"""What shops and carriers may send, transcribed from events.json: the topic and fields of each type, the limits of each
field. A limit is a function (value, reasons): it adds the dead-letter reasons 17 to 20 that hold for the value. The judge's
own table; nothing of it comes from schema/ or the C.
"""
import datetime
import re

FIELD_MISSING, FIELD_TYPE, FIELD_RANGE, BAD_ID = 17, 18, 19, 20
COUNTRIES = set("""AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY
BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE
GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR
KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI
NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS
ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM
ZW""".split())
CURRENCIES = set("""AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF
CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR
ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR
MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE
SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VES VND VUV WST XAF XCD XOF XPF YER ZAR
ZMW""".split())


def is_integer(value):
    return isinstance(value, int) and not isinstance(value, bool)


def text(least, most, pattern=None, among=None):
    matching = re.compile(pattern) if pattern else None

    def limit(value, reasons):
        if not isinstance(value, str):
            reasons.add(FIELD_TYPE)
        elif not least <= len(value) <= most or (matching and not matching.fullmatch(value)) or \
                (among and value not in among):
            reasons.add(FIELD_RANGE)
    return limit


def id_of(most=64):
    shape = text(1, most, "[A-Za-z0-9._:-]+")

    def limit(value, reasons):
        shape(value, reasons)
        if value in ("0", "null", "guest"):
            reasons.add(BAD_ID)
    return limit


def customer(value, reasons):
    ID(value, reasons)
    if isinstance(value, str) and value.startswith("recipient:"):
        reasons.add(BAD_ID)


def one_of(*words):
    return text(1, 64, among=set(words))


def number(least, most):
    def limit(value, reasons):
        if not is_integer(value):
            reasons.add(FIELD_TYPE)
        elif not least <= value <= most:
            reasons.add(FIELD_RANGE)
    return limit


def flag(value, reasons):
    if not isinstance(value, bool):
        reasons.add(FIELD_TYPE)


def date(value, reasons):
    text(10, 10, r"\d{4}-\d\d-\d\d")(value, reasons)
    try:
        if isinstance(value, str) and FIELD_RANGE not in reasons:
            datetime.date.fromisoformat(value)
    except ValueError:
        reasons.add(FIELD_RANGE)


def email(value, reasons):
    text(3, 254, r"[^@\s\x00-\x1f\x7f]+@[^@\s\x00-\x1f\x7f]+")(value, reasons)


def fields(table, nulls=False, required=()):
    """An object. A name with "!" is required; null clears where nulls are allowed, but never what is required."""
    named = {name.rstrip("!"): limit for name, limit in table.items()}
    needed = {name[:-1] for name in table if name.endswith("!")} | set(required)

    def limit(value, reasons):
        if not isinstance(value, dict):
            reasons.add(FIELD_TYPE)
            return
        for name in needed:
            if name not in value or (nulls and value[name] is None):
                reasons.add(FIELD_MISSING)
        for name, each in named.items():
            if name in value and not (nulls and value[name] is None):
                each(value[name], reasons)
    limit.fields = named
    return limit


def array(most, of):
    def limit(value, reasons):
        if not isinstance(value, list):
            reasons.add(FIELD_TYPE)
            return
        if not 1 <= len(value) <= most:
            reasons.add(FIELD_RANGE)
        for one in value:
            of(one, reasons)
    limit.of = of
    return limit


def exactly_one(**table):
    """An object of which exactly one field is stated."""
    inner = fields(table)

    def limit(value, reasons):
        inner(value, reasons)
        if isinstance(value, dict) and sum(name in value for name in table) != 1:
            reasons.add(FIELD_TYPE)
    limit.fields = table
    return limit


ID, REF, NAME, STREET, POSTCODE = id_of(), text(43, 43, "[A-Za-z0-9_-]+"), text(1, 100), text(1, 200), text(1, 16)
COUNTRY, CURRENCY, PHONE = text(2, 2, among=COUNTRIES), text(3, 3, among=CURRENCIES), text(3, 16, r"\+[1-9][0-9]{1,14}")
MONEY, HASH, LANGUAGE = number(0, 10 ** 12), text(64, 64, "[0-9a-fA-F]+"), one_of("sv", "fi", "en")
CONTACT = {"first_name": NAME, "last_name": NAME, "street": STREET, "postcode": POSTCODE, "city": NAME, "country": COUNTRY,
           "phone": PHONE, "email": email}
NOTICE = fields({"id!": ID, "sha256!": HASH, "language!": LANGUAGE})
LINE = fields({"sku!": ID, "name": text(1, 200), "quantity!": number(1, 9999), "price!": MONEY, "product_class": ID})
ORDER = {"order_id!": id_of(58), "customer_id!": customer, "guest!": flag, "buyer": fields(CONTACT), "currency!": CURRENCY,
         "total!": MONEY, "lines!": array(500, LINE)}
SHIPMENT = {"shipment_id!": ID, "order_id!": ID, "customer_id!": customer, "recipient_id": ID, "consignee!": fields(CONTACT),
            "direction!": one_of("outbound", "return"), "return_id": ID, "carrier!": ID, "service!": ID,
            "pickup_point": ID, "parcels!": number(1, 99)}
AGAINST = {"customer_id": customer, "token": REF, "purpose": one_of("newsletter", "marketing"),
           "channel": one_of("email", "sms", "phone", "post"),
           "method!": one_of("unsubscribe_link", "one_click", "account_page", "customer_service")}
KINDS = ("access", "portability", "erasure", "rectification", "restriction", "restriction_lift", "objection")
SOME_ORDER, SOME_CUSTOMER = {"order_id!": ID, "customer_id!": customer}, {"customer_id!": customer}
SUBJECT = exactly_one(customer_id=customer, recipient_id=ID, email=email, phone=PHONE)

# type: (topic, "carrier" standing for any carrier's; its fields)
TYPES = {
    "shop.customer.registered": ("shop.customer.v1", {
        **SOME_CUSTOMER, "kind!": one_of("account", "subscriber"), "contact!": fields(CONTACT, nulls=True, required=["email"]),
        "notice!": NOTICE}),
    "shop.customer.changed": ("shop.customer.v1", {**SOME_CUSTOMER, "contact!": fields(CONTACT, nulls=True)}),
    "shop.customer.seen": ("shop.customer.v1", SOME_CUSTOMER),
    "shop.customer.closed": ("shop.customer.v1", SOME_CUSTOMER),
    "shop.customer.merged": ("shop.customer.v1", {**SOME_CUSTOMER, "merged_customer_id!": ID}),
    "shop.order.placed": ("shop.order.v1", ORDER),
    "shop.order.changed": ("shop.order.v1", ORDER),
    "shop.order.paid": ("shop.order.v1", {**SOME_ORDER, "amount!": MONEY, "currency!": CURRENCY}),
    "shop.order.cancelled": ("shop.order.v1", SOME_ORDER),
    "shop.shipment.requested": ("shop.shipment.v1", SHIPMENT),
    "shop.shipment.changed": ("shop.shipment.v1", SHIPMENT),
    "shop.shipment.cancelled": ("shop.shipment.v1", {"shipment_id!": ID, **SOME_ORDER}),
    "shop.return.requested": ("shop.return.v1", {
        "return_id!": ID, **SOME_ORDER, "reason!": one_of("withdrawal", "defect", "other"),
        "lines!": array(500, fields({"sku!": ID, "quantity!": number(1, 9999)}))}),
    "shop.return.received": ("shop.return.v1", {"return_id!": ID, **SOME_ORDER}),
    "shop.return.refunded": ("shop.return.v1", {"return_id!": ID, **SOME_ORDER, "amount!": MONEY, "currency!": CURRENCY}),
    "shop.consent.granted": ("shop.consent.v1", {
        **SOME_CUSTOMER, "purpose!": one_of("newsletter", "marketing"), "channel!": one_of("email", "sms", "phone", "post"),
        "basis!": one_of("consent", "soft_opt_in"), "order_id": ID, "confirmed": flag,
        "method!": one_of("registration_form", "account_page", "checkout", "customer_service"), "wording!": NOTICE}),
    "shop.consent.withdrawn": ("shop.consent.v1", AGAINST),
    "shop.consent.objected": ("shop.consent.v1", AGAINST),
    "privacy.request.received": ("privacy.request.v1", {
        "request_id!": ID, "kind!": one_of(*KINDS), "subject!": SUBJECT,
        "channel!": one_of("account", "email", "phone", "post", "visit"),
        "identity!": one_of("none", "account", "email_loop", "strong", "clerk"), "changes": fields(CONTACT), "purpose": ID}),
    "privacy.request.identified": ("privacy.request.v1", {
        "request_id!": ID, "identity!": one_of("account", "email_loop", "strong", "clerk")}),
    "carrier.delivery.status": ("carrier", {
        "shipment_ref!": REF, "parcel": number(1, 99),
        "status!": one_of("unknown", "pre_transit", "in_transit", "out_for_delivery", "available_for_pickup", "delivered",
                          "return_to_sender", "failure", "cancelled", "error"), "detail": ID}),
    "carrier.notice.acknowledged": ("carrier", {
        "notice_ref!": REF, "outcome!": one_of("erased", "corrected", "restricted", "unrestricted", "retained", "unknown_person"),
        "ground": text(1, 200), "until": date}),
}
TYPES = {name: (topic, fields(table)) for name, (topic, table) in TYPES.items()}
# type: [(field, the value that makes others required, those)]
CONDITIONS = {
    "shop.order.placed": [("guest", True, ["buyer"])], "shop.order.changed": [("guest", True, ["buyer"])],
    "shop.shipment.requested": [("direction", "return", ["return_id"])],
    "shop.shipment.changed": [("direction", "return", ["return_id"])],
    "shop.consent.granted": [("basis", "soft_opt_in", ["order_id"])],
    "privacy.request.received": [("kind", "rectification", ["changes"]), ("kind", "objection", ["purpose"])],
    "carrier.notice.acknowledged": [("outcome", "retained", ["ground", "until"])],
}
ONE_OF = {"shop.consent.withdrawn": ("customer_id", "token"), "shop.consent.objected": ("customer_id", "token")}
# type: the fields of which one must be the record's key
KEYS = {**{name: ("token", "customer_id") for name in TYPES if name.startswith("shop.")},
        **{name: ("request_id",) for name in TYPES if name.startswith("privacy.")},
        "carrier.delivery.status": ("shipment_ref",), "carrier.notice.acknowledged": ("notice_ref",)}
NOT_SUPPORTED = {"shop.customer.merged", "shop.return.requested", "shop.return.received", "shop.return.refunded"}


def known_part(value, limit):
    """The value without the fields that no table names."""
    if isinstance(value, dict) and hasattr(limit, "fields"):
        return {name: known_part(one, limit.fields[name]) for name, one in value.items() if name in limit.fields}
    if isinstance(value, list) and hasattr(limit, "of"):
        return [known_part(one, limit.of) for one in value]
    return value
