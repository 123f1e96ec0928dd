/* The decode stage over data: every reason 17 to 26, which of two wins, and what a good record becomes. */
#include "tests/unit/decode_sample.h"

#define HASH "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF"
#define TEXT_VERSION "{\"id\":\"n1\",\"sha256\":\"" HASH "\",\"language\":\"sv\"}"
#define REGISTERED(contact)                                                                                  \
    "{\"customer_id\":\"C1\",\"kind\":\"account\",\"contact\":" contact ",\"notice\":" TEXT_VERSION "}"
#define LINES "[{\"sku\":\"s\",\"quantity\":1,\"price\":100}]"
#define PLACED(ids, rest) "{" ids ",\"currency\":\"EUR\",\"total\":100,\"lines\":" LINES rest "}"
#define SHIPMENT(consignee, direction, carrier, service, rest)                                               \
    "{\"shipment_id\":\"S1\",\"order_id\":\"O1\",\"customer_id\":\"C1\",\"consignee\":" consignee            \
    ",\"direction\":\"" direction "\",\"carrier\":\"" carrier "\",\"service\":\"" service                    \
    "\",\"parcels\":3" rest "}"
#define STATUS(rest) "{\"shipment_ref\":\"" REF "\",\"status\":\"delivered\"" rest "}"

/* ---- 17 to 26: data ---- */

