/* What shipments' events must find loaded: their orders and those orders' other shipments, whoever is told of
 * them, and the refs of the notices that the events may cause. */
#include "core/decide/effect.h"
#include "core/decide/needs.h"

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
    unsigned cells = abroad ? NEED_CLAIM | NEED_VOUCHER : NEED_NO_CELL;
    if (needs_concerns(asking, customer_id))
        cells |= NEED_ORDER_CELLS; /* the order may move to another generation */
    TRY(ask(asking, NEED_ORDER, customer_id, order_id, cells));
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

/* The notices that this event would cause if `held` were held when its turn comes; wanted: what it would have
 * held instead, NULL when it cancels. */
static enum outcome notice_needs(struct asking *asking, const struct shipment *shipment,
                                 const struct unit *held, const struct unit *wanted) {
    struct ref about = unit_ref(asking->ref_key, shipment, held);
    bool moves = needs_concerns(asking, held->person); /* its generation may be another by then */
    if (moves || (wanted && unit_same(held, wanted)))
        TRY(ask_notice_ref(asking, &about, "corrected", 0));
    if (!moves && wanted && unit_same(held, wanted))
        return OK;
    TRY(ask_notice_ref(asking, &about, "withdrawn", 0));
    if (!moves && wanted && unit_same_person(held, wanted))
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
        if (!hint->again && hint->event != asking->event) {
            hint->again = true;
            state_hinted(asking->state);
        }
        return OK;
    }
    struct unit_hint *hint = count < HINTS_MOST ? ARENA_NEW(asking->arena, struct unit_hint) : NULL;
    if (!hint)
        return RETRY;
    *hint = (struct unit_hint){.next = shipment->hints, .unit = *unit, .event = asking->event};
    shipment->hints = hint;
    state_hinted(asking->state);
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

/* Whoever is or becomes the consignee may be an erased person; another event of the batch may show that the
 * shipment is older than this one says. */
static enum outcome consignee_needs(struct asking *asking, struct text person) {
    TRY(ask_person(asking, person));
    struct person *guard = state_find_guard(asking->state, person);
    if (guard && !guard->hint.shipping) {
        guard->hint.shipping = true;
        state_hinted(asking->state);
    }
    return needs_follow(asking, person, 0);
}

enum outcome needs_requested(struct asking *asking) {
    const struct event *event = asking->event;
    struct text shipment_id = event->as.shipment.shipment_id;
    struct text consignee = shipment_consignee(event, asking->arena);
    if (!text_present(consignee))
        return RETRY;
    TRY(ask_person(asking, event->customer_id));
    TRY(shipped_order_needs(asking, event->customer_id, event->as.shipment.order_id, shipment_id, true));
    struct shipment *shipment = state_find_shipment(asking->state, event->customer_id, shipment_id);
    TRY(erasure_lost_needs(asking, consignee));
    if (!shipment) {
        TRY(consignee_needs(asking, consignee));
        TRY(ask_shipment_ref(asking)); /* it may stay unknown: there is no next round for what has no row */
        return ask(asking, NEED_SHIPMENT, event->customer_id, shipment_id, NEED_NO_CELL);
    }
    TRY(consignee_needs(asking, consignee));
    TRY(consignee_needs(asking, shipment->person));
    for (size_t i = 0; i < shipment->named.count; i++) /* they follow when it turns out to be older */
        TRY(ask_person(asking, shipment->named.at[i]));
    TRY(known_shipment_needs(asking, shipment, true));
    if (!carrier_told(shipment, event->as.shipment.carrier))
        TRY(ask_shipment_ref(asking));
    bool moves = needs_concerns(asking, shipment->person);
    bool wins = version_compare(&event->version, &shipment->version) > 0;
    if ((!wins && !moves) || shipment->cancelled_us != TIME_NONE)
        return ask(asking, NEED_SHIPMENT, event->customer_id, shipment_id,
                   moves ? NEED_DELIVERY : NEED_NO_CELL); /* tells nobody */
    struct unit wanted = stated_unit(asking, shipment, consignee);
    TRY(ask(asking, NEED_SHIPMENT, event->customer_id, shipment_id,
            moves || unit_held(shipment) ? NEED_DELIVERY : NEED_NO_CELL));
    return all_notice_needs(asking, shipment, &wanted);
}

enum outcome needs_cancelled(struct asking *asking) {
    const struct event *event = asking->event;
    struct text shipment_id = event->as.shipment.shipment_id;
    TRY(ask_person(asking, event->customer_id));
    TRY(ask(asking, NEED_SHIPMENT, event->customer_id, shipment_id, NEED_NO_CELL));
    struct shipment *shipment = state_find_shipment(asking->state, event->customer_id, shipment_id);
    if (!shipment)
        return OK;
    TRY(known_shipment_needs(asking, shipment, false));
    TRY(consignee_needs(asking, shipment->person));
    return shipment->cancelled_us == TIME_NONE ? all_notice_needs(asking, shipment, NULL) : OK;
}

enum outcome needs_status(struct asking *asking, const struct shipment *shipment) {
    TRY(ask_person(asking, shipment->person));
    TRY(needs_follow(asking, shipment->person, shipment->first_version.time_us));
    if (asking->event->as.delivery.status != STATUS_DELIVERED)
        return OK; /* only a delivery can move a clock */
    return shipped_order_needs(asking, shipment->customer_id, shipment->order_id, shipment->shipment_id,
                               false);
}
