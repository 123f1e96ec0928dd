/* The structs that travel, and the one table of event types.
 *
 * A record is what Kafka handed over; an event is what decode made of it: valid, typed, its texts in the
 * batch's arena. Fields of SPEC section 7 and events.json. No third-party header here. */
#ifndef KR_EVENT_H
#define KR_EVENT_H

#include "core/arena.h"
#include "core/text.h"
#include <stdbool.h>
#include <stdint.h>

/* ---- what Kafka hands over ---- */

struct record_header {
    struct text name, value; /* value absent = null */
};

struct record {
    struct text topic;
    int32_t partition;
    int64_t offset;
    int64_t timestamp_ms; /* -1 = none */
    struct text key;      /* absent = none */
    struct text value;    /* absent = tombstone */
    const struct record_header *headers;
    size_t header_count;
};

/* ---- event types ---- */

enum event_type {
    CUSTOMER_REGISTERED,
    CUSTOMER_CHANGED,
    CUSTOMER_SEEN,
    CUSTOMER_CLOSED,
    CUSTOMER_MERGED,
    ORDER_PLACED,
    ORDER_CHANGED,
    ORDER_PAID,
    ORDER_CANCELLED,
    SHIPMENT_REQUESTED,
    SHIPMENT_CHANGED,
    SHIPMENT_CANCELLED,
    RETURN_REQUESTED,
    RETURN_RECEIVED,
    RETURN_REFUNDED,
    CONSENT_GRANTED,
    CONSENT_WITHDRAWN,
    CONSENT_OBJECTED,
    REQUEST_RECEIVED,
    REQUEST_IDENTIFIED,
    DELIVERY_STATUS,
    NOTICE_ACKNOWLEDGED,
    COMMAND_TIED,      /* an employee tied a case to a person (register.command.v1) */
    EVENT_INPUT_TYPES, /* how many come from topics */
    CALENDAR_PARKED_EXPIRED = EVENT_INPUT_TYPES, /* the calendar's act: a parked ref was never learnt */
    CALENDAR_PARKED_LEARNT,                      /* ... it was, but this event was left over */
    CALENDAR_RESTORED, /* a cut that a restored register had lost (restore reconcile); its time is the cut */
    CALENDAR_RETOLD,   /* what a restored register says of a customer's permission is told again */
    EVENT_TYPES
};

/* Whom a record's key must equal. */
enum event_key { KEY_CUSTOMER, KEY_REQUEST, KEY_REF, KEY_CUSTOMER_OR_TOKEN, KEY_NONE };

/* One row of the table in event.c: everything that differs by type and is not an effect. */
struct event_info {
    const char *name;  /* "shop.order.placed", without ".v1" */
    const char *topic; /* "shop.order.v1"; "carrier" for carrier.<name>.v1; NULL for the calendar */
    enum event_key key;
    bool built; /* false: a valid one becomes the dead letter not_supported */
};
extern const struct event_info event_infos[EVENT_TYPES];

/* ---- parts ---- */

enum contact_field { FIRST_NAME, LAST_NAME, STREET, POSTCODE, CITY, COUNTRY, PHONE, EMAIL, CONTACT_FIELDS };
extern const char *const contact_field_names[CONTACT_FIELDS]; /* "first_name", ... */

/* Personal. `stated[f]` false: no statement. Stated with an absent text: cleared (null). Texts are NFC. */
struct contact {
    struct text field[CONTACT_FIELDS];
    bool stated[CONTACT_FIELDS];
};

struct line {
    struct text sku, name, product_class; /* name, product_class may be absent */
    int64_t quantity, price;              /* price in minor units */
};

struct notice_text {
    struct text id, sha256, language;
};

enum delivery_status {
    STATUS_UNKNOWN, /* in the order of rank, SEMANTICS.md */
    STATUS_ERROR,
    STATUS_PRE_TRANSIT,
    STATUS_IN_TRANSIT,
    STATUS_OUT_FOR_DELIVERY,
    STATUS_AVAILABLE_FOR_PICKUP,
    STATUS_FAILURE,
    STATUS_CANCELLED,
    STATUS_RETURN_TO_SENDER,
    STATUS_DELIVERED,
    DELIVERY_STATUSES
};
extern const char *const delivery_status_names[DELIVERY_STATUSES];
#define STATUS_CLOSES STATUS_CANCELLED /* ... and every rank above: rank 7 and more closes a parcel */

enum ack_outcome {
    ACK_ERASED,
    ACK_CORRECTED,
    ACK_RESTRICTED,
    ACK_UNRESTRICTED,
    ACK_RETAINED,
    ACK_UNKNOWN_PERSON,
    ACK_OUTCOMES
};
extern const char *const ack_outcome_names[ACK_OUTCOMES];

/* When facts speak about the same thing, the higher version stands: time, then the more protective choice,
 * sequence, source, id, digest (SEMANTICS.md). */
