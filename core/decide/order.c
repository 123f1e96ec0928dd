/* What orders' events do, and what an order knows of its shipments. */
#include "core/decide/effect.h"

enum outcome order_touch(struct decision *decision, struct order *order) {
    order->touched = true;
    return person_touch(decision, order->customer_id, order->generation);
}

/* The generation of the earliest placed or changed, else of the earliest fact. */
static bool order_regenerate(const struct decision *decision, struct order *order) {
    int64_t time_us = order->first_version_us != TIME_NONE ? order->first_version_us : order->first_fact_us;
    int64_t generation = state_generation_at(decision->state, order->customer_id, time_us);
    if (generation == order->generation)
        return false;
    order->generation = generation;
    cell_moves(&order->claim); /* another generation is another ring */
    cell_moves(&order->voucher);
    cell_moves(&order->oss);
    return true;
}

/* A claim that the policy erases on request goes with the last cut not earlier than what it was made of;
 * those beside it under the same keys are sealed anew by store. */
static enum outcome claim_cut(struct decision *decision, struct order *order) {
    if (decision->policy->categories[CATEGORY_CLAIM].on_request != ON_REQUEST_ERASE ||
        order->version.time_us > state_newest_generation(decision->state, order->customer_id))
        return OK;
    bool sealed = text_present(order->claim.sealed);
    if (!cell_drop(&order->claim))
        return OK;
    TRY(order_touch(decision, order));
    return sealed ? erasure_doom_rings(decision, order->customer_id, CATEGORY_CLAIM) : OK;
}

enum outcome order_recut(struct decision *decision, struct order *order) {
    if (order_regenerate(decision, order))
        TRY(order_touch(decision, order));
    return claim_cut(decision, order);
}

static bool claim_keep_until(const struct decision *decision, struct order *order) {
    bool erased = decision->policy->categories[CATEGORY_CLAIM].on_request == ON_REQUEST_ERASE &&
                  !cell_present(&order->claim) && !order->claim.rewritten;
    if (order->version.time_us == VERSION_NONE || erased)
        return false;
    struct clocks clocks = clocks_none();
    clocks.at_us[CLOCK_LAST_DELIVERED] = order->last_delivered_us;
    clocks.at_us[CLOCK_ORDER_CLOSED] =
        order->cancelled_us != TIME_NONE ? order->cancelled_us : order->last_delivered_us;
    clocks.at_us[CLOCK_RECORDED] = order->recorded_us;
    return cell_keep_until(&order->claim,
                           policy_until(decision->policy, CATEGORY_CLAIM, &clocks, order->product_classes.at,
                                        order->product_classes.count));
}

/* ---- shipments of an order ---- */

struct text order_oss_country(const struct order *order) {
    const struct order_shipment *first = NULL;
    for (size_t i = 0; i < order->shipments.count; i++) {
        const struct order_shipment *shipment = &order->shipments.at[i];
        if (!shipment->outbound)
            continue;
        /* the list is by shipment_id, so that the smaller id stays first among equals */
        if (!first || version_compare(&shipment->first_version, &first->first_version) < 0)
            first = shipment;
    }
    return first ? first->country : TEXT_ABSENT;
}

/* All parcels of all uncancelled outbound shipments are there: the latest of their times. */
static int64_t order_last_delivered_us(const struct order *order) {
    int64_t last_us = TIME_NONE;
    for (size_t i = 0; i < order->shipments.count; i++) {
        const struct order_shipment *shipment = &order->shipments.at[i];
        if (!shipment->outbound || shipment->cancelled)
            continue;
        if (shipment->delivered_us == TIME_NONE)
            return TIME_NONE;
        latest(&last_us, shipment->delivered_us);
    }
    return last_us;
}

