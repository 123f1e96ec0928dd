/* The one table of event types, the names of their parts, and the order of versions. */
#include "core/event.h"

const struct event_info event_infos[EVENT_TYPES] = {
    [CUSTOMER_REGISTERED] = {"shop.customer.registered", "shop.customer.v1", KEY_CUSTOMER, true},
    [CUSTOMER_CHANGED] = {"shop.customer.changed", "shop.customer.v1", KEY_CUSTOMER, true},
    [CUSTOMER_SEEN] = {"shop.customer.seen", "shop.customer.v1", KEY_CUSTOMER, true},
    [CUSTOMER_CLOSED] = {"shop.customer.closed", "shop.customer.v1", KEY_CUSTOMER, true},
    [CUSTOMER_MERGED] = {"shop.customer.merged", "shop.customer.v1", KEY_CUSTOMER, false},
    [ORDER_PLACED] = {"shop.order.placed", "shop.order.v1", KEY_CUSTOMER, true},
    [ORDER_CHANGED] = {"shop.order.changed", "shop.order.v1", KEY_CUSTOMER, true},
    [ORDER_PAID] = {"shop.order.paid", "shop.order.v1", KEY_CUSTOMER, true},
    [ORDER_CANCELLED] = {"shop.order.cancelled", "shop.order.v1", KEY_CUSTOMER, true},
    [SHIPMENT_REQUESTED] = {"shop.shipment.requested", "shop.shipment.v1", KEY_CUSTOMER, true},
    [SHIPMENT_CHANGED] = {"shop.shipment.changed", "shop.shipment.v1", KEY_CUSTOMER, true},
    [SHIPMENT_CANCELLED] = {"shop.shipment.cancelled", "shop.shipment.v1", KEY_CUSTOMER, true},
    [RETURN_REQUESTED] = {"shop.return.requested", "shop.return.v1", KEY_CUSTOMER, false},
    [RETURN_RECEIVED] = {"shop.return.received", "shop.return.v1", KEY_CUSTOMER, false},
    [RETURN_REFUNDED] = {"shop.return.refunded", "shop.return.v1", KEY_CUSTOMER, false},
    [CONSENT_GRANTED] = {"shop.consent.granted", "shop.consent.v1", KEY_CUSTOMER, true},
    [CONSENT_WITHDRAWN] = {"shop.consent.withdrawn", "shop.consent.v1", KEY_CUSTOMER_OR_TOKEN, true},
    [CONSENT_OBJECTED] = {"shop.consent.objected", "shop.consent.v1", KEY_CUSTOMER_OR_TOKEN, true},
    [REQUEST_RECEIVED] = {"privacy.request.received", "privacy.request.v1", KEY_REQUEST, true},
    [REQUEST_IDENTIFIED] = {"privacy.request.identified", "privacy.request.v1", KEY_REQUEST, true},
    [DELIVERY_STATUS] = {"carrier.delivery.status", "carrier", KEY_REF, true},
    [NOTICE_ACKNOWLEDGED] = {"carrier.notice.acknowledged", "carrier", KEY_REF, true},
    [COMMAND_TIED] = {"register.command", "register.command.v1", KEY_REQUEST, true},
    [CALENDAR_PARKED_EXPIRED] = {"calendar.parked.expired", NULL, KEY_NONE, true},
    [CALENDAR_PARKED_LEARNT] = {"calendar.parked.learnt", NULL, KEY_NONE, true},
    [CALENDAR_RESTORED] = {"calendar.restored", NULL, KEY_NONE, true},
    [CALENDAR_RETOLD] = {"calendar.retold", NULL, KEY_NONE, true},
};

const char *const contact_field_names[CONTACT_FIELDS] = {
    [FIRST_NAME] = "first_name", [LAST_NAME] = "last_name", [STREET] = "street",
    [POSTCODE] = "postcode",     [CITY] = "city",           [COUNTRY] = "country",
    [PHONE] = "phone",           [EMAIL] = "email",
};

