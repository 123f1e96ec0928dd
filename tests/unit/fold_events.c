/* Events for tests, short to write: everything that a test does not name is the same each time. */
#include "tests/unit/fold.h"

#include "core/json_read.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>

static uint64_t mixed(uint64_t hash, const char *text) {
    for (; text && *text; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    return (hash ^ 0xff) * UINT64_C(0x100000001b3);
}

struct event fold_fact(enum event_type type, const char *id, int64_t minute, const char *data) {
    static int64_t offset;
    int64_t start_us;
    assert_true(instant_parse(TEXT("2026-05-02T07:00:00Z"), &start_us));
    struct event event = {
        .type = type,
        .version = {.time_us = start_us + minute * 60000000, .source = TEXT("urn:shop"), .id = text_of(id)},
        .topic = text_of(event_infos[type].topic),
        .offset = offset++};
    event.timestamp_ms = event.version.time_us / 1000;
    uint64_t digest = mixed(mixed(UINT64_C(0xcbf29ce484222325), id), data);
    memcpy(event.version.digest, &digest, sizeof(digest));
    return event;
}

static void state_field(struct contact *contact, enum contact_field field, const char *value) {
    contact->stated[field] = true;
    contact->field[field] = text_of(value);
}

struct contact fold_contact(const char *first_name, const char *street, const char *city) {
    struct contact contact = {0};
    state_field(&contact, FIRST_NAME, first_name);
    state_field(&contact, LAST_NAME, "Öhman \"Ö\"");
    state_field(&contact, STREET, street);
    state_field(&contact, POSTCODE, "33700");
    state_field(&contact, CITY, city);
    state_field(&contact, PHONE, "+358401234567");
    state_field(&contact, EMAIL, "kundtjänst@jerone.fi");
    return contact;
}

struct event fold_registered(const char *id, int64_t minute, const char *customer_id,
                             struct contact contact) {
    struct event event = fold_fact(CUSTOMER_REGISTERED, id, minute, customer_id);
    event.customer_id = text_of(customer_id);
    event.as.customer.account = true;
    event.as.customer.contact = contact;
    event.as.customer.notice.id = TEXT("n1");
    event.as.customer.notice.sha256 = TEXT("00");
    event.as.customer.notice.language = TEXT("sv");
    return event;
}

struct event fold_changed(const char *id, int64_t minute, const char *customer_id, enum contact_field field,
                          const char *value) {
    struct event event = fold_fact(CUSTOMER_CHANGED, id, minute, value ? value : "null");
    event.customer_id = text_of(customer_id);
    state_field(&event.as.customer.contact, field, value);
    return event;
}

struct event fold_placed(const char *id, int64_t minute, const char *customer_id, const char *order_id,
                         int64_t total) {
    static struct line lines[] = {
        {.sku = {"SKU-1", 5}, .name = {"Skor", 4}, .quantity = 1, .price = 2490},
        {.sku = {"SKU-2", 5}, .quantity = 2, .price = 500, .product_class = {"shoes", 5}},
    };
    char data[24];
    (void)snprintf(data, sizeof(data), "%lld", (long long)total);
    struct event event = fold_fact(ORDER_PLACED, id, minute, data);
    event.customer_id = text_of(customer_id);
    event.as.order.order_id = text_of(order_id);
    event.as.order.has_buyer = true;
    event.as.order.buyer = fold_contact("Bo", "Köpgatan 1", "Åbo");
    event.as.order.currency = TEXT("EUR");
    event.as.order.total = total;
    event.as.order.lines = lines;
    event.as.order.line_count = 2;
    return event;
}

struct event fold_paid(const char *id, int64_t minute, const char *customer_id, const char *order_id,
                       int64_t amount) {
    char data[24];
    (void)snprintf(data, sizeof(data), "%lld", (long long)amount);
    struct event event = fold_fact(ORDER_PAID, id, minute, data);
    event.customer_id = text_of(customer_id);
    event.as.payment.order_id = text_of(order_id);
    event.as.payment.amount = amount;
    event.as.payment.currency = TEXT("EUR");
    return event;
}

struct event fold_cancelled(const char *id, int64_t minute, const char *customer_id, const char *order_id) {
    struct event event = fold_fact(ORDER_CANCELLED, id, minute, order_id);
    event.customer_id = text_of(customer_id);
    event.as.order.order_id = text_of(order_id);
    return event;
}

struct event fold_requested(const char *id, int64_t minute, const char *customer_id, const char *order_id,
                            const char *shipment_id, const char *carrier, const char *service) {
    struct event event = fold_fact(SHIPMENT_REQUESTED, id, minute, shipment_id);
    event.customer_id = text_of(customer_id);
    event.as.shipment.order_id = text_of(order_id);
    event.as.shipment.shipment_id = text_of(shipment_id);
    event.as.shipment.consignee = fold_contact("Rut", "Mottagargatan 2", "Vasa");
    event.as.shipment.carrier = text_of(carrier);
    event.as.shipment.service = text_of(service);
    event.as.shipment.is_return = strcmp(service, "return") == 0;
    event.as.shipment.return_id = event.as.shipment.is_return ? TEXT("RET-1") : TEXT_ABSENT;
    event.as.shipment.pickup_point = TEXT("PP-7");
    event.as.shipment.parcels = 1;
    return event;
}

struct event fold_shipment_cancelled(const char *id, int64_t minute, const char *customer_id,
                                     const char *order_id, const char *shipment_id) {
    struct event event = fold_fact(SHIPMENT_CANCELLED, id, minute, shipment_id);
    event.customer_id = text_of(customer_id);
    event.as.shipment.order_id = text_of(order_id);
    event.as.shipment.shipment_id = text_of(shipment_id);
    return event;
}

/* Refs must outlive the events, and the register's arenas do not: they stay as long as the program. */
static struct text kept_ref(const char *chars) {
    static char refs[256][REF_CHARS + 1];
    static size_t count;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(refs[i], chars) == 0)
            return text_of(refs[i]);
    }
    assert_true(count < sizeof(refs) / sizeof(refs[0]));
    memcpy(refs[count], chars, REF_CHARS + 1);
    return text_of(refs[count++]);
}

