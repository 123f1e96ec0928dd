/* Stage 5 of 7, store: keys that an erasure lets go, and what stays of their rings. */
#include "consumer/doom.h"
#include <stdlib.h>

static enum outcome full(struct work *work, struct err *err) {
    work->load.arena_full = true;
    return err_set(err, RETRY, 0, "the batch does not fit its memory");
}

/* ---- floors ---- */

static const struct key_floor *find_floor(const struct state *state, struct text person, int64_t generation,
                                          enum category category) {
    const struct person *guard = state_find_guard(state, person);
    for (size_t i = 0; guard && i < guard->facts.floors.count; i++) {
        const struct key_floor *floor = &guard->facts.floors.at[i];
        if (floor->generation == generation && floor->category == category)
            return floor;
    }
    return NULL;
}

uint16_t doom_floor_cells(const struct state *state, struct text person, int64_t generation,
                          enum category category) {
    const struct key_floor *floor = find_floor(state, person, generation, category);
    return floor ? floor->cells : 0;
}

uint16_t doom_floor_transit(const struct state *state, struct text person, int64_t generation,
                            enum category category) {
    const struct key_floor *floor = find_floor(state, person, generation, category);
    return floor ? floor->transit : 0;
}

static int floor_order(const struct key_floor *floor, const struct key_doom *doom) {
    if (floor->generation != doom->generation)
        return floor->generation < doom->generation ? -1 : 1;
    return (floor->category > doom->category) - (floor->category < doom->category);
}

/* A floor never goes down. */
static bool raise_floor(struct work *work, const struct key_doom *doom, struct arena *arena) {
    struct person *guard = state_person(work->state, doom->person, GENERATION_FIRST);
    if (!guard)
        return false;
    struct person_facts *facts = &guard->facts;
    size_t at = 0;
    guard->touched = true;
    while (at < facts->floors.count && floor_order(&facts->floors.at[at], doom) < 0)
        at++;
    if (at == facts->floors.count || floor_order(&facts->floors.at[at], doom) != 0) {
        if (!ARENA_PUSH(arena, &facts->floors))
            return false;
        struct key_floor *floors = facts->floors.at;
        memmove(&floors[at + 1], &floors[at], (facts->floors.count - 1 - at) * sizeof(*floors));
        floors[at] = (struct key_floor){doom->generation, doom->category, 0, 0};
    }
    struct key_floor *floor = &facts->floors.at[at];
    floor->cells = doom->cells > floor->cells ? doom->cells : floor->cells;
    floor->transit = doom->transit > floor->transit ? doom->transit : floor->transit;
    return true;
}

static int by_ring(const void *a, const void *b) {
    const struct key_doom *one = a, *two = b;
    int order = text_compare(one->person, two->person);
    if (order)
        return order;
    if (one->generation != two->generation)
        return one->generation < two->generation ? -1 : 1;
    return (one->category > two->category) - (one->category < two->category);
}

static enum outcome take_floors(struct keyring *keyring, struct work *work, struct arena *arena,
                                struct err *err) {
    struct write *write = &work->write;
    size_t count = work->decision.dooms.count;
    struct key_doom *dooms = ARENA_ARRAY(arena, struct key_doom, count);
    if (!dooms)
        return full(work, err);
    for (size_t i = 0; i < count; i++) {
        const struct doom *doom = &work->decision.dooms.at[i];
        dooms[i] = (struct key_doom){doom->person, doom->generation, doom->category, 0, 0};
    }
    qsort(dooms, count, sizeof(*dooms), by_ring);
    enum outcome outcome = keyring_floors(keyring, arena, dooms, count, work->load.now_s, err);
    if (outcome == POISON && !err->sqlstate[0])
        work->load.park_reason = "damaged_ring";
    if (outcome != OK)
        return outcome;
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) /* without keys there is nothing to destroy */
        if (dooms[i].cells || dooms[i].transit)
            dooms[kept++] = dooms[i];
    write->doomed.at = dooms;
    write->doomed.count = kept;
    return OK;
}

/* ---- what stays ---- */

