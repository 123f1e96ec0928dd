/* The rules between fields, in the order of their reasons. */
#include "consumer/decode_rules.h"

#include "consumer/decode_envelope.h"

/* ---- conditional fields ---- */

static bool member_says(const struct json *data, const char *name, const char *word) {
    return text_is(json_member_text(data, name), word);
}

static void require(const struct json *data, const char *name, struct refusal *refusal) {
    if (!json_member(data, name)) {
        refuse(refusal, REASON_FIELD_MISSING, name);
    }
}

/* Both or neither is a matter of type. */
static void require_one_of(const struct json *object, const char *const *names, size_t count,
                           const char *detail, struct refusal *refusal) {
    size_t present = 0;
    if (!object || object->type != JSON_OBJECT) {
        return; /* said already */
    }
    for (size_t i = 0; i < count; i++) {
        present += json_member(object, names[i]) != NULL;
    }
    if (present != 1) {
        refuse(refusal, REASON_FIELD_TYPE, detail);
    }
}

void rules_conditional(const struct json *data, enum event_type type, struct refusal *refusal) {
    static const char *const who[] = {"customer_id", "token"};
    static const char *const subject[] = {"customer_id", "recipient_id", "email", "phone"};
    switch (type) {
    case CUSTOMER_REGISTERED: {
        const struct json *contact = json_member(data, "contact");
        const struct json *email = json_member(contact, "email");
        if (contact && contact->type == JSON_OBJECT && (!email || email->type == JSON_NULL)) {
            refuse(refusal, REASON_FIELD_MISSING, "contact.email");
        }
        break;
    }
    case ORDER_PLACED:
    case ORDER_CHANGED: {
        const struct json *guest = json_member(data, "guest");
        if (guest && guest->type == JSON_BOOL && guest->boolean) {
            require(data, "buyer", refusal);
        }
        break;
    }
    case SHIPMENT_REQUESTED:
    case SHIPMENT_CHANGED:
        if (member_says(data, "direction", "return")) {
            require(data, "return_id", refusal);
        }
        break;
    case CONSENT_GRANTED:
        if (member_says(data, "basis", "soft_opt_in")) {
            require(data, "order_id", refusal);
        }
        break;
    case CONSENT_WITHDRAWN:
    case CONSENT_OBJECTED:
        require_one_of(data, who, 2, "customer_id or token", refusal);
        break;
    case REQUEST_RECEIVED:
        require_one_of(json_member(data, "subject"), subject, 4, "subject", refusal);
        if (member_says(data, "kind", "rectification")) {
            require(data, "changes", refusal);
        } else if (member_says(data, "kind", "objection")) {
            require(data, "purpose", refusal);
        }
        break;
    case NOTICE_ACKNOWLEDGED:
        if (member_says(data, "outcome", "retained")) {
            require(data, "ground", refusal);
            require(data, "until", refusal);
        }
        break;
    default:
        break;
    }
}

/* ---- against key, guest rule, policy ---- */

#define ID_MOST 64

/* A command says whose request it is inside its seal, and the key is bound to that (command.c). */
static struct text key_of_command(const struct record *record) {
    bool may_be = record->key.at && record->key.size >= 1 && record->key.size <= ID_MOST;
    return may_be ? record->key : TEXT_ABSENT;
}

static struct text key_expected(const struct json *data, const struct record *record,
                                const struct event *event) {
    switch (event_infos[event->type].key) {
    case KEY_CUSTOMER:
        return event->customer_id;
    case KEY_REQUEST:
        return event->type == COMMAND_TIED ? key_of_command(record) : event->as.request.request_id;
    case KEY_REF:
        return event->type == DELIVERY_STATUS ? event->as.delivery.shipment_ref : event->as.ack.notice_ref;
    case KEY_CUSTOMER_OR_TOKEN:
        return event->customer_id.at ? event->customer_id : json_member_text(data, "token");
    case KEY_NONE:
        break;
    }
    return TEXT_ABSENT;
}

static bool is_guest_id(struct text customer_id) {
    return customer_id.size >= 6 && memcmp(customer_id.at, "guest:", 6) == 0;
}

/* A guest lives for one order: where an event names an order, the guest's id must name the same one. */
static bool guest_mismatch(const struct json *data, const struct event *event) {
    struct text customer_id = event->customer_id, order_id = json_member_text(data, "order_id");
    enum event_key key = event_infos[event->type].key;
    if (key != KEY_CUSTOMER && key != KEY_CUSTOMER_OR_TOKEN) {
        return false; /* a request's subject may be a guest: no order stands beside it */
    }
    bool guest_id = is_guest_id(customer_id);
    if (event->type == CUSTOMER_REGISTERED && guest_id) {
        return true;
    }
    if ((event->type == ORDER_PLACED || event->type == ORDER_CHANGED) && event->as.order.guest != guest_id) {
        return true;
    }
    if (!guest_id || !order_id.at) {
        return false;
    }
    return !text_equal((struct text){customer_id.at + 6, customer_id.size - 6}, order_id);
}

static void judge_shipment(const struct event *event, const struct policy *policy, struct refusal *refusal) {
    int index = policy_recipient(policy, event->as.shipment.carrier);
    if (index < 0 || !policy->recipients[index].country_count) {
        refuse(refusal, REASON_UNKNOWN_CARRIER, "carrier");
        return;
    }
    const struct policy_recipient *carrier = &policy->recipients[index];
    struct text service = event->as.shipment.service;
    if (!policy_service(carrier, service) || event->as.shipment.is_return != text_is(service, "return")) {
        refuse(refusal, REASON_UNKNOWN_SERVICE, "service");
        return;
    }
    struct text country = event->as.shipment.consignee.field[COUNTRY];
    if (!policy_serves(carrier, country.at ? country : policy->controller.country)) {
        refuse(refusal, REASON_COUNTRY_NOT_SERVED, "consignee.country");
    }
}

void rules_crosswise(const struct json *data, const struct record *record, const struct event *event,
                     const struct policy *policy, struct refusal *refusal) {
    struct text expected = key_expected(data, record, event);
    if (!record->key.at || !text_equal(record->key, expected)) {
        refuse(refusal, REASON_KEY_MISMATCH, "key");
    } else if (guest_mismatch(data, event)) {
        refuse(refusal, REASON_GUEST_MISMATCH, "customer_id");
    } else if (event->type == SHIPMENT_REQUESTED || event->type == SHIPMENT_CHANGED) {
        judge_shipment(event, policy, refusal);
    } else if (event->sender.at && policy_recipient(policy, event->sender) < 0) {
        refuse(refusal, REASON_UNKNOWN_CARRIER, "topic");
    }
    if (!event_infos[event->type].built) {
        refuse(refusal, REASON_NOT_SUPPORTED, event_infos[event->type].name);
    }
}
