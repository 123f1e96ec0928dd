/* What an event must find loaded: rows, and the cells whose content its effect reads. Asked with what the
 * state knows so far, round after round; asking too much costs a read, asking too little is a bug that the
 * effects assert. */
#include "core/decide/needs.h"
#include "core/decide/effect.h"

enum outcome ask(const struct asking *asking, enum need_kind kind, struct text owner, struct text object,
                 unsigned cells) {
    const struct need need = {.kind = kind, .owner = owner, .object = object, .cells = cells};
    return asking->touch(asking->context, &need);
}

enum outcome ask_person(const struct asking *asking, struct text person) {
    return ask(asking, NEED_PERSON, person, TEXT_ABSENT, NEED_NO_CELL);
}

enum outcome ask_notice_ref(struct asking *asking, const struct ref *about, const char *kind, int part) {
    if (!text_present(asking->cause))
        asking->cause = event_cause(asking->event, asking->arena);
    if (!text_present(asking->cause))
        return RETRY;
    struct ref ref = ref_notice(asking->ref_key, about, kind, asking->cause, part);
    struct text kept = arena_text(asking->arena, text_of(ref.chars));
    return text_present(kept) ? ask(asking, NEED_REF, kept, TEXT_ABSENT, NEED_PARKED) : RETRY;
}

/* ---- customers ---- */

static enum outcome customer_needs(struct asking *asking) {
    const struct event *event = asking->event;
    bool states = event->type == CUSTOMER_REGISTERED || event->type == CUSTOMER_CHANGED;
    int64_t generation = state_generation_at(asking->state, event->customer_id, event->version.time_us);
    const struct person *person = state_find_person(asking->state, event->customer_id, generation);
    struct version version;
    bool wins = false;
    for (size_t f = 0; states && person && f < CONTACT_FIELDS; f++)
        wins |= contact_wins(person, event, (enum contact_field)f, &version);
    TRY(ask(asking, NEED_PERSON, event->customer_id, TEXT_ABSENT, wins ? NEED_PROFILE : NEED_NO_CELL));
    if (event->type == CUSTOMER_CLOSED && erasure_closes(asking->policy))
        return needs_cut(asking, event->customer_id, event->version.time_us);
    return marketing_needs(asking);
}

/* ---- orders ---- */

static bool payment_wins(const struct order *order, const struct version *version) {
    for (size_t i = 0; i < order->payments.count; i++) {
        const struct version *held = &order->payments.at[i].version;
        if (text_equal(held->id, version->id) && text_equal(held->source, version->source))
            return version_compare(version, held) > 0;
    }
    return true;
}

static enum outcome order_needs(struct asking *asking) {
    const struct event *event = asking->event;
    struct text order_id = event->type == ORDER_PAID ? event->as.payment.order_id : event->as.order.order_id;
    const struct order *order = state_find_order(asking->state, event->customer_id, order_id);
    bool states = event->type == ORDER_PLACED || event->type == ORDER_CHANGED;
    unsigned cells = NEED_NO_CELL;
    if (order && event->type == ORDER_PAID && payment_wins(order, &event->version))
        cells = NEED_CLAIM | NEED_VOUCHER;
    else if (order && states && order->payments.count &&
             version_compare(&event->version, &order->version) > 0)
        cells = NEED_VOUCHER; /* its payments stay */
    if (needs_concerns(asking, event->customer_id))
        cells |= NEED_ORDER_CELLS; /* the order may move to another generation */
    TRY(ask_person(asking, event->customer_id));
    TRY(ask(asking, NEED_ORDER, event->customer_id, order_id, cells));
    return marketing_needs(asking);
}

/* ---- carriers ---- */

static enum outcome status_needs(struct asking *asking) {
    const struct event *event = asking->event;
    struct text ref = event->as.delivery.shipment_ref;
    TRY(ask(asking, NEED_REF, ref, TEXT_ABSENT, NEED_NO_CELL));
    const struct ref_entry *entry = state_find_ref(asking->state, ref);
    if (!entry || entry->now != REF_KNOWN || entry->kind != REF_SHIPMENT ||
        !text_equal(entry->recipient, event->sender))
        return OK;
    TRY(ask(asking, NEED_SHIPMENT, entry->customer_id, entry->object_id, NEED_NO_CELL));
    TRY(ask_person(asking, entry->customer_id));
    const struct shipment *shipment =
        state_find_shipment(asking->state, entry->customer_id, entry->object_id);
    return shipment ? needs_status(asking, shipment) : OK;
}

static enum outcome acknowledged_needs(const struct asking *asking) {
    const struct event *event = asking->event;
    struct text ref = event->as.ack.notice_ref;
    TRY(ask(asking, NEED_REF, ref, TEXT_ABSENT, NEED_NO_CELL));
    const struct ref_entry *entry = state_find_ref(asking->state, ref);
    if (!entry || entry->now != REF_KNOWN || entry->kind != REF_NOTICE ||
        !text_equal(entry->recipient, event->sender))
        return OK;
    TRY(ask_person(asking, entry->customer_id));
    return ask(asking, NEED_NOTICE, entry->customer_id, entry->object_id, NEED_NO_CELL);
}

enum outcome decide_needs(const struct event *event, const struct policy *policy,
                          const struct ref_key *ref_key, struct state *state, struct arena *arena,
                          need_touch *touch, void *context) {
    struct asking asking = {.event = event,
                            .policy = policy,
                            .ref_key = ref_key,
                            .state = state,
                            .arena = arena,
                            .touch = touch,
                            .context = context,
                            .person = event->customer_id};
    switch (event->type) {
    case CUSTOMER_REGISTERED:
    case CUSTOMER_CHANGED:
    case CUSTOMER_SEEN:
    case CUSTOMER_CLOSED:
        return customer_needs(&asking);
    case ORDER_PLACED:
    case ORDER_CHANGED:
    case ORDER_PAID:
    case ORDER_CANCELLED:
        return order_needs(&asking);
    case SHIPMENT_REQUESTED:
    case SHIPMENT_CHANGED:
        return needs_requested(&asking);
    case SHIPMENT_CANCELLED:
        return needs_cancelled(&asking);
    case DELIVERY_STATUS:
        return status_needs(&asking);
    case NOTICE_ACKNOWLEDGED:
        return acknowledged_needs(&asking);
    case REQUEST_RECEIVED:
    case REQUEST_IDENTIFIED:
    case COMMAND_TIED:
        return needs_request(&asking);
    case CONSENT_GRANTED:
    case CONSENT_WITHDRAWN:
    case CONSENT_OBJECTED:
        return marketing_needs(&asking);
    case CALENDAR_RESTORED:
        return needs_cut(&asking, event->as.restored.person, event->version.time_us);
    case CALENDAR_RETOLD:
        return ask_person(&asking, event->as.restored.person);
    case CALENDAR_PARKED_EXPIRED:
        return ask(&asking, NEED_REF, event->as.parked.ref, TEXT_ABSENT, NEED_NO_CELL);
    case CALENDAR_PARKED_LEARNT:
        return decide_needs(event->as.parked.waited, policy, ref_key, state, arena, touch, context);
    default:
        return OK; /* no effect yet */
    }
}
