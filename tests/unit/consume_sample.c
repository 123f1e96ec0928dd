/* What the shop and a carrier say in the tests of the consumer's loop. */
#include "tests/unit/consume_sample.h"
#include <stdio.h>

const struct ref_key sample_ref_key = {{3}};

/* ---- the sample: every path that stores something, a parked status and a bad record among them ---- */

#define CONTACT                                                                                              \
    "{\"first_name\":\"\u00c5sa\",\"last_name\":\"\u00d6hman\",\"street\":\"Gatan "                          \
    "1\",\"postcode\":\"33700\","                                                                            \
    "\"city\":\"Tammerfors\",\"country\":\"FI\",\"phone\":\"+358401234567\",\"email\":\"kundtj\u00e4nst@"    \
    "jerone.fi\"}"
#define HASH "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

void sample_status(struct memory_register *memory, const char *id, const char *time, const char *status) {
    struct ref ref = ref_shipment(&sample_ref_key, TEXT("matkahuolto"), TEXT("c1"), TEXT("s1"));
    char data[256];
    snprintf(data, sizeof data, "{\"shipment_ref\":\"%s\",\"parcel\":1,\"status\":\"%s\"}", ref.chars,
             status);
    memory_register_publish(memory, "carrier.matkahuolto.v1", ref.chars, "carrier.delivery.status", id, time,
                            data);
}

static void publish_placed(struct memory_register *memory) {
    memory_register_publish(
        memory, "shop.order.v1", "c1", "shop.order.placed", "p1", "2026-05-10T10:00:00Z",
        "{\"order_id\":\"o1\",\"customer_id\":\"c1\",\"guest\":false,\"currency\":\"EUR\",\"total\":1000,"
        "\"lines\":[{\"sku\":\"a\",\"quantity\":1,\"price\":1000}]}");
}

static void publish_requested(struct memory_register *memory) {
    memory_register_publish(
        memory, "shop.shipment.v1", "c1", "shop.shipment.requested", "q1", "2026-05-11T10:00:00Z",
        "{\"shipment_id\":\"s1\",\"order_id\":\"o1\",\"customer_id\":\"c1\",\"consignee\":" CONTACT
        ",\"direction\":\"outbound\",\"carrier\":\"matkahuolto\",\"service\":\"home\",\"parcels\":1}");
}

void sample_order_and_shipment(struct memory_register *memory) {
    publish_placed(memory);
    publish_requested(memory);
}

void sample_all(struct memory_register *memory) {
    sample_status(memory, "t1", "2026-05-12T10:00:00Z", "in_transit");
    memory_register_publish(memory, "shop.customer.v1", "c1", "shop.customer.registered", "r1",
                            "2026-05-01T10:00:00Z",
                            "{\"customer_id\":\"c1\",\"kind\":\"account\",\"contact\":" CONTACT
                            ",\"notice\":{\"id\":\"n1\",\"sha256\":\"" HASH "\",\"language\":\"sv\"}}");
    publish_placed(memory);
    memory_register_publish(
        memory, "shop.order.v1", "c1", "shop.order.paid", "p2", "2026-05-10T10:01:00Z",
        "{\"order_id\":\"o1\",\"customer_id\":\"c1\",\"amount\":1000,\"currency\":\"EUR\"}");
    publish_requested(memory);
    memory_register_publish(memory, "shop.customer.v1", "c1", "shop.customer.changed", "r2",
                            "2026-05-02T10:00:00Z", "{\"customer_id\":\"c1\",\"contact\":{\"phone\":null}}");
    memory_register_publish(memory, "shop.order.v1", "c1", "shop.order.paid", "bad", "2026-05-10T10:02:00Z",
                            "{\"order_id\":7}");
    memory_register_publish(
        memory, "shop.order.v1", "c1", "shop.order.placed", "p3", "2026-05-10T11:00:00Z",
        "{\"order_id\":\"o2\",\"customer_id\":\"c1\",\"guest\":false,\"currency\":\"EUR\",\"total\":500,"
        "\"lines\":[{\"sku\":\"b\",\"quantity\":1,\"price\":500}]}");
    memory_register_publish(memory, "shop.shipment.v1", "c1", "shop.shipment.cancelled", "q2",
                            "2026-05-13T10:00:00Z",
                            "{\"shipment_id\":\"s9\",\"order_id\":\"o2\",\"customer_id\":\"c1\"}");
    sample_status(memory, "t2", "2026-05-14T10:00:00Z", "delivered");
}

/* ---- a second sample: consents, one of them by a token that nobody knows yet, and an address in two hands
 * ---- */

#define WORDING "\"wording\":{\"id\":\"w1\",\"sha256\":\"" HASH "\",\"language\":\"sv\"}"