static const struct data_case {
    const char *topic, *type, *key, *data;
    enum reason reason;
} data_cases[] = {
#define CUSTOMER(type, data, reason)                                                                         \
    { "shop.customer.v1", "shop.customer." type ".v1", "C1", data, reason }
    CUSTOMER("registered", REGISTERED("{\"email\":\"kundtj\xc3\xa4nst@jerone.fi\"}"), REASON_NONE),
    CUSTOMER("registered", REGISTERED("{\"email\":\"a@b\",\"city\":null}"), REASON_NONE),
    CUSTOMER("registered", REGISTERED("{}"), REASON_FIELD_MISSING),
    CUSTOMER("registered", REGISTERED("{\"email\":null}"), REASON_FIELD_MISSING),
    CUSTOMER("registered", REGISTERED("{\"email\":7}"), REASON_FIELD_TYPE),
    CUSTOMER("registered", REGISTERED("null"), REASON_FIELD_TYPE),
    CUSTOMER("registered", REGISTERED("{\"email\":\"a\"}"), REASON_FIELD_RANGE),
    CUSTOMER("registered", REGISTERED("{\"email\":\"a@b\",\"country\":\"fi\"}"), REASON_FIELD_RANGE),
    CUSTOMER("registered", REGISTERED("{\"email\":\"a@b\",\"phone\":\"0401234567\"}"), REASON_FIELD_RANGE),
    CUSTOMER("registered", REGISTERED("{\"email\":\"a@b\",\"city\":\"\"}"), REASON_FIELD_RANGE),
    /* the lowest wins: missing, then type, then range, then a bad id */
    CUSTOMER("registered", "{\"customer_id\":\"0\",\"kind\":\"\",\"contact\":1}", REASON_FIELD_MISSING),
    CUSTOMER("registered", "{\"customer_id\":\"0\",\"kind\":\"\",\"contact\":1,\"notice\":{}}",
             REASON_FIELD_MISSING),
    CUSTOMER("registered",
             "{\"customer_id\":\"0\",\"kind\":\"\",\"contact\":{\"email\":1},\"notice\":" TEXT_VERSION "}",
             REASON_FIELD_TYPE),
    CUSTOMER("registered",
             "{\"customer_id\":\"0\",\"kind\":\"\",\"contact\":{\"email\":\"a@b\"},\"notice\":" TEXT_VERSION
             "}",
             REASON_FIELD_RANGE),
    CUSTOMER("changed", "{\"customer_id\":\"C1\",\"contact\":{\"email\":null}}", REASON_NONE),
    CUSTOMER("changed", "{\"customer_id\":\"C1\",\"contact\":{}}", REASON_NONE),
    CUSTOMER("changed", "{\"customer_id\":null,\"contact\":{}}", REASON_FIELD_TYPE),
    CUSTOMER("seen", "{\"customer_id\":\"0\"}", REASON_BAD_ID),
    CUSTOMER("seen", "{\"customer_id\":\"null\"}", REASON_BAD_ID),
    CUSTOMER("seen", "{\"customer_id\":\"guest\"}", REASON_BAD_ID),
    CUSTOMER("seen", "{\"customer_id\":\"recipient:C1\"}", REASON_BAD_ID),
    CUSTOMER("seen", "{\"customer_id\":\"C1\\n\"}", REASON_FIELD_RANGE),
    CUSTOMER("seen", "{\"customer_id\":\"C2\"}", REASON_KEY_MISMATCH),
    CUSTOMER("closed", SEEN, REASON_NONE),
    CUSTOMER("merged", "{\"customer_id\":\"C1\",\"merged_customer_id\":\"C2\"}", REASON_NOT_SUPPORTED),
    {"shop.customer.v1", "shop.customer.seen.v1", NULL, SEEN, REASON_KEY_MISMATCH},
    {"shop.customer.v1", "shop.customer.seen.v1", "", SEEN, REASON_KEY_MISMATCH},
    {"shop.customer.v1", "shop.customer.seen.v1", "guest:O1", "{\"customer_id\":\"guest:O1\"}", REASON_NONE},
    {"shop.customer.v1", "shop.customer.registered.v1", "guest:O1",
     "{\"customer_id\":\"guest:O1\",\"kind\":\"account\",\"contact\":{\"email\":\"a@b\"},"
     "\"notice\":" TEXT_VERSION "}",
     REASON_GUEST_MISMATCH},
#define ORDER(type, key, data, reason)                                                                       \
    { "shop.order.v1", "shop.order." type ".v1", key, data, reason }
    ORDER("placed", "C1", PLACED("\"order_id\":\"O1\",\"customer_id\":\"C1\",\"guest\":false", ""),
          REASON_NONE),
    ORDER("changed", "C1", PLACED("\"order_id\":\"O1\",\"customer_id\":\"C1\",\"guest\":false", ""),
          REASON_NONE),
    ORDER("placed", "guest:O1",
          PLACED("\"order_id\":\"O1\",\"customer_id\":\"guest:O1\",\"guest\":true", ",\"buyer\":{}"),
          REASON_NONE),
    ORDER("placed", "guest:O1", PLACED("\"order_id\":\"O1\",\"customer_id\":\"guest:O1\",\"guest\":true", ""),
          REASON_FIELD_MISSING),
    ORDER("placed", "C1",
          PLACED("\"order_id\":\"O1\",\"customer_id\":\"C1\",\"guest\":true", ",\"buyer\":{}"),
          REASON_GUEST_MISMATCH),
    ORDER("placed", "guest:O1",
          PLACED("\"order_id\":\"O1\",\"customer_id\":\"guest:O1\",\"guest\":false", ""),
          REASON_GUEST_MISMATCH),
    ORDER("placed", "guest:O2",
          PLACED("\"order_id\":\"O1\",\"customer_id\":\"guest:O2\",\"guest\":true", ",\"buyer\":{}"),
          REASON_GUEST_MISMATCH),
    ORDER("placed", "C1",
          PLACED("\"order_id\":\"O1\",\"customer_id\":\"C1\",\"guest\":false", ",\"buyer\":{\"city\":null}"),
          REASON_FIELD_TYPE),
    ORDER("placed", "C1",
          PLACED("\"order_id\":\"12345678901234567890123456789012345678901234567890123456789\","
                 "\"customer_id\":\"C1\",\"guest\":false",
                 ""),
          REASON_FIELD_RANGE),
#define PAID(amount, currency)                                                                               \
    "{\"order_id\":\"O1\",\"customer_id\":\"C1\",\"amount\":" amount ",\"currency\":" currency "}"
    ORDER("paid", "C1", PAID("0", "\"EUR\""), REASON_NONE),
    ORDER("paid", "C1", PAID("1000000000000", "\"SEK\""), REASON_NONE),
    ORDER("paid", "C1", PAID("1000000000001", "\"SEK\""), REASON_FIELD_RANGE),
    ORDER("paid", "C1", PAID("-1", "\"SEK\""), REASON_FIELD_RANGE),
    ORDER("paid", "C1", PAID("99999999999999999999", "\"SEK\""), REASON_FIELD_RANGE),
    ORDER("paid", "C1", PAID("1.0", "\"SEK\""), REASON_FIELD_TYPE),
    ORDER("paid", "C1", PAID("1e2", "\"SEK\""), REASON_FIELD_TYPE),
    ORDER("paid", "C1", PAID("1E2", "\"SEK\""), REASON_FIELD_TYPE),
    ORDER("paid", "C1", PAID("\"1\"", "\"SEK\""), REASON_FIELD_TYPE),
    ORDER("paid", "C1", PAID("1", "\"FIM\""), REASON_FIELD_RANGE),
    ORDER("cancelled", "guest:O2", "{\"order_id\":\"O1\",\"customer_id\":\"guest:O2\"}",
          REASON_GUEST_MISMATCH),
    ORDER("cancelled", "guest:O1", "{\"order_id\":\"O1\",\"customer_id\":\"guest:O1\"}", REASON_NONE),
#define SHIP(data, reason)                                                                                   \
    { "shop.shipment.v1", "shop.shipment.requested.v1", "C1", data, reason }
    SHIP(SHIPMENT("{}", "outbound", "posti", "2104", ""), REASON_NONE),
    SHIP(SHIPMENT("{\"country\":\"SE\"}", "outbound", "posti", "2104", ""), REASON_NONE),
    SHIP(SHIPMENT("{}", "return", "posti", "return", ",\"return_id\":\"R1\""), REASON_NONE),
    SHIP(SHIPMENT("{}", "return", "posti", "return", ""), REASON_FIELD_MISSING),
    SHIP(SHIPMENT("{}", "sideways", "posti", "return", ""), REASON_FIELD_RANGE),
    SHIP(SHIPMENT("{\"city\":null}", "outbound", "posti", "2104", ""), REASON_FIELD_TYPE),
    SHIP(SHIPMENT("{}", "outbound", "posti", "2104", ",\"recipient_id\":\"guest\""), REASON_BAD_ID),
    SHIP(SHIPMENT("{}", "outbound", "dhl", "2104", ""), REASON_UNKNOWN_CARRIER),
    SHIP(SHIPMENT("{}", "outbound", "letterhouse", "newsletter", ""), REASON_UNKNOWN_CARRIER),
    SHIP(SHIPMENT("{}", "outbound", "posti", "2103", ""), REASON_UNKNOWN_SERVICE),
    SHIP(SHIPMENT("{}", "outbound", "posti", "return", ""), REASON_UNKNOWN_SERVICE),
    SHIP(SHIPMENT("{}", "return", "posti", "2104", ",\"return_id\":\"R1\""), REASON_UNKNOWN_SERVICE),
    SHIP(SHIPMENT("{\"country\":\"NO\"}", "outbound", "posti", "2104", ""), REASON_COUNTRY_NOT_SERVED),
    {"shop.shipment.v1", "shop.shipment.cancelled.v1", "C1",
     "{\"shipment_id\":\"S1\",\"order_id\":\"O1\",\"customer_id\":\"C1\"}", REASON_NONE},
    {"shop.return.v1", "shop.return.requested.v1", "C1",
     "{\"return_id\":\"R1\",\"order_id\":\"O1\",\"customer_id\":\"C1\",\"reason\":\"other\",\"lines\":[{"
     "\"sku\":\"s\","
     "\"quantity\":1}]}",
     REASON_NOT_SUPPORTED},
    {"shop.return.v1", "shop.return.received.v1", "guest:O2",
     "{\"return_id\":\"R1\",\"order_id\":\"O1\",\"customer_id\":\"guest:O2\"}", REASON_GUEST_MISMATCH},
#define GRANTED(basis, rest)                                                                                 \
    "{\"customer_id\":\"C1\",\"purpose\":\"newsletter\",\"channel\":\"email\",\"basis\":\"" basis            \
    "\",\"method\":\"checkout\",\"wording\":" TEXT_VERSION rest "}"
#define CONSENT(type, key, data, reason)                                                                     \
    { "shop.consent.v1", "shop.consent." type ".v1", key, data, reason }
    CONSENT("granted", "C1", GRANTED("consent", ""), REASON_NONE),
    CONSENT("granted", "C1", GRANTED("soft_opt_in", ""), REASON_FIELD_MISSING),
    CONSENT("granted", "C1", GRANTED("soft_opt_in", ",\"order_id\":\"O1\""), REASON_NONE),
    CONSENT("granted", "C2", GRANTED("consent", ""), REASON_KEY_MISMATCH),
    CONSENT("granted", "guest:O2",
            "{\"customer_id\":\"guest:O2\",\"purpose\":\"newsletter\",\"channel\":\"email\",\"basis\":"
            "\"soft_opt_in\",\"order_id\":\"O1\",\"method\":\"checkout\",\"wording\":" TEXT_VERSION "}",
            REASON_GUEST_MISMATCH),
    CONSENT("withdrawn", "guest:O2", "{\"customer_id\":\"guest:O2\",\"method\":\"one_click\"}", REASON_NONE),
    CONSENT("withdrawn", REF, "{\"token\":\"short\",\"method\":\"one_click\"}", REASON_FIELD_RANGE),
    CONSENT("granted", "C1", GRANTED("consent", ",\"confirmed\":\"yes\""), REASON_FIELD_TYPE),
    CONSENT("withdrawn", REF, "{\"token\":\"" REF "\",\"method\":\"one_click\"}", REASON_NONE),
    CONSENT("withdrawn", "C1", "{\"token\":\"" REF "\",\"method\":\"one_click\"}", REASON_KEY_MISMATCH),
    CONSENT("objected", "C1", "{\"customer_id\":\"C1\",\"method\":\"one_click\"}", REASON_NONE),
    CONSENT("objected", "C1", "{\"customer_id\":\"C1\",\"token\":\"" REF "\",\"method\":\"one_click\"}",
            REASON_FIELD_TYPE),
    CONSENT("objected", "C1", "{\"method\":\"one_click\"}", REASON_FIELD_TYPE),
#define REQUEST(kind, subject, rest)                                                                         \
    "{\"request_id\":\"Q1\",\"kind\":\"" kind "\",\"subject\":" subject                                      \
    ",\"channel\":\"email\",\"identity\":\"none\"" rest "}"
#define RECEIVED(data, reason)                                                                               \
    { "privacy.request.v1", "privacy.request.received.v1", "Q1", data, reason }
    RECEIVED(REQUEST("erasure", "{\"customer_id\":\"C1\"}", ""), REASON_NONE),
    RECEIVED(REQUEST("erasure", "{\"customer_id\":\"guest:O1\"}", ""), REASON_NONE),
    RECEIVED(REQUEST("erasure", "{\"recipient_id\":\"R1\"}", ""), REASON_NONE),
    RECEIVED(REQUEST("erasure", "{\"customer_id\":\"recipient:R1\"}", ""), REASON_BAD_ID),
    RECEIVED(REQUEST("erasure", "{\"phone\":\"0401\"}", ""), REASON_FIELD_RANGE),
    RECEIVED(REQUEST("erasure", "{}", ""), REASON_FIELD_TYPE),
    {"privacy.request.v1", "privacy.request.received.v1", "Q2",
     REQUEST("erasure", "{\"customer_id\":\"C1\"}", ""), REASON_KEY_MISMATCH},
    RECEIVED(REQUEST("erasure", "{\"email\":\"a@b\",\"phone\":\"+358401\"}", ""), REASON_FIELD_TYPE),
    RECEIVED(REQUEST("rectification", "{\"email\":\"a@b\"}", ""), REASON_FIELD_MISSING),
    RECEIVED(REQUEST("rectification", "{\"email\":\"a@b\"}", ",\"changes\":{}"), REASON_NONE),
    RECEIVED(REQUEST("objection", "{\"email\":\"a@b\"}", ""), REASON_FIELD_MISSING),
    {"privacy.request.v1", "privacy.request.identified.v1", "Q1",
     "{\"request_id\":\"Q1\",\"identity\":\"clerk\"}", REASON_NONE},
    {"privacy.request.v1", "privacy.request.identified.v1", "Q1",
     "{\"request_id\":\"Q1\",\"identity\":\"none\"}", REASON_FIELD_RANGE},
#define COMMAND(key, data, reason)                                                                           \
    { "register.command.v1", "register.command.v1", key, data, reason }
    COMMAND("Q1", "{\"sealed\":\"AZ-_\"}", REASON_NONE),
    COMMAND("Q1", "{\"sealed\":\"\"}", REASON_FIELD_RANGE),
    COMMAND("Q1", "{\"sealed\":\"AA==\"}", REASON_FIELD_RANGE),
    COMMAND("Q1", "{\"sealed\":7}", REASON_FIELD_TYPE),
    COMMAND("Q1", "{}", REASON_FIELD_MISSING),
    COMMAND(NULL, "{\"sealed\":\"AZ-_\"}", REASON_KEY_MISMATCH),
    COMMAND("", "{\"sealed\":\"AZ-_\"}", REASON_KEY_MISMATCH),
    COMMAND(REF REF, "{\"sealed\":\"AZ-_\"}", REASON_KEY_MISMATCH),
    {"privacy.request.v1", "register.command.v1", "Q1", "{\"sealed\":\"AZ-_\"}", REASON_WRONG_TOPIC},
#define CARRIER(name, type, data, reason)                                                                    \
    { "carrier." name ".v1", "carrier." type ".v1", REF, data, reason }
    CARRIER("posti", "delivery.status", STATUS(""), REASON_NONE),
    CARRIER("posti", "delivery.status", STATUS(",\"parcel\":99,\"detail\":\"X1\""), REASON_NONE),
    CARRIER("posti", "delivery.status", STATUS(",\"parcel\":100"), REASON_FIELD_RANGE),
    CARRIER("posti", "delivery.status", STATUS(",\"detail\":\"a b\""), REASON_FIELD_RANGE),
    CARRIER("dhl", "delivery.status", STATUS(""), REASON_UNKNOWN_CARRIER),
#define ACK(outcome, rest) "{\"notice_ref\":\"" REF "\",\"outcome\":\"" outcome "\"" rest "}"
    CARRIER("letterhouse", "notice.acknowledged", ACK("erased", ""), REASON_NONE),
    CARRIER("posti", "notice.acknowledged", ACK("retained", ",\"ground\":\"law\",\"until\":\"2028-02-29\""),
            REASON_NONE),
    CARRIER("posti", "notice.acknowledged", ACK("retained", ",\"ground\":\"law\",\"until\":\"2027-02-29\""),
            REASON_FIELD_RANGE),
    CARRIER("posti", "notice.acknowledged", ACK("retained", ",\"ground\":\"law\""), REASON_FIELD_MISSING),
};

