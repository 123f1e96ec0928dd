/* Cuts and what they let go: delivery cells, keys, and whether a tombstone is complete. The order of the act
 * is that of erasure_cut (SEMANTICS.md, Cuts and generations, The act of erasure). */
#include "core/decide/erasure.h"

/* ---- what the policy erases ---- */

bool erasure_closes(const struct policy *policy) {
    for (enum category c = CATEGORY_PROFILE; c <= CATEGORY_OSS; c++) {
        if (c != CATEGORY_DELIVERY && policy->categories[c].present &&
            policy->categories[c].on_request == ON_REQUEST_ERASE)
            return true;
    }
    return false;
}

static bool delivery_kept(const struct policy *policy) {
    return policy->categories[CATEGORY_DELIVERY].on_request == ON_REQUEST_KEEP;
}

/* ---- cuts ---- */

/* The cut of that instant, made where it belongs when there was none; NULL: the arena is full. */
static struct cut *cut_at(struct decision *decision, struct person *guard, int64_t cut_us,
                          enum cut_cause cause, bool *changed) {
    size_t at = 0;
    while (at < guard->facts.cuts.count && guard->facts.cuts.at[at].cut_us < cut_us)
        at++;
    if (at < guard->facts.cuts.count && guard->facts.cuts.at[at].cut_us == cut_us) {
        struct cut *cut = &guard->facts.cuts.at[at];
        *changed = cause > cut->cause;
        if (*changed)
            cut->cause = cause;
        return cut;
    }
    if (!ARENA_PUSH(decision->arena, &guard->facts.cuts))
        return NULL;
    struct cut *list = guard->facts.cuts.at;
    memmove(list + at + 1, list + at, (guard->facts.cuts.count - 1 - at) * sizeof(*list));
    list[at] = (struct cut){.cut_us = cut_us, .cause = cause, .completed_us = TIME_NONE};
    *changed = true;
    return &list[at];
}

static bool registered_between(const struct person *guard, int64_t after_us, int64_t until_us) {
    for (size_t i = 0; i < guard->facts.registered.count; i++) {
        int64_t time_us = guard->facts.registered.at[i].version.time_us;
        if (time_us > after_us && time_us <= until_us)
            return true;
    }
    return false;
}

/* A `closed` ends something only while a `registered` of its generation stands before it. One that is brought
 * in stood when the keys went; a restored register may not have read that `registered` yet. */
static bool revalidate(struct person *guard) {
    int64_t generation = GENERATION_FIRST;
    bool changed = false;
    for (size_t i = 0; i < guard->facts.cuts.count; i++) {
        struct cut *cut = &guard->facts.cuts.at[i];
        bool valid =
            cut->cause == CUT_REQUEST || cut->restored || registered_between(guard, generation, cut->cut_us);
        changed |= valid != cut->valid;
        cut->valid = valid;
        if (valid)
            generation = cut->cut_us;
    }
    return changed;
}

/* ---- keys ---- */

enum outcome erasure_doom(struct decision *decision, struct text person, int64_t generation,
                          enum category category) {
    for (size_t i = 0; i < decision->dooms.count; i++) {
        const struct doom *doom = &decision->dooms.at[i];
        if (doom->generation == generation && doom->category == category && text_equal(doom->person, person))
            return OK;
    }
    struct doom *doom = ARENA_PUSH(decision->arena, &decision->dooms);
    if (!doom)
        return RETRY;
    *doom = (struct doom){.person = person, .generation = generation, .category = category};
    return OK;
}

enum outcome erasure_doom_rings(struct decision *decision, struct text person, enum category category) {
    const struct person *guard = state_find_guard(decision->state, person);
    TRY(erasure_doom(decision, person, GENERATION_FIRST, category));
    for (size_t i = 0; guard && i < guard->facts.cuts.count; i++)
        TRY(erasure_doom(decision, person, guard->facts.cuts.at[i].cut_us, category));
    return OK;
}