#define DIGEST_BYTES 16
struct version {
    int64_t time_us;      /* 0 and later; VERSION_NONE = no fact yet */
    bool protective;      /* the choice that lets go of more: a null, a cancel */
    struct text sequence; /* decimal digits without leading zeros; absent sorts lowest */
    struct text source, id;
    uint8_t digest[DIGEST_BYTES]; /* keyed digest of the data's canonical JSON, known fields only */
};
#define VERSION_NONE ((int64_t)-1)

/* <0, 0, >0. A version with time VERSION_NONE is below every other. */
int version_compare(const struct version *a, const struct version *b);

/* ---- an event ---- */

struct event {
    enum event_type type;
    struct version version; /* time, sequence, source, id, digest; protective is the field's business */
    /* where it came from */
    struct text topic;
    int32_t partition;
    int64_t offset, timestamp_ms;
    struct text sender; /* recipient whose topic it is (carrier.<name>.v1), absent on the shop's */

    struct text customer_id;
    union {
        struct {
            bool account; /* kind: account, else subscriber */
            struct contact contact;
            struct notice_text notice;
            /* keyed hashes of what it states, 64 hex digits; absent: not stated, or cleared */
            struct text email_hash, phone_hash;
        } customer; /* registered, changed */
        struct {
            struct text merged_customer_id;
        } merged;
        struct {
            struct text order_id;
            bool guest, has_buyer;
            struct contact buyer;
            struct text currency;
            int64_t total;
            struct line *lines;
            size_t line_count;
        } order; /* placed, changed; cancelled uses order_id only */
        struct {
            struct text order_id, currency;
            int64_t amount;
        } payment; /* paid */
        struct {
            struct text shipment_id, order_id;
            struct text recipient_id; /* absent = the customer */
            struct contact consignee;
            bool is_return; /* direction */
            struct text return_id, carrier, service, pickup_point;
            int64_t parcels;
        } shipment; /* requested, changed; cancelled uses the two ids only */
        struct {
            struct text return_id, order_id, reason, currency;
            struct line *lines;
            size_t line_count;
            int64_t amount;
        } returned;
        struct {
            struct text token; /* instead of customer_id */
            struct text purpose, channel, basis, order_id, method;
            bool has_confirmed, confirmed;
            struct notice_text wording;
        } consent;
        struct {
            struct text request_id, kind, recipient_id, email, phone, channel, identity, purpose;
            struct text contact_hash; /* of e-mail or phone */
            struct contact changes;
            bool has_changes;
        } request;
        struct {
            struct text request_id, person; /* person: "c1" or "recipient:r1" */
            struct text sealed;             /* as it came; the others are made of it when it is opened */
        } tied;
        struct {
            struct text shipment_ref;
            int64_t parcel; /* 0 = absent: all of them */
            enum delivery_status status;
        } delivery;
        struct {
            struct text notice_ref;
            enum ack_outcome outcome;
            struct text ground, until; /* retained only */
        } ack;
        struct {
            struct text ref;            /* what was parked, by topic/partition/offset above */
            const struct event *waited; /* of CALENDAR_PARKED_LEARNT: the event, whole */
        } parked;                       /* the calendar */
        struct {
            struct text person; /* "c1" or "recipient:r1" */
            bool by_request;    /* of CALENDAR_RESTORED: else by customer.closed */
        } restored;
    } as;
};

/* ---- why a record was refused ---- */

enum reason {
    REASON_NONE = 0, /* numbered as in SEMANTICS.md: the lowest wins */
    REASON_TOMBSTONE,
    REASON_TOO_LARGE,
    REASON_NOT_UTF8,
    REASON_NOT_JSON,
    REASON_TWO_DOCUMENTS,
    REASON_TOO_DEEP,
    REASON_DUPLICATE_KEY,
    REASON_NUL_CHARACTER,
    REASON_LONE_SURROGATE,
    REASON_NOT_CLOUDEVENT,
    REASON_UNKNOWN_TYPE,
    REASON_UNKNOWN_VERSION,
    REASON_WRONG_TOPIC,
    REASON_TIME_MISSING,
    REASON_TIME_INVALID,
    REASON_TIME_AHEAD,
    REASON_FIELD_MISSING,
    REASON_FIELD_TYPE,
    REASON_FIELD_RANGE,
    REASON_BAD_ID,
    REASON_KEY_MISMATCH,
    REASON_GUEST_MISMATCH,
    REASON_UNKNOWN_CARRIER,
    REASON_UNKNOWN_SERVICE,
    REASON_COUNTRY_NOT_SERVED,
    REASON_NOT_SUPPORTED,
    REASON_NOT_YOURS,
    REASON_UNKNOWN_REF,
    REASON_REFUSED_BY_DATABASE,
    REASONS
};
extern const char *const reason_names[REASONS];

/* detail names a field of ours or a SQLSTATE, never anything that arrived. */
struct refusal {
    enum reason reason;
    char detail[64];
};

#endif