static void every_type_and_rule_of_its_data(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(data_cases) / sizeof(*data_cases); i++) {
        const struct data_case *one = &data_cases[i];
        struct sample sample;
        decode(sample_of(&sample, one->topic, one->type, one->key, text_of(one->data)));
        assert_reason(one->reason, one->data);
        assert_int_equal(event.offset, 42);
        if (one->reason == REASON_NONE) {
            assert_string_equal(event_infos[event.type].built ? "built" : "", "built");
        }
    }
}

/* Whatever is wrong with a value, what is said of it names the field and never quotes it. */
static void details_quote_nothing(void **state) {
    (void)state;
#define QUOTED "Qvastfrid"
    static const struct data_case cases[] = {
        CUSTOMER("registered", REGISTERED("{\"email\":\"" QUOTED "\"}"), REASON_FIELD_RANGE),
        CUSTOMER("registered", REGISTERED("{\"email\":\"a@b\",\"country\":\"" QUOTED "\"}"),
                 REASON_FIELD_RANGE),
        CUSTOMER("registered", REGISTERED("{\"email\":\"a@b\",\"phone\":\"" QUOTED "\"}"),
                 REASON_FIELD_RANGE),
        CUSTOMER("registered", REGISTERED("{\"email\":[\"" QUOTED "\"]}"), REASON_FIELD_TYPE),
        CUSTOMER("registered", REGISTERED("\"" QUOTED "\""), REASON_FIELD_TYPE),
        CUSTOMER("seen", "{\"customer_id\":\"" QUOTED "\"}", REASON_KEY_MISMATCH),
        CUSTOMER("seen", "{\"customer_id\":\"" QUOTED " \"}", REASON_FIELD_RANGE),
        CUSTOMER("seen", "{\"customer_id\":\"recipient:" QUOTED "\"}", REASON_BAD_ID),
        CUSTOMER("seen", "{\"customer_id\":\"C1\",\"" QUOTED "\":1,\"" QUOTED "\":2}", REASON_DUPLICATE_KEY),
        CUSTOMER("seen", "{\"" QUOTED "\"", REASON_NOT_JSON),
        {"shop.shipment.v1", "shop.shipment.requested.v1", "C1",
         SHIPMENT("{}", "outbound", QUOTED, "2104", ""), REASON_UNKNOWN_CARRIER},
        {"shop.shipment.v1", "shop.shipment.requested.v1", "C1",
         SHIPMENT("{}", "outbound", "posti", QUOTED, ""), REASON_UNKNOWN_SERVICE},
        {"shop.customer.v1", QUOTED ".v1", "C1", SEEN, REASON_UNKNOWN_TYPE},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const struct data_case *one = &cases[i];
        struct sample sample;
        decode(sample_of(&sample, one->topic, one->type, one->key, text_of(one->data)));
        assert_reason(one->reason, one->data);
        assert_null(strstr(refusal.detail, QUOTED));
    }
}