struct event fold_status(struct fold *fold, const char *id, int64_t minute, const char *carrier,
                         const char *customer_id, const char *shipment_id, int64_t parcel,
                         enum delivery_status status) {
    struct event event = fold_fact(DELIVERY_STATUS, id, minute, delivery_status_names[status]);
    struct ref ref =
        ref_shipment(&fold->ref_key, text_of(carrier), text_of(customer_id), text_of(shipment_id));
    event.version.source = event.sender = text_of(carrier);
    event.as.delivery.shipment_ref = kept_ref(ref.chars);
    event.as.delivery.parcel = parcel;
    event.as.delivery.status = status;
    return event;
}

struct event fold_acknowledged(struct fold *fold, const char *id, int64_t minute, const char *carrier,
                               struct text notice_ref, enum ack_outcome outcome) {
    char chars[REF_CHARS + 1] = {0};
    struct event event = fold_fact(NOTICE_ACKNOWLEDGED, id, minute, ack_outcome_names[outcome]);
    (void)fold;
    assert_int_equal(notice_ref.size, REF_CHARS);
    memcpy(chars, notice_ref.at, REF_CHARS);
    event.version.source = event.sender = text_of(carrier);
    event.as.ack.notice_ref = kept_ref(chars);
    event.as.ack.outcome = outcome;
    if (outcome == ACK_RETAINED) {
        event.as.ack.ground = TEXT("complaint under way");
        event.as.ack.until = TEXT("2026-12-24");
    }
    return event;
}

struct event fold_about(enum event_type type, const char *id, int64_t minute, const char *customer_id) {
    struct event event = fold_fact(type, id, minute, "");
    event.customer_id = text_of(customer_id);
    return event;
}

struct event fold_asked(const char *id, int64_t minute, const char *request_id, const char *person,
                        const char *identity) {
    struct event event = fold_fact(REQUEST_RECEIVED, id, minute, request_id);
    event.as.request.request_id = text_of(request_id);
    event.as.request.kind = TEXT("erasure");
    event.as.request.channel = TEXT("email");
    event.as.request.identity = text_of(identity);
    if (!person)
        event.as.request.contact_hash =
            TEXT("00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff");
    else if (strncmp(person, "recipient:", 10) == 0)
        event.as.request.recipient_id = text_of(person + 10);
    else
        event.customer_id = text_of(person);
    return event;
}

struct event fold_identified(const char *id, int64_t minute, const char *request_id, const char *identity) {
    struct event event = fold_fact(REQUEST_IDENTIFIED, id, minute, identity);
    event.as.request.request_id = text_of(request_id);
    event.as.request.identity = text_of(identity);
    return event;
}

struct event fold_tied(const char *id, int64_t minute, const char *request_id, const char *person) {
    struct event event = fold_fact(COMMAND_TIED, id, minute, person);
    event.as.tied.request_id = text_of(request_id);
    event.as.tied.person = text_of(person);
    return event;
}

struct text fold_notice_ref(struct fold *fold, const struct output *output) {
    struct json *body;
    assert_int_equal(json_parse(output->body, 0, &fold->kept, &body), JSON_FINE);
    return json_member_text(body, "notice_ref");
}