const char *const delivery_status_names[DELIVERY_STATUSES] = {
    [STATUS_UNKNOWN] = "unknown",
    [STATUS_ERROR] = "error",
    [STATUS_PRE_TRANSIT] = "pre_transit",
    [STATUS_IN_TRANSIT] = "in_transit",
    [STATUS_OUT_FOR_DELIVERY] = "out_for_delivery",
    [STATUS_AVAILABLE_FOR_PICKUP] = "available_for_pickup",
    [STATUS_FAILURE] = "failure",
    [STATUS_CANCELLED] = "cancelled",
    [STATUS_RETURN_TO_SENDER] = "return_to_sender",
    [STATUS_DELIVERED] = "delivered",
};

const char *const ack_outcome_names[ACK_OUTCOMES] = {
    [ACK_ERASED] = "erased",         [ACK_CORRECTED] = "corrected",
    [ACK_RESTRICTED] = "restricted", [ACK_UNRESTRICTED] = "unrestricted",
    [ACK_RETAINED] = "retained",     [ACK_UNKNOWN_PERSON] = "unknown_person",
};

const char *const reason_names[REASONS] = {
    [REASON_NONE] = "none",
    [REASON_TOMBSTONE] = "tombstone",
    [REASON_TOO_LARGE] = "too_large",
    [REASON_NOT_UTF8] = "not_utf8",
    [REASON_NOT_JSON] = "not_json",
    [REASON_TWO_DOCUMENTS] = "two_documents",
    [REASON_TOO_DEEP] = "too_deep",
    [REASON_DUPLICATE_KEY] = "duplicate_key",
    [REASON_NUL_CHARACTER] = "nul_character",
    [REASON_LONE_SURROGATE] = "lone_surrogate",
    [REASON_NOT_CLOUDEVENT] = "not_cloudevent",
    [REASON_UNKNOWN_TYPE] = "unknown_type",
    [REASON_UNKNOWN_VERSION] = "unknown_version",
    [REASON_WRONG_TOPIC] = "wrong_topic",
    [REASON_TIME_MISSING] = "time_missing",
    [REASON_TIME_INVALID] = "time_invalid",
    [REASON_TIME_AHEAD] = "time_ahead",
    [REASON_FIELD_MISSING] = "field_missing",
    [REASON_FIELD_TYPE] = "field_type",
    [REASON_FIELD_RANGE] = "field_range",
    [REASON_BAD_ID] = "bad_id",
    [REASON_KEY_MISMATCH] = "key_mismatch",
    [REASON_GUEST_MISMATCH] = "guest_mismatch",
    [REASON_UNKNOWN_CARRIER] = "unknown_carrier",
    [REASON_UNKNOWN_SERVICE] = "unknown_service",
    [REASON_COUNTRY_NOT_SERVED] = "country_not_served",
    [REASON_NOT_SUPPORTED] = "not_supported",
    [REASON_NOT_YOURS] = "not_yours",
    [REASON_UNKNOWN_REF] = "unknown_ref",
    [REASON_REFUSED_BY_DATABASE] = "refused_by_database",
};

/* Unsigned decimals of any length without leading zeros: more digits are more. */
static int sequence_compare(struct text a, struct text b) {
    if (a.at && b.at && a.size != b.size) {
        return a.size < b.size ? -1 : 1;
    }
    return text_compare(a, b);
}

int version_compare(const struct version *a, const struct version *b) {
    if (a->time_us != b->time_us) {
        return a->time_us < b->time_us ? -1 : 1; /* VERSION_NONE is below 1970 */
    }
    if (a->time_us == VERSION_NONE) {
        return 0;
    }
    if (a->protective != b->protective) {
        return a->protective ? 1 : -1;
    }
    int order = sequence_compare(a->sequence, b->sequence);
    if (!order) {
        order = text_compare(a->source, b->source);
    }
    if (!order) {
        order = text_compare(a->id, b->id);
    }
    return order ? order : memcmp(a->digest, b->digest, DIGEST_BYTES);
}