/* The list of shipments changed: whatever hangs on it follows. */
static enum outcome order_shipments_changed(struct decision *decision, struct order *order,
                                            struct text country_before) {
    TRY(order_touch(decision, order));
    if (!text_equal(country_before, order_oss_country(order)))
        TRY(order_write_cells(decision, order, ORDER_COUNTRY, TEXT_ABSENT));
    int64_t last_us = order_last_delivered_us(order);
    if (last_us == order->last_delivered_us)
        return OK;
    order->last_delivered_us = last_us;
    claim_keep_until(decision, order);
    for (size_t i = 0; i < order->shipments.count; i++) {
        if (!order->shipments.at[i].outbound)
            continue;
        struct shipment *shipment =
            state_shipment(decision->state, order->customer_id, order->shipments.at[i].shipment_id);
        if (!shipment)
            return RETRY;
        assert(shipment->version.time_us != VERSION_NONE); /* decide_needs asks for them */
        TRY(shipment_keep_until(decision, shipment, order));
    }
    return OK;
}

static bool order_shipment_equal(const struct order_shipment *a, const struct order_shipment *b) {
    return a->outbound == b->outbound && a->cancelled == b->cancelled && a->delivered_us == b->delivered_us &&
           text_equal(a->country, b->country) && version_compare(&a->first_version, &b->first_version) == 0;
}

static size_t order_shipment_place(const struct order *order, struct text shipment_id, bool *there) {
    size_t at = 0;
    while (at < order->shipments.count && text_compare(order->shipments.at[at].shipment_id, shipment_id) < 0)
        at++;
    *there = at < order->shipments.count && text_equal(order->shipments.at[at].shipment_id, shipment_id);
    return at;
}

enum outcome order_take_shipment(struct decision *decision, struct order *order,
                                 const struct shipment *shipment) {
    bool there;
    size_t at = order_shipment_place(order, shipment->shipment_id, &there);
    struct order_shipment summary = {.shipment_id = shipment->shipment_id,
                                     .outbound = !shipment->is_return,
                                     .cancelled = shipment->cancelled_us != TIME_NONE,
                                     .delivered_us = shipment_delivered_us(shipment),
                                     .country = shipment->country,
                                     .first_version = shipment->first_version};
    if (there && order_shipment_equal(&order->shipments.at[at], &summary))
        return OK;
    struct text country_before = order_oss_country(order);
    if (!there) {
        if (!ARENA_PUSH(decision->arena, &order->shipments))
            return RETRY;
        struct order_shipment *list = order->shipments.at;
        memmove(list + at + 1, list + at, (order->shipments.count - 1 - at) * sizeof(*list));
    }
    order->shipments.at[at] = summary;
    return order_shipments_changed(decision, order, country_before);
}

enum outcome order_drop_shipment(struct decision *decision, struct order *order, struct text shipment_id) {
    bool there;
    size_t at = order_shipment_place(order, shipment_id, &there);
    if (!there)
        return OK;
    struct text country_before = order_oss_country(order);
    struct order_shipment *list = order->shipments.at;
    order->shipments.count--;
    memmove(list + at, list + at + 1, (order->shipments.count - at) * sizeof(*list));
    return order_shipments_changed(decision, order, country_before);
}

/* ---- the events ---- */

enum outcome order_named(struct decision *decision, struct text customer_id, struct text order_id,
                         int64_t time_us, struct order **order) {
    *order = state_order(decision->state, customer_id, order_id);
    if (!*order)
        return RETRY;
    if (!earliest(&(*order)->first_fact_us, time_us))
        return OK;
    (void)order_regenerate(decision, *order);
    TRY(erasure_lists_order(decision, *order));
    return order_touch(decision, *order);
}

/* One of the order's own events: the order, its customer, and the clock `recorded`. */
static enum outcome order_begin(struct decision *decision, const struct event *event, struct text order_id,
                                struct order **order, bool *changed) {
    struct person *person;
    TRY(person_named(decision, event->customer_id, event->version.time_us, &person));
    TRY(order_named(decision, event->customer_id, order_id, event->version.time_us, order));
    *changed = earliest(&(*order)->recorded_us, event->version.time_us);
    return OK;
}

static enum outcome order_end(struct decision *decision, struct order *order, bool changed) {
    changed |= claim_keep_until(decision, order);
    return changed ? order_touch(decision, order) : OK;
}

