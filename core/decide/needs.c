/* What an event must find loaded: rows, and the cells whose content its effect reads. Asked with what the
 * state knows so far, round after round; asking too much costs a read, asking too little is a bug that the
 * effects assert. */
#include "core/decide/needs.h"
#include "core/decide/effect.h"

/* Who may hold a shipment when a later event of the same batch comes to tell the difference: the notices of
 * that difference have refs, under which answers may be parked. */
struct unit_hint {
    struct unit_hint *next;
    struct unit unit;
    const struct event *event; /* the first of the batch that names it */
    bool again;                /* others name it too */
};
/* More on one shipment in one batch: the batch is halved rather than hashed for seconds. */
#define HINTS_MOST 32

enum outcome ask(const struct asking *asking, enum need_kind kind, struct text owner, struct text object,
                 unsigned cells) {
    const struct need need = {.kind = kind, .owner = owner, .object = object, .cells = cells};
    return asking->touch(asking->context, &need);
}

enum outcome ask_person(const struct asking *asking, struct text person) {
    return ask(asking, NEED_PERSON, person, TEXT_ABSENT, NEED_NO_CELL);
}

/* ---- customers ---- */

static enum outcome customer_needs(const struct asking *asking) {
    const struct event *event = asking->event;
    bool states = event->type == CUSTOMER_REGISTERED || event->type == CUSTOMER_CHANGED;
    int64_t generation = state_generation_at(asking->state, event->customer_id, event->version.time_us);
    const struct person *person = state_find_person(asking->state, event->customer_id, generation);
    struct version version;
    bool wins = false;
    for (size_t f = 0; states && person && f < CONTACT_FIELDS; f++)
        wins |= contact_wins(person, event, (enum contact_field)f, &version);
    return ask(asking, NEED_PERSON, event->customer_id, TEXT_ABSENT, wins ? NEED_PROFILE : NEED_NO_CELL);
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

static enum outcome order_needs(const struct asking *asking) {
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
    TRY(ask_person(asking, event->customer_id));
    return ask(asking, NEED_ORDER, event->customer_id, order_id, cells);
}

/* A sale abroad, now or after this event: its oss cell is written anew. */
static bool may_be_abroad(const struct asking *asking, const struct order *order) {
    const struct policy_category *oss = &asking->policy->categories[CATEGORY_OSS];
    struct text country = asking->event->as.shipment.consignee.field[COUNTRY];
    if (!oss->present || !order->payments.count)
        return false;
    if (!text_present(country))
        country = asking->policy->controller.country;
    bool abroad = !text_equal(country, oss->when_country_not);
    for (size_t i = 0; i < order->shipments.count; i++)
        abroad |= !text_equal(order->shipments.at[i].country, oss->when_country_not);
    return abroad;
}

/* An order whose shipments change: its other outbound ones follow when last_delivered moves. */
static enum outcome shipped_order_needs(const struct asking *asking, struct text customer_id,
                                        struct text order_id, struct text shipment_id, bool states) {
    const struct order *order = state_find_order(asking->state, customer_id, order_id);
    bool abroad = states && order && may_be_abroad(asking, order);
    TRY(ask(asking, NEED_ORDER, customer_id, order_id, abroad ? NEED_CLAIM | NEED_VOUCHER : NEED_NO_CELL));
    for (size_t i = 0; order && i < order->shipments.count; i++) {
        const struct order_shipment *sibling = &order->shipments.at[i];
        if (!sibling->outbound || text_equal(sibling->shipment_id, shipment_id))
            continue;
        TRY(ask(asking, NEED_SHIPMENT, customer_id, sibling->shipment_id, NEED_NO_CELL));
        const struct shipment *shipment =
            state_find_shipment(asking->state, customer_id, sibling->shipment_id);
        if (shipment)
            TRY(ask_person(asking, shipment->person));
    }
    return OK;
}

/* ---- shipments ---- */

enum outcome ask_notice_ref(struct asking *asking, const struct ref *about, const char *kind, int part) {
    if (!text_present(asking->cause))
        asking->cause = event_cause(asking->event, asking->arena);
    if (!text_present(asking->cause))
        return RETRY;
    struct ref ref = ref_notice(asking->ref_key, about, kind, asking->cause, part);
    struct text kept = arena_text(asking->arena, text_of(ref.chars));
    return text_present(kept) ? ask(asking, NEED_REF, kept, TEXT_ABSENT, NEED_PARKED) : RETRY;
}

/* The notices that this event would cause if `held` were held when its turn comes; wanted: what it would have
 * held instead, NULL when it cancels. */
static enum outcome notice_needs(struct asking *asking, const struct shipment *shipment,
                                 const struct unit *held, const struct unit *wanted) {
    struct ref about = unit_ref(asking->ref_key, shipment, held);
    if (wanted && unit_same(held, wanted))
        return ask_notice_ref(asking, &about, "corrected", 0);
    TRY(ask_notice_ref(asking, &about, "withdrawn", 0));
    if (wanted && unit_same_person(held, wanted))
        return OK;
    about = ref_person(asking->ref_key, held->carrier, held->person, held->generation);
    return ask_notice_ref(asking, &about, "anonymize", 0);
}

/* Remembers that this event may make `unit` be held. */
static enum outcome leave_hint(const struct asking *asking, struct shipment *shipment,
                               const struct unit *unit) {
    size_t count = 0;
    for (struct unit_hint *hint = shipment->hints; hint; hint = hint->next, count++) {
        if (!unit_same(&hint->unit, unit))
            continue;
        hint->again |= hint->event != asking->event;
        return OK;
    }
    struct unit_hint *hint = count < HINTS_MOST ? ARENA_NEW(asking->arena, struct unit_hint) : NULL;
    if (!hint)
        return RETRY;
    *hint = (struct unit_hint){.next = shipment->hints, .unit = *unit, .event = asking->event};
    shipment->hints = hint;
    return OK;
}

static enum outcome all_notice_needs(struct asking *asking, struct shipment *shipment,
                                     const struct unit *wanted) {
    for (size_t i = 0; i < shipment->units.count; i++) {
        const struct unit *unit = &shipment->units.at[i];
        if (unit->state == UNIT_ANONYMIZED)
            continue;
        TRY(ask_person(asking, unit->person));
        if (unit->state == UNIT_HELD)
            TRY(notice_needs(asking, shipment, unit, wanted));
    }
    for (const struct unit_hint *hint = shipment->hints; hint; hint = hint->next) {
        if (hint->again || hint->event != asking->event)
            TRY(notice_needs(asking, shipment, &hint->unit, wanted));
    }
    return wanted ? leave_hint(asking, shipment, wanted) : OK;
}

/* The unit that the event asks for, should it win. */
static struct unit stated_unit(const struct asking *asking, const struct shipment *shipment,
                               struct text consignee) {
    const struct event *event = asking->event;
    const struct version *first = &event->version;
    if (shipment->first_version.time_us != VERSION_NONE &&
        version_compare(&shipment->first_version, first) < 0)
        first = &shipment->first_version;
    return (struct unit){.carrier = event->as.shipment.carrier,
                         .service = event->as.shipment.service,
                         .role = text_of(shipment_role(event->as.shipment.is_return)),
                         .person = consignee,
                         .generation = state_generation_at(asking->state, consignee, first->time_us),
                         .parcels = event->as.shipment.parcels};
}

/* A shipment that an event changes: the order it belongs to and its consignee. */
static enum outcome known_shipment_needs(const struct asking *asking, const struct shipment *shipment,
                                         bool states) {
    if (shipment->version.time_us != VERSION_NONE)
        TRY(shipped_order_needs(asking, shipment->customer_id, shipment->order_id, shipment->shipment_id,
                                states));
    return ask_person(asking, shipment->person);
}

static enum outcome ask_shipment_ref(const struct asking *asking) {
    const struct event *event = asking->event;
    struct ref ref = ref_shipment(asking->ref_key, event->as.shipment.carrier, event->customer_id,
                                  event->as.shipment.shipment_id);
    struct text kept = arena_text(asking->arena, text_of(ref.chars));
    return text_present(kept) ? ask(asking, NEED_REF, kept, TEXT_ABSENT, NEED_PARKED) : RETRY;
}

static enum outcome requested_needs(struct asking *asking) {
    const struct event *event = asking->event;
    struct text shipment_id = event->as.shipment.shipment_id;
    struct text consignee = shipment_consignee(event, asking->arena);
    if (!text_present(consignee))
        return RETRY;
    TRY(ask_person(asking, event->customer_id));
    TRY(ask_person(asking, consignee));
    TRY(shipped_order_needs(asking, event->customer_id, event->as.shipment.order_id, shipment_id, true));
    struct shipment *shipment = state_find_shipment(asking->state, event->customer_id, shipment_id);
    if (!shipment) {
        if (event->type == SHIPMENT_REQUESTED) /* most are new: their ref is wanted, and a round is saved */
            TRY(ask_shipment_ref(asking));
        return ask(asking, NEED_SHIPMENT, event->customer_id, shipment_id, NEED_NO_CELL);
    }
    TRY(known_shipment_needs(asking, shipment, true));
    if (!carrier_told(shipment, event->as.shipment.carrier))
        TRY(ask_shipment_ref(asking));
    if (version_compare(&event->version, &shipment->version) <= 0 || shipment->cancelled_us != TIME_NONE)
        return ask(asking, NEED_SHIPMENT, event->customer_id, shipment_id, NEED_NO_CELL); /* tells nobody */
    struct unit wanted = stated_unit(asking, shipment, consignee);
    TRY(ask(asking, NEED_SHIPMENT, event->customer_id, shipment_id,
            unit_held(shipment) ? NEED_DELIVERY : NEED_NO_CELL));
    return all_notice_needs(asking, shipment, &wanted);
}

static enum outcome cancelled_needs(struct asking *asking) {
    const struct event *event = asking->event;
    struct text shipment_id = event->as.shipment.shipment_id;
    TRY(ask_person(asking, event->customer_id));
    TRY(ask(asking, NEED_SHIPMENT, event->customer_id, shipment_id, NEED_NO_CELL));
    struct shipment *shipment = state_find_shipment(asking->state, event->customer_id, shipment_id);
    if (!shipment)
        return OK;
    TRY(known_shipment_needs(asking, shipment, false));
    return shipment->cancelled_us == TIME_NONE ? all_notice_needs(asking, shipment, NULL) : OK;
}

/* ---- carriers ---- */

static enum outcome status_needs(const struct asking *asking) {
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
    if (!shipment)
        return OK;
    TRY(ask_person(asking, shipment->person));
    if (event->as.delivery.status != STATUS_DELIVERED)
        return OK; /* only a delivery can move a clock */
    return shipped_order_needs(asking, shipment->customer_id, shipment->order_id, shipment->shipment_id,
                               false);
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
                            .context = context};
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
        return requested_needs(&asking);
    case SHIPMENT_CANCELLED:
        return cancelled_needs(&asking);
    case DELIVERY_STATUS:
        return status_needs(&asking);
    case NOTICE_ACKNOWLEDGED:
        return acknowledged_needs(&asking);
    case CALENDAR_PARKED_EXPIRED:
        return ask(&asking, NEED_REF, event->as.parked.ref, TEXT_ABSENT, NEED_NO_CELL);
    case CALENDAR_PARKED_LEARNT:
        return decide_needs(event->as.parked.waited, policy, ref_key, state, arena, touch, context);
    default:
        return OK; /* no effect yet */
    }
}