/* ---- what a good record becomes ---- */

static void a_shipment_is_whole(void **state) {
    (void)state;
    struct sample sample;
    sample_of(
        &sample, "shop.shipment.v1", "shop.shipment.requested.v1", "C1",
        TEXT(SHIPMENT("{\"first_name\":\"Zoe\xcc\x88\",\"country\":\"SE\",\"secret\":1}", "return", "posti",
                      "return", ",\"return_id\":\"R1\",\"pickup_point\":\"PP\",\"x\":{\"y\":1}")));
    header_set(&sample, "ce_time", TEXT("2026-11-01T14:00:00.1234569+02:00"));
    header_add(&sample, TEXT("ce_sequence"), TEXT("0012"));
    decode(&sample.record);
    assert_reason(REASON_NONE, "shipment");
    assert_int_equal(unknown_fields, 2);
    assert_int_equal(event.type, SHIPMENT_REQUESTED);
    assert_true(event.version.time_us == NOW_MS * 1000 + 123456);
    assert_text(event.version.sequence, "12");
    assert_text(event.version.source, "urn:shop");
    assert_text(event.version.id, "e1");
    assert_false(event.version.protective);
    assert_text(event.topic, "shop.shipment.v1");
    assert_int_equal(event.partition, 3);
    assert_null(event.sender.at);
    assert_text(event.customer_id, "C1");
    assert_text(event.as.shipment.shipment_id, "S1");
    assert_text(event.as.shipment.order_id, "O1");
    assert_null(event.as.shipment.recipient_id.at);
    assert_text(event.as.shipment.return_id, "R1");
    assert_text(event.as.shipment.carrier, "posti");
    assert_text(event.as.shipment.service, "return");
    assert_text(event.as.shipment.pickup_point, "PP");
    assert_true(event.as.shipment.is_return);
    assert_int_equal(event.as.shipment.parcels, 3);
    assert_text(event.as.shipment.consignee.field[FIRST_NAME], "Zo\xc3\xab");
    assert_true(event.as.shipment.consignee.stated[FIRST_NAME]);
    assert_text(event.as.shipment.consignee.field[COUNTRY], "SE");
    assert_false(event.as.shipment.consignee.stated[EMAIL]);
}