enum outcome erasure_doom_lost_closing(struct decision *decision, struct text person, int64_t time_us) {
    const struct person *guard = state_find_guard(decision->state, person);
    if (time_us >= decision->restored_us || !erasure_closes(decision->policy) || !guard)
        return OK;
    for (size_t i = 0; i < guard->facts.cuts.count; i++)
        if (guard->facts.cuts.at[i].cut_us == time_us && guard->facts.cuts.at[i].valid)
            return OK; /* the generation is there */
    TRY(erasure_doom(decision, person, time_us, CATEGORY_PROFILE));
    return delivery_kept(decision->policy) ? OK : erasure_doom(decision, person, time_us, CATEGORY_DELIVERY);
}

/* ---- shipments ---- */

/* Of what a restored register had lost nothing waits: its facts up to the cut are taken in no more. */
static bool restored_over(const struct decision *decision, const struct shipment *shipment) {
    const struct person *guard = state_find_guard(decision->state, shipment->person);
    for (size_t i = 0; guard && i < guard->facts.cuts.count; i++) {
        const struct cut *cut = &guard->facts.cuts.at[i];
        if (cut->restored && cut->valid && cut->cause == CUT_REQUEST &&
            cut->cut_us >= shipment->first_version.time_us)
            return true;
    }
    return false;
}

static enum shipment_erasure erasure_of(const struct decision *decision, const struct shipment *shipment) {
    if (shipment->version.time_us == VERSION_NONE || delivery_kept(decision->policy) ||
        !state_delivery_cut(decision->state, shipment->person, shipment->first_version.time_us))
        return SHIPMENT_KEPT;
    if (decision->policy->categories[CATEGORY_DELIVERY].on_request == ON_REQUEST_ERASE ||
        restored_over(decision, shipment))
        return SHIPMENT_ERASED;
    return shipment_closed(shipment) ? SHIPMENT_ERASED : SHIPMENT_WAITS;
}

enum outcome erasure_shipment(struct decision *decision, struct shipment *shipment) {
    enum shipment_erasure erasure = erasure_of(decision, shipment);
    if (erasure != shipment->erasure) {
        shipment->erasure = erasure;
        TRY(shipment_touch(decision, shipment));
    }
    /* a cell made by this very event was never sealed, unless somebody was told before, or it was lost */
    bool sealed = text_present(shipment->delivery.sealed) || shipment->units.count || decision->restored_us;
    if (erasure != SHIPMENT_ERASED)
        return OK;
    if (cell_drop(&shipment->delivery)) {
        TRY(shipment_touch(decision, shipment));
    } else {
        shipment->delivery.content = TEXT_ABSENT; /* what the event had brought */
        shipment->delivery.rewritten = false;
        sealed = decision->restored_us;
    }
    return sealed ? erasure_doom_rings(decision, shipment->person, CATEGORY_DELIVERY) : OK;
}

enum outcome erasure_lists_shipment(struct decision *decision, struct text person,
                                    const struct shipment *shipment) {
    struct person *guard = state_find_guard(decision->state, person);
    if (!guard || !guard->whole.known)
        return OK;
    for (size_t i = 0; i < guard->whole.shipments.count; i++) {
        const struct whole_key *key = &guard->whole.shipments.at[i];
        if (text_equal(key->customer_id, shipment->customer_id) &&
            text_equal(key->object_id, shipment->shipment_id))
            return OK;
    }
    struct whole_key *key = ARENA_PUSH(decision->arena, &guard->whole.shipments);
    if (!key)
        return RETRY;
    *key = (struct whole_key){.customer_id = shipment->customer_id, .object_id = shipment->shipment_id};
    return OK;
}

enum outcome erasure_lists_order(struct decision *decision, const struct order *order) {
    struct person *guard = state_find_guard(decision->state, order->customer_id);
    if (!guard || !guard->whole.known)
        return OK;
    for (size_t i = 0; i < guard->whole.orders.count; i++) {
        if (text_equal(guard->whole.orders.at[i].object_id, order->order_id))
            return OK;
    }
    struct whole_key *key = ARENA_PUSH(decision->arena, &guard->whole.orders);
    if (!key)
        return RETRY;
    *key = (struct whole_key){.customer_id = order->customer_id, .object_id = order->order_id};
    return OK;
}

struct shipment *erasure_whole_shipment(const struct decision *decision, const struct person *guard,
                                        size_t index) {
    assert(guard->whole.known); /* decide_needs asks for it */
    const struct whole_key *key = &guard->whole.shipments.at[index];
    struct shipment *shipment = state_find_shipment(decision->state, key->customer_id, key->object_id);
    assert(shipment);
    return shipment;
}

