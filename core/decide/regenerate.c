/* What moves when a person's cuts change: each row, order and shipment belongs to the generation of its time,
 * and of the profile only what was said in the newest is left. */
#include "core/decide/erasure.h"

/* ---- the person's rows ---- */

static bool is_between(int64_t time_us, int64_t after_us, int64_t until_us) {
    return time_us > after_us && time_us <= until_us;
}

static bool placed_between(const struct decision *decision, const struct person *guard, int64_t after_us,
                           int64_t until_us) {
    for (size_t i = 0; i < guard->whole.orders.count; i++) {
        const struct whole_key *key = &guard->whole.orders.at[i];
        const struct order *order = state_find_order(decision->state, key->customer_id, key->object_id);
        assert(order);
        if (is_between(order->placed_us, after_us, until_us))
            return true;
        for (size_t p = 0; p < order->placed_again.count; p++)
            if (is_between(order->placed_again.at[p], after_us, until_us))
                return true;
    }
    return false;
}

static bool opened_in(const struct decision *decision, const struct person *guard, int64_t generation,
                      const struct cut *ends) {
    if (!ends)
        return guard->facts.opened_us > generation ||
               consent_granted_us(decision->state, guard->person, generation) != TIME_NONE;
    return person_registered(decision->state, guard->person, generation) ||
           placed_between(decision, guard, generation, ends->cut_us) ||
           consent_granted_us(decision->state, guard->person, generation) != TIME_NONE;
}

/* A generation that a cut has ended: its line keeps the notice only. */
static enum outcome end_generation(struct decision *decision, const struct person *guard, int64_t generation,
                                   const struct cut *ends) {
    struct person *row = state_person(decision->state, guard->person, generation);
    if (!row)
        return RETRY;
    if (!row->ended && (row->revision || row->touched))
        TRY(erasure_doom(decision, guard->person, generation, CATEGORY_PROFILE));
    row->ended = true;
    row->absent = false;
    row->opened = opened_in(decision, guard, generation, ends);
    profile_drop(row);
    person_project(decision, row, false);
    return person_touch(decision, guard->person, generation);
}

/* It is none any more: its cut does not stand. */
static enum outcome drop_generation(struct decision *decision, const struct person *guard,
                                    int64_t generation) {
    struct person *row = state_person(decision->state, guard->person, generation);
    if (!row)
        return RETRY;
    if (row->absent || !(row->revision || row->touched))
        return OK;
    row->absent = true;
    row->ended = row->opened = false;
    profile_drop(row);
    row->notice = (struct notice_text){0};
    TRY(erasure_doom(decision, guard->person, generation, CATEGORY_PROFILE));
    return person_touch(decision, guard->person, generation);
}

/* What was ordered in the generation counts as activity again when a cut that had ended it falls. */
static void order_activity(const struct decision *decision, const struct person *guard, struct person *to) {
    for (size_t i = 0; i < guard->whole.orders.count; i++) {
        const struct whole_key *key = &guard->whole.orders.at[i];
        const struct order *order = state_find_order(decision->state, key->customer_id, key->object_id);
        assert(order);
        if (order->version.time_us > to->generation)
            (void)latest(&to->order_activity_us, order->version.time_us);
    }
}

static enum outcome newest_generation(struct decision *decision, struct person *guard, int64_t newest_us) {
    int64_t generation = state_newest_generation(decision->state, guard->person);
    struct person *from = state_person(decision->state, guard->person, newest_us);
    struct person *to = state_person(decision->state, guard->person, generation);
    if (!from || !to)
        return RETRY;
    if (from == to)
        return OK;
    bool named = generation == GENERATION_FIRST || guard->facts.named_us > generation;
    if (!named && !(to->revision || to->touched))
        return OK; /* its row is made when something names him; that of `from` is emptied as it ends */
    to->absent = !named;
    to->ended = false;
    to->opened = opened_in(decision, guard, generation, NULL);
    order_activity(decision, guard, to);
    TRY(profile_move(decision, from, to));
    person_project(decision, to, true);
    return OK;
}

enum outcome regenerate_person(struct decision *decision, struct person *guard, int64_t newest_us) {
    TRY(newest_generation(decision, guard, newest_us));
    int64_t generation = GENERATION_FIRST;
    for (size_t i = 0; i < guard->facts.cuts.count; i++) {
        const struct cut *cut = &guard->facts.cuts.at[i];
        if (!cut->valid) {
            TRY(drop_generation(decision, guard, cut->cut_us));
            continue;
        }
        TRY(end_generation(decision, guard, generation, cut));
        generation = cut->cut_us;
    }
    return OK;
}

/* ---- orders ---- */

enum outcome regenerate_orders(struct decision *decision, const struct person *guard) {
    assert(guard->whole.known); /* decide_needs asks for it */
    for (size_t i = 0; i < guard->whole.orders.count; i++) {
        const struct whole_key *key = &guard->whole.orders.at[i];
        struct order *order = state_find_order(decision->state, key->customer_id, key->object_id);
        assert(order);
        TRY(order_recut(decision, order));
    }
    return OK;
}

/* ---- shipments ---- */

bool shipment_regenerate(const struct decision *decision, struct shipment *shipment) {
    int64_t time_us = shipment->first_version.time_us != VERSION_NONE ? shipment->first_version.time_us
                                                                      : shipment->cancelled_us;
    int64_t generation = state_generation_at(decision->state, shipment->person, time_us);
    if (generation == shipment->generation)
        return false;
    shipment->generation = generation;
    cell_moves(&shipment->delivery); /* to another ring */
    return true;
}

enum outcome regenerate_shipments(struct decision *decision, const struct person *guard) {
    for (size_t i = 0; i < guard->whole.shipments.count; i++) {
        struct shipment *shipment = erasure_whole_shipment(decision, guard, i);
        if (!text_equal(shipment->person, guard->person))
            continue;
        if (shipment_regenerate(decision, shipment))
            TRY(shipment_touch(decision, shipment));
        TRY(erasure_shipment(decision, shipment));
    }
    return OK;
}

enum outcome regenerate_disclosures(struct decision *decision, const struct event *event,
                                    const struct person *guard) {
    for (size_t i = 0; i < guard->whole.shipments.count; i++) {
        struct shipment *shipment = erasure_whole_shipment(decision, guard, i);
        if (text_equal(shipment->person, guard->person) && shipment->erasure != SHIPMENT_ERASED &&
            shipment->units.count && !unit_held(shipment))
            TRY(disclosure_settle(decision, event, shipment, TEXT_ABSENT));
    }
    return OK;
}