static void nulls_clear_and_absence_says_nothing(void **state) {
    (void)state;
    struct sample sample;
    decode(sample_of(&sample, "shop.customer.v1", "shop.customer.registered.v1", "C1",
                     TEXT(REGISTERED("{\"email\":\"a@b\",\"phone\":null}"))));
    assert_reason(REASON_NONE, "registered");
    assert_true(event.as.customer.account);
    assert_text(event.as.customer.notice.language, "sv");
    assert_true(event.as.customer.contact.stated[PHONE]);
    assert_null(event.as.customer.contact.field[PHONE].at);
    assert_false(event.as.customer.contact.stated[CITY]);
}

static void consents_say_who_and_what(void **state) {
    (void)state;
    struct sample sample;
    decode(sample_of(&sample, "shop.consent.v1", "shop.consent.granted.v1", "C1",
                     TEXT(GRANTED("soft_opt_in", ",\"order_id\":\"O1\",\"confirmed\":false"))));
    assert_reason(REASON_NONE, "granted");
    assert_text(event.customer_id, "C1");
    assert_text(event.as.consent.purpose, "newsletter");
    assert_text(event.as.consent.channel, "email");
    assert_text(event.as.consent.basis, "soft_opt_in");
    assert_text(event.as.consent.order_id, "O1");
    assert_text(event.as.consent.method, "checkout");
    assert_text(event.as.consent.wording.id, "n1");
    assert_true(event.as.consent.has_confirmed);
    assert_false(event.as.consent.confirmed);
    assert_null(event.as.consent.token.at);
    decode(sample_of(&sample, "shop.consent.v1", "shop.consent.objected.v1", REF,
                     TEXT("{\"token\":\"" REF "\",\"method\":\"unsubscribe_link\"}")));
    assert_reason(REASON_NONE, "objected");
    assert_text(event.as.consent.token, REF);
    assert_null(event.customer_id.at);
    assert_null(event.as.consent.purpose.at);
    assert_null(event.as.consent.channel.at);
    assert_false(event.as.consent.has_confirmed);
}