int64_t erasure_closed_us(struct decision *decision, struct text person, int64_t cut_us, bool *waits) {
    const struct person *guard = state_find_guard(decision->state, person);
    int64_t closed_us = TIME_NONE;
    *waits = false;
    for (size_t i = 0; guard && i < guard->whole.shipments.count; i++) {
        const struct shipment *shipment = erasure_whole_shipment(decision, guard, i);
        if (!text_equal(shipment->person, person) || shipment->version.time_us == VERSION_NONE ||
            shipment->first_version.time_us > cut_us)
            continue;
        *waits |= shipment->erasure == SHIPMENT_WAITS;
        if (shipment->erasure != SHIPMENT_KEPT)
            latest(&closed_us, shipment_closed_us(shipment));
    }
    return closed_us;
}

bool erasure_refuses(const struct decision *decision, struct text person, int64_t time_us) {
    const struct person *guard = state_find_guard(decision->state, person);
    if (delivery_kept(decision->policy))
        return false;
    for (size_t i = 0; guard && i < guard->facts.cuts.count; i++) {
        const struct cut *cut = &guard->facts.cuts.at[i];
        if (!cut->valid || cut->cause != CUT_REQUEST || cut->cut_us < time_us)
            continue;
        if (cut->restored)
            return true;
        int32_t completed = date_local(decision->policy->zone, cut->completed_us);
        if (cut->complete && date_local(decision->policy->zone, decision->now_us) >
                                 date_add(completed, &decision->policy->input_retention_max))
            return true;
    }
    return false;
}

bool erasure_lost_generation(const struct decision *decision, struct text person, int64_t time_us,
                             size_t index, int64_t *generation) {
    const struct person *guard = state_find_guard(decision->state, person);
    if (!guard || !guard->facts.cuts.count || time_us >= decision->restored_us ||
        delivery_kept(decision->policy))
        return false;
    int64_t own = state_generation_at(decision->state, person, time_us);
    bool erased = state_delivery_cut(decision->state, person, time_us);
    for (size_t g = 0; g <= guard->facts.cuts.count; g++) {
        *generation = g ? guard->facts.cuts.at[g - 1].cut_us : GENERATION_FIRST;
        if ((*generation < own || (*generation == own && erased)) && !index--)
            return true;
    }
    return false;
}

/* ---- what is complete ---- */

static void refresh_complete(struct decision *decision, struct person *guard) {
    for (size_t i = 0; i < guard->facts.cuts.count; i++) {
        struct cut *cut = &guard->facts.cuts.at[i];
        bool waits = false;
        if (!cut->valid)
            continue;
        if (cut->cause == CUT_REQUEST)
            (void)erasure_closed_us(decision, guard->person, cut->cut_us, &waits);
        if (cut->complete == !waits)
            continue;
        cut->complete = !waits;
        cut->completed_us = waits ? TIME_NONE : decision->now_us;
        cut->news = true;
    }
}

/* What stays under keys that go is sealed anew. */
static enum outcome reseal(struct decision *decision, const struct person *guard) {
    for (size_t i = 0; i < guard->whole.shipments.count; i++) {
        struct shipment *shipment = erasure_whole_shipment(decision, guard, i);
        if (!text_equal(shipment->person, guard->person) || !cell_present(&shipment->delivery))
            continue;
        for (size_t d = 0; d < decision->dooms.count; d++) {
            const struct doom *doom = &decision->dooms.at[d];
            if (doom->category != CATEGORY_DELIVERY || doom->generation != shipment->generation ||
                !text_equal(doom->person, guard->person))
                continue;
            cell_moves(&shipment->delivery);
            TRY(shipment_touch(decision, shipment));
        }
    }
    return OK;
}