static void publish_registered(struct memory_register *memory, const char *customer_id, const char *id,
                               const char *time) {
    char data[1024];
    snprintf(data, sizeof data,
             "{\"customer_id\":\"%s\",\"kind\":\"account\",\"contact\":" CONTACT
             ",\"notice\":{\"id\":\"n1\",\"sha256\":\"" HASH "\",\"language\":\"sv\"}}",
             customer_id);
    memory_register_publish(memory, "shop.customer.v1", customer_id, "shop.customer.registered", id, time,
                            data);
}

void sample_granted(struct memory_register *memory, const char *customer_id, const char *id,
                    const char *time) {
    char data[512];
    snprintf(data, sizeof data,
             "{\"customer_id\":\"%s\",\"purpose\":\"newsletter\",\"channel\":\"email\",\"basis\":\"consent\","
             "\"confirmed\":true,\"method\":\"account_page\"," WORDING "}",
             customer_id);
    memory_register_publish(memory, "shop.consent.v1", customer_id, "shop.consent.granted", id, time, data);
}

void sample_consents(struct memory_register *memory) {
    struct ref token = ref_token(&sample_ref_key, TEXT("c1"), GENERATION_FIRST);
    char data[256];
    snprintf(data, sizeof data, "{\"token\":\"%s\",\"method\":\"one_click\"}", token.chars);
    memory_register_publish(memory, "shop.consent.v1", token.chars, "shop.consent.withdrawn", "w1",
                            "2026-05-04T10:00:00Z", data);
    publish_registered(memory, "c1", "r1", "2026-05-01T10:00:00Z");
    sample_granted(memory, "c1", "g1", "2026-05-02T10:00:00Z");
    publish_registered(memory, "c2", "r2", "2026-05-02T11:00:00Z");
    sample_granted(memory, "c1", "g2", "2026-05-05T10:00:00Z");
    memory_register_publish(memory, "shop.consent.v1", "c2", "shop.consent.objected", "o1",
                            "2026-05-06T10:00:00Z",
                            "{\"customer_id\":\"c2\",\"method\":\"customer_service\"}");
    sample_granted(memory, "c1", "g3", "2026-05-07T10:00:00Z");
}

/* ---- a third: erasures, while a parcel is under way, of a gift's consignee, by closing; then the return
 * ---- */

static void publish_received(struct memory_register *memory, const char *request_id, const char *subject,
                             const char *time) {
    char data[256];
    snprintf(data, sizeof data,
             "{\"request_id\":\"%s\",\"kind\":\"erasure\",\"subject\":{%s},\"channel\":\"account\","
             "\"identity\":\"account\"}",
             request_id, subject);
    memory_register_publish(memory, "privacy.request.v1", request_id, "privacy.request.received", request_id,
                            time, data);
}

static void publish_gift(struct memory_register *memory) {
    memory_register_publish(
        memory, "shop.shipment.v1", "c1", "shop.shipment.requested", "q3", "2026-05-11T11:00:00Z",
        "{\"shipment_id\":\"s3\",\"order_id\":\"o1\",\"customer_id\":\"c1\",\"recipient_id\":\"r1\","
        "\"consignee\":" CONTACT
        ",\"direction\":\"outbound\",\"carrier\":\"posti\",\"service\":\"2104\",\"parcels\":1}");
}

void sample_erasures(struct memory_register *memory) {
    sample_status(memory, "t1", "2026-05-12T10:00:00Z", "in_transit");
    publish_registered(memory, "c1", "r1", "2026-05-01T10:00:00Z");
    sample_order_and_shipment(memory);
    publish_gift(memory);
    memory_register_publish(
        memory, "shop.order.v1", "c1", "shop.order.paid", "p2", "2026-05-10T10:01:00Z",
        "{\"order_id\":\"o1\",\"customer_id\":\"c1\",\"amount\":1000,\"currency\":\"EUR\"}");
    publish_received(memory, "e1", "\"customer_id\":\"c1\"", "2026-05-16T12:00:00Z");
    publish_received(memory, "e2", "\"recipient_id\":\"r1\"", "2026-05-16T13:00:00Z");
    publish_registered(memory, "c2", "r3", "2026-05-02T10:00:00Z");
    memory_register_publish(memory, "shop.customer.v1", "c2", "shop.customer.closed", "x1",
                            "2026-05-15T10:00:00Z", "{\"customer_id\":\"c2\"}");
    sample_status(memory, "t2", "2026-05-17T10:00:00Z", "delivered");
    publish_registered(memory, "c1", "r4", "2026-05-18T10:00:00Z");
    publish_received(memory, "e1", "\"customer_id\":\"c1\"", "2026-05-16T12:00:00Z");
}