static void requests_say_whom(void **state) {
    (void)state;
    struct sample sample;
    decode(sample_of(&sample, "privacy.request.v1", "privacy.request.received.v1", "Q1",
                     TEXT(REQUEST("erasure", "{\"email\":\"a@b\"}", ""))));
    assert_reason(REASON_NONE, "received");
    assert_text(event.as.request.request_id, "Q1");
    assert_text(event.as.request.kind, "erasure");
    assert_text(event.as.request.email, "a@b");
    assert_text(event.as.request.channel, "email");
    assert_text(event.as.request.identity, "none");
    assert_null(event.customer_id.at);
    assert_null(event.as.request.phone.at);
    assert_null(event.as.request.recipient_id.at);
    decode(sample_of(&sample, "privacy.request.v1", "privacy.request.received.v1", "Q1",
                     TEXT(REQUEST("erasure", "{\"customer_id\":\"C1\"}", ""))));
    assert_text(event.customer_id, "C1");
    decode(sample_of(&sample, "register.command.v1", "register.command.v1", "Q1",
                     TEXT("{\"sealed\":\"AZ-_\"}")));
    assert_text(event.as.tied.request_id, "Q1");
    assert_text(event.as.tied.sealed, "AZ-_");
    assert_null(event.as.tied.person.at);
}