/* Whatever lies under a doomed ring must be in the state, or it would be lost with the key. */
static bool has_whole(const struct work *work, const struct key_doom *doom) {
    const struct person *guard = state_find_guard(work->state, doom->person);
    if (doom->category == CATEGORY_PROFILE)
        return true;
    if (!guard || !guard->whole.known)
        return false;
    for (size_t i = 0; i < guard->whole.orders.count; i++) {
        const struct whole_key *key = &guard->whole.orders.at[i];
        if (!state_find_order(work->state, key->customer_id, key->object_id))
            return false;
    }
    for (size_t i = 0; i < guard->whole.shipments.count; i++) {
        const struct whole_key *key = &guard->whole.shipments.at[i];
        if (!state_find_shipment(work->state, key->customer_id, key->object_id))
            return false;
    }
    return true;
}

/* It is sealed under a key below its ring's floor. */
static bool is_below(const struct work *work, const struct cell *cell, struct text person, int64_t generation,
                     enum category category) {
    int16_t period;
    uint16_t serial;
    return cell->until != DATE_NONE && text_present(cell->sealed) &&
           sealed_period(cell->sealed, &period, &serial) &&
           serial < doom_floor_cells(work->state, person, generation, category);
}

static void touch_what_stays(struct work *work) {
    size_t count;
    struct person *const *persons = state_persons(work->state, &count);
    for (size_t i = 0; i < count; i++)
        persons[i]->touched |= is_below(work, &persons[i]->profile, persons[i]->person,
                                        persons[i]->generation, CATEGORY_PROFILE);
    struct order *const *orders = state_orders(work->state, &count);
    for (size_t i = 0; i < count; i++) {
        struct order *at = orders[i];
        at->touched |= is_below(work, &at->claim, at->customer_id, at->generation, CATEGORY_CLAIM) ||
                       is_below(work, &at->voucher, at->customer_id, at->generation, CATEGORY_VOUCHER) ||
                       is_below(work, &at->oss, at->customer_id, at->generation, CATEGORY_OSS);
    }
    struct shipment *const *shipments = state_shipments(work->state, &count);
    for (size_t i = 0; i < count; i++)
        shipments[i]->touched |= is_below(work, &shipments[i]->delivery, shipments[i]->person,
                                          shipments[i]->generation, CATEGORY_DELIVERY);
    struct consent *const *consents = state_consents(work->state, &count);
    for (size_t i = 0; i < count; i++)
        consents[i]->touched |= is_below(work, &consents[i]->proof, consents[i]->person,
                                         consents[i]->generation, CATEGORY_CONSENT_PROOF);
}

/* The content of the disclosure is still held for that person and generation. */
static bool delivery_stays(const struct work *work, struct text person, int64_t generation,
                           struct text customer_id, struct text shipment_id) {
    const struct shipment *shipment =
        text_present(shipment_id) ? state_find_shipment(work->state, customer_id, shipment_id) : NULL;
    return shipment && shipment->delivery.until != DATE_NONE && shipment->generation == generation &&
           text_equal(shipment->person, person);
}

static bool something_stays(const struct work *work, const struct key_doom *doom) {
    const struct person *guard = state_find_guard(work->state, doom->person);
    for (size_t i = 0; guard && i < guard->whole.shipments.count; i++) {
        const struct whole_key *key = &guard->whole.shipments.at[i];
        if (delivery_stays(work, doom->person, doom->generation, key->customer_id, key->object_id))
            return true;
    }
    return false;
}

static bool is_doomed(const struct work *work, const struct output *output) {
    for (size_t i = 0; i < work->decision.dooms.count; i++) {
        const struct doom *doom = &work->decision.dooms.at[i];
        if (doom->category == output->category && doom->generation == output->generation &&
            text_equal(doom->person, output->person))
            return true;
    }
    return false;
}

bool doom_takes(const struct work *work, const struct output *output) {
    return work->decision.dooms.count && text_present(output->person) &&
           (output->category == CATEGORY_PROFILE || output->category == CATEGORY_DELIVERY) &&
           (is_doomed(work, output) || state_cut_of(work->state, output->person, output->generation)) &&
           !delivery_stays(work, output->person, output->generation, output->customer_id,
                           output->shipment_id);
}