static enum outcome tell_news(struct decision *decision, const struct event *event, struct person *guard) {
    bool any = false;
    for (size_t i = 0; i < guard->facts.cuts.count; i++)
        any |= guard->facts.cuts.at[i].news;
    if (!any)
        return OK;
    guard->facts.cuts_changed = guard->touched = true;
    for (size_t i = 0; i < guard->facts.cuts.count; i++) {
        struct cut *cut = &guard->facts.cuts.at[i];
        if (cut->news && cut->valid)
            TRY(anonymized_tell(decision, event, guard, cut));
        cut->news = false;
    }
    return anonymized_tell_subject(decision, event, guard);
}

/* What every change of cuts and of the shipments that they concern ends with. */
static enum outcome settle(struct decision *decision, const struct event *event, struct person *guard) {
    refresh_complete(decision, guard);
    TRY(reseal(decision, guard));
    TRY(erasure_notices(decision, event, guard));
    TRY(tell_news(decision, event, guard));
    return request_follow(decision, event, guard->person);
}

enum outcome erasure_follow(struct decision *decision, const struct event *event, struct text person) {
    struct person *guard = state_find_guard(decision->state, person);
    assert(guard);
    bool concerns = false;
    for (size_t i = 0; i < guard->facts.cuts.count; i++)
        concerns |= guard->facts.cuts.at[i].valid && guard->facts.cuts.at[i].cause == CUT_REQUEST;
    return concerns ? settle(decision, event, guard) : OK;
}

/* Of the generations that have ended: the register may have lost rows that were sealed under these keys. What
 * stays is sealed anew. */
static enum outcome doom_lost(struct decision *decision, struct text person, enum category category) {
    const struct person *guard = state_find_guard(decision->state, person);
    if (state_cut_of(decision->state, person, GENERATION_FIRST))
        TRY(erasure_doom(decision, person, GENERATION_FIRST, category));
    for (size_t i = 0; guard && i < guard->facts.cuts.count; i++)
        if (state_cut_of(decision->state, person, guard->facts.cuts.at[i].cut_us))
            TRY(erasure_doom(decision, person, guard->facts.cuts.at[i].cut_us, category));
    return OK;
}

/* The act: the cuts stand; whatever is the person's belongs to its generation; what a request would erase is
 * gone; whoever was told is told; then it is said what was done. All that one event cuts is one act. */
enum outcome erasure_cut(struct decision *decision, const struct event *event, struct text person,
                         const int64_t *cuts_us, size_t count, enum cut_cause cause) {
    struct person *guard = state_person(decision->state, person, GENERATION_FIRST);
    if (!guard)
        return RETRY;
    int64_t newest_us = state_newest_generation(decision->state, person);
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        bool changed;
        struct cut *cut = cut_at(decision, guard, cuts_us[i], cause, &changed);
        if (!cut)
            return RETRY;
        if (event->type == CALENDAR_RESTORED) {
            changed |= !cut->restored;
            cut->restored = true;
        }
        cut->news |= changed;
        any |= changed;
    }
    if (!(revalidate(guard) | any))
        return OK;
    guard->facts.cuts_changed = true;
    guard->touched = true;
    TRY(regenerate_person(decision, guard, newest_us));
    TRY(regenerate_orders(decision, guard));
    TRY(regenerate_shipments(decision, guard));
    if (cause == CUT_REQUEST &&
        !delivery_kept(decision->policy)) /* also what has become another consignee's */
        TRY(erasure_doom_rings(decision, person, CATEGORY_DELIVERY));
    if (event->type == CALENDAR_RESTORED)
        TRY(doom_lost(decision, person, CATEGORY_PROFILE));
    if (event->type == CALENDAR_RESTORED &&
        decision->policy->categories[CATEGORY_CLAIM].on_request == ON_REQUEST_ERASE)
        TRY(doom_lost(decision, person, CATEGORY_CLAIM));
    TRY(consent_recut(decision, person));
    TRY(address_recut(decision, event, person));
    TRY(permission_follow(decision, event, person, TEXT_ABSENT));
    TRY(settle(decision, event, guard));
    return regenerate_disclosures(decision, event, guard);
}

enum outcome erasure_restored(struct decision *decision, const struct event *event,
                              const uint8_t record_hash[32], enum verdict *verdict) {
    (void)record_hash;
    (void)verdict;
    return erasure_cut(decision, event, event->as.restored.person, &event->version.time_us, 1,
                       event->as.restored.by_request ? CUT_REQUEST : CUT_CLOSED);
}