static void carriers_speak_for_themselves(void **state) {
    (void)state;
    struct sample sample;
    decode(sample_of(&sample, "carrier.posti.v1", "carrier.delivery.status.v1", REF,
                     TEXT(STATUS(",\"parcel\":2"))));
    assert_reason(REASON_NONE, "status");
    assert_text(event.sender, "posti");
    assert_int_equal(event.as.delivery.status, STATUS_DELIVERED);
    assert_int_equal(event.as.delivery.parcel, 2);
    decode(sample_of(&sample, "carrier.posti.v1", "carrier.notice.acknowledged.v1", REF,
                     TEXT(ACK("corrected", ",\"ground\":\"law\",\"until\":\"2027-01-01\""))));
    assert_int_equal(event.as.ack.outcome, ACK_CORRECTED);
    assert_null(event.as.ack.ground.at); /* of retained only */
    decode(sample_of(&sample, "carrier.posti.v1", "carrier.notice.acknowledged.v1", REF,
                     TEXT(ACK("retained", ",\"ground\":\"law\",\"until\":\"2027-01-01\""))));
    assert_text(event.as.ack.until, "2027-01-01");
}

static void digest_of(uint8_t digest[DIGEST_BYTES], const char *type, struct text value) {
    struct sample sample;
    decode(sample_of(&sample, "shop.customer.v1", type, "C1", value));
    assert_reason(REASON_NONE, value.at);
    memcpy(digest, event.version.digest, DIGEST_BYTES);
}