/* ---- unpublished outbox rows of what stays ---- */

static enum outcome open_row(struct keyring *keyring, struct work *work, const struct row_unpublished *row,
                             struct arena *arena, struct text *plain, struct err *err) {
    struct seal_key key;
    struct seal_place place = {"outbox", "body", row->person, row->row_id, row->generation};
    if (!keyring_sealed_transit(keyring, row->person, row->generation, row->category, row->body, &key)) {
        work->load.park_reason = "missing_key";
        return err_set(err, POISON, 0, "a transit key is missing in the vault");
    }
    enum outcome outcome = open_cell(&key, &place, row->body, arena, plain, err);
    secret_wipe(&key, sizeof key);
    if (outcome == RETRY)
        return full(work, err);
    if (outcome != FATAL)
        return outcome;
    work->load.park_reason = "damaged_row";
    return err_set(err, POISON, 0, "a row of the outbox does not open");
}

/* Rows below the floor that was there before are withheld already: their keys are gone. */
static bool is_withheld(const struct state *before, const struct row_unpublished *row) {
    int16_t period;
    uint16_t serial;
    return !sealed_period(row->body, &period, &serial) || serial == UINT16_MAX ||
           serial < doom_floor_transit(before, row->person, row->generation, row->category);
}

static enum outcome take_waiting(const struct register_ops *ops, void *reg, struct keyring *keyring,
                                 struct work *work, struct arena *arena, struct err *err) {
    const struct write *write = &work->write;
    struct key_doom *asked = ARENA_ARRAY(arena, struct key_doom, write->doomed.count + 1);
    struct row_unpublished *rows = NULL;
    size_t count = 0, row_count = 0;
    if (!asked)
        return full(work, err);
    for (size_t i = 0; i < write->doomed.count; i++)
        if (write->doomed.at[i].category == CATEGORY_DELIVERY && something_stays(work, &write->doomed.at[i]))
            asked[count++] = write->doomed.at[i];
    if (!count)
        return OK;
    enum outcome outcome = ops->unpublished(reg, arena, asked, count, &rows, &row_count, err);
    if (outcome != OK)
        return outcome;
    work->waiting.at = ARENA_ARRAY(arena, struct waiting_row, row_count + 1);
    if (!work->waiting.at)
        return full(work, err);
    for (size_t i = 0; outcome == OK && i < row_count; i++) {
        const struct row_unpublished *row = &rows[i];
        if (is_withheld(work->state, row) ||
            !delivery_stays(work, row->person, row->generation, row->customer_id, row->shipment_id))
            continue;
        struct waiting_row *waiting = &work->waiting.at[work->waiting.count++];
        waiting->row = row;
        outcome = open_row(keyring, work, row, arena, &waiting->plain, err);
        if (outcome == POISON && work->load.lossy) { /* nobody opens it: nor does the relay */
            work->waiting.count--;
            work->load.lost++;
            work->load.park_reason = NULL;
            outcome = OK;
        }
    }
    return outcome;
}

enum outcome doom_prepare(const struct register_ops *ops, void *reg, struct keyring *keyring,
                          struct work *work, struct arena *arena, struct err *err) {
    if (!work->decision.dooms.count)
        return OK;
    enum outcome outcome = take_floors(keyring, work, arena, err);
    for (size_t i = 0; outcome == OK && i < work->write.doomed.count; i++)
        if (!has_whole(work, &work->write.doomed.at[i]))
            outcome = err_set(err, FATAL, 0, "not all that lies under a doomed key was loaded");
    if (outcome == OK)
        outcome = take_waiting(ops, reg, keyring, work, arena, err);
    for (size_t i = 0; outcome == OK && i < work->write.doomed.count; i++)
        if (!raise_floor(work, &work->write.doomed.at[i], arena))
            outcome = full(work, err);
    if (outcome == OK)
        touch_what_stays(work);
    return outcome;
}