/* Each time at which it was placed opens the generation that the time lies in. */
static enum outcome enter_placed(struct decision *decision, struct order *order, int64_t time_us,
                                 bool *changed) {
    int64_t first_us = order->placed_us, other_us = time_us;
    if (earliest(&order->placed_us, time_us)) {
        *changed = true;
        other_us = first_us;
    }
    if (other_us == TIME_NONE || other_us == order->placed_us)
        return OK;
    size_t at = 0;
    while (at < order->placed_again.count && order->placed_again.at[at] < other_us)
        at++;
    if (at < order->placed_again.count && order->placed_again.at[at] == other_us)
        return OK;
    if (!ARENA_PUSH(decision->arena, &order->placed_again))
        return RETRY;
    int64_t *list = order->placed_again.at;
    memmove(list + at + 1, list + at, (order->placed_again.count - 1 - at) * sizeof(*list));
    list[at] = other_us;
    *changed = true;
    return OK;
}

static enum outcome order_stated(struct decision *decision, const struct event *event, bool placed) {
    struct order *order;
    bool changed;
    TRY(person_ordered(decision, event, placed));
    TRY(order_begin(decision, event, event->as.order.order_id, &order, &changed));
    if (placed)
        TRY(enter_placed(decision, order, event->version.time_us, &changed));
    if (earliest(&order->first_version_us, event->version.time_us)) {
        (void)order_regenerate(decision, order);
        changed = true;
    }
    decision->second_facts += second_fact(&order->version, &event->version);
    if (version_compare(&event->version, &order->version) > 0) {
        order->version = event->version;
        order->guest = event->as.order.guest;
        TRY(order_write_claim(decision, order, event));
        claim_keep_until(decision, order);
        TRY(order_write_cells(decision, order, ORDER_WON, TEXT_ABSENT));
        changed = true;
    }
    TRY(order_end(decision, order, changed));
    TRY(claim_cut(decision, order)); /* only now: the voucher has taken what it needs */
    return changed && placed ? permission_follow(decision, event, order->customer_id, TEXT_ABSENT) : OK;
}

enum outcome order_placed(struct decision *decision, const struct event *event, const uint8_t record_hash[32],
                          enum verdict *verdict) {
    (void)record_hash, (void)verdict;
    return order_stated(decision, event, true);
}

/* As placed, but opens nobody. */
enum outcome order_changed(struct decision *decision, const struct event *event,
                           const uint8_t record_hash[32], enum verdict *verdict) {
    (void)record_hash, (void)verdict;
    return order_stated(decision, event, false);
}

/* Payments are a set keyed (source, id), the highest version of each: no running sum. */
enum outcome order_paid(struct decision *decision, const struct event *event, const uint8_t record_hash[32],
                        enum verdict *verdict) {
    (void)record_hash, (void)verdict;
    struct order *order;
    bool changed;
    TRY(order_begin(decision, event, event->as.payment.order_id, &order, &changed));
    size_t known = 0;
    while (known < order->payments.count) {
        const struct version *held = &order->payments.at[known].version;
        if (text_equal(held->id, event->version.id) && text_equal(held->source, event->version.source))
            break;
        known++;
    }
    bool wins = true;
    if (known < order->payments.count) {
        const struct version *held = &order->payments.at[known].version;
        decision->second_facts += second_fact(held, &event->version);
        wins = version_compare(&event->version, held) > 0;
    }
    if (wins) {
        struct text payments;
        TRY(order_enter_payment(decision, order, event, known, &payments));
        TRY(order_write_cells(decision, order, ORDER_PAYMENT, payments));
        changed = true;
    }
    TRY(order_end(decision, order, changed));
    return changed ? permission_follow(decision, event, order->customer_id, TEXT_ABSENT) : OK;
}

/* Sticky, whatever comes later. The voucher stays, shipments are not touched. */
enum outcome order_cancelled(struct decision *decision, const struct event *event,
                             const uint8_t record_hash[32], enum verdict *verdict) {
    (void)record_hash, (void)verdict;
    struct order *order;
    bool changed;
    TRY(order_begin(decision, event, event->as.order.order_id, &order, &changed));
    changed |= earliest(&order->cancelled_us, event->version.time_us);
    TRY(order_end(decision, order, changed));
    return changed ? permission_follow(decision, event, order->customer_id, TEXT_ABSENT) : OK;
}