/* Order, blanks, escapes, unknown fields and normalisation make no difference; a value does. */
static void the_digest_is_of_what_is_known(void **state) {
    (void)state;
    const char *type = "shop.customer.changed.v1";
    uint8_t a[DIGEST_BYTES], b[DIGEST_BYTES], c[DIGEST_BYTES];
    digest_of(a, type,
              TEXT("{\"customer_id\":\"C1\",\"contact\":{\"city\":\"\xc3\x85"
                   "bo\",\"street\":\"x\"}}"));
    digest_of(b, type,
              TEXT("{ \"contact\":{\"street\":\"\\u0078\",\"n\":1,\"city\":\"A\xcc\x8a"
                   "bo\"},\"customer_id\":\"C1\",\"z\":2}"));
    digest_of(c, type,
              TEXT("{\"customer_id\":\"C1\",\"contact\":{\"city\":\"\xc3\x85"
                   "bo\",\"street\":null}}"));
    assert_memory_equal(a, b, DIGEST_BYTES);
    assert_memory_not_equal(a, c, DIGEST_BYTES);
}

static void names_of_every_script_fit_by_code_points(void **state) {
    (void)state;
    static const char *const units[] = {"a",        "\xc3\xa4",     "\xd0\x96",     "\xd7\xa9",
                                        "\xd9\x85", "\xe0\xb8\x99", "\xe7\xbe\x8e", "\xf0\x9f\x98\x80",
                                        "e\xcc\x88"};
    for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
        for (int more = 0; more < 2; more++) {
            char data[1024];
            int points =
                (int)(strcmp(units[i], "e\xcc\x88") == 0 ? 2 : 1); /* counted before NFC makes it one */
            int at = snprintf(data, sizeof(data), "{\"customer_id\":\"C1\",\"contact\":{\"city\":\"");
            for (int n = 0; n < 100 / points + more; n++) {
                at += snprintf(data + at, sizeof(data) - (size_t)at, "%s", units[i]);
            }
            snprintf(data + at, sizeof(data) - (size_t)at, "\"}}");
            struct sample sample;
            decode(sample_of(&sample, "shop.customer.v1", "shop.customer.changed.v1", "C1", text_of(data)));
            assert_reason(more ? REASON_FIELD_RANGE : REASON_NONE, data);
        }
    }
}

static void an_order_of_500_lines(void **state) {
    (void)state;
    for (int count = 499; count <= 501; count++) {
        char *data = malloc(64 * 1024);
        assert_non_null(data);
        int at = snprintf(data, 200,
                          "{\"order_id\":\"O1\",\"customer_id\":\"C1\",\"guest\":false,\"currency\":\"EUR\","
                          "\"total\":1,\"lines\":[");
        for (int i = 0; i < count; i++) {
            at += snprintf(data + at, 100, "%s{\"sku\":\"s%d\",\"quantity\":%d,\"price\":%d,\"name\":\"n\"}",
                           i ? "," : "", i, i + 1, i * 2);
        }
        snprintf(data + at, 10, "]}");
        struct sample sample;
        decode(sample_of(&sample, "shop.order.v1", "shop.order.placed.v1", "C1", text_of(data)));
        assert_reason(count > 500 ? REASON_FIELD_RANGE : REASON_NONE, "lines");
        if (count <= 500) {
            assert_int_equal(event.as.order.line_count, count);
            assert_text(event.as.order.lines[498].sku, "s498");
            assert_int_equal(event.as.order.lines[498].quantity, 499);
            assert_int_equal(event.as.order.lines[498].price, 996);
            assert_null(event.as.order.lines[498].product_class.at);
        }
        free(data);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_and_rule_of_its_data),
        cmocka_unit_test(details_quote_nothing),
        cmocka_unit_test(a_shipment_is_whole),
        cmocka_unit_test(nulls_clear_and_absence_says_nothing),
        cmocka_unit_test(consents_say_who_and_what),
        cmocka_unit_test(requests_say_whom),
        cmocka_unit_test(carriers_speak_for_themselves),
        cmocka_unit_test(the_digest_is_of_what_is_known),
        cmocka_unit_test(names_of_every_script_fit_by_code_points),
        cmocka_unit_test(an_order_of_500_lines),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
