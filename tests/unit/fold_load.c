/* How the register in memory is loaded: whatever decide_needs asks for, and nothing else. */
#include "tests/unit/fold_rows.h"

#include "core/decide/pack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static void load_cell(struct loading *loading, const struct cell *row, struct cell *cell, bool open) {
    if (row->until == DATE_NONE)
        return;
    if (!text_present(cell->sealed)) {
        *cell = (struct cell){.until = row->until, .sealed_until = row->until};
        cell->sealed = arena_text(&loading->fold->batch, row->content);
    }
    if (open)
        cell->content = cell->sealed;
}

/* The rows of all generations. */
static void load_person(struct loading *loading, const struct need *need) {
    struct err err = {0};
    struct arena *arena = &loading->fold->batch;
    bool there = state_find_person(loading->state, need->owner, GENERATION_FIRST) != NULL;
    size_t count;
    struct person *const *rows = state_persons(loading->fold->rows, &count);
    (void)state_person(loading->state, need->owner, GENERATION_FIRST);
    for (size_t i = 0; i < count; i++) {
        if (!text_equal(rows[i]->person, need->owner))
            continue;
        struct person *person = state_person(loading->state, need->owner, rows[i]->generation);
        if (!there) {
            assert_int_equal(unpack_person(pack_person(rows[i], arena), arena, person, &err), OK);
            person->revision = rows[i]->revision;
        }
        load_cell(loading, &rows[i]->profile, &person->profile, need->cells & NEED_PROFILE);
    }
}

static void list_whole(struct arena *arena, struct person *guard, const struct shipment *shipment) {
    bool his =
        text_equal(shipment->customer_id, guard->person) || text_equal(shipment->person, guard->person);
    for (size_t i = 0; i < shipment->units.count; i++)
        his |= text_equal(shipment->units.at[i].person, guard->person);
    if (his)
        *ARENA_PUSH(arena, &guard->whole.shipments) = (struct whole_key){
            arena_text(arena, shipment->customer_id), arena_text(arena, shipment->shipment_id)};
}

static void load_whole(struct loading *loading, const struct need *need) {
    struct arena *arena = &loading->fold->batch;
    struct person *guard = state_person(loading->state, need->owner, GENERATION_FIRST);
    size_t count;
    load_person(loading, &(struct need){.kind = NEED_PERSON, .owner = need->owner});
    if (guard->whole.known)
        return;
    guard->whole.known = true;
    struct order *const *orders = state_orders(loading->fold->rows, &count);
    for (size_t i = 0; i < count; i++) {
        if (text_equal(orders[i]->customer_id, need->owner))
            *ARENA_PUSH(arena, &guard->whole.orders) =
                (struct whole_key){arena_text(arena, need->owner), arena_text(arena, orders[i]->order_id)};
    }
    struct shipment *const *shipments = state_shipments(loading->fold->rows, &count);
    for (size_t i = 0; i < count; i++)
        list_whole(arena, guard, shipments[i]);
}

static void load_consents(struct loading *loading, const struct need *need) {
    struct err err = {0};
    struct arena *arena = &loading->fold->batch;
    size_t count;
    struct consent *const *rows = state_consents(loading->fold->rows, &count);
    for (size_t i = 0; i < count; i++) {
        if (!text_equal(rows[i]->person, need->owner))
            continue;
        struct consent *consent = state_consent(loading->state, need->owner, rows[i]->fact);
        if (!consent->stored) {
            assert_int_equal(unpack_consent(pack_consent(rows[i], arena), arena, consent, &err), OK);
            consent->stored = true;
        }
        load_cell(loading, &rows[i]->proof, &consent->proof, need->cells & NEED_PROOF);
    }
}

static void load_request(struct loading *loading, const struct need *need) {
    struct err err = {0};
    struct arena *arena = &loading->fold->batch;
    const struct request *row = state_find_request(loading->fold->rows, need->owner);
    bool there = state_find_request(loading->state, need->owner) != NULL;
    struct request *request = state_request(loading->state, need->owner);
    if (row && !there) {
        assert_int_equal(unpack_request(pack_request(row, arena), arena, request, &err), OK);
        request->revision = row->revision;
    }
}

static void load_address(struct loading *loading, const struct need *need) {
    struct err err = {0};
    struct arena *arena = &loading->fold->batch;
    const struct address *row = state_find_address(loading->fold->rows, need->owner);
    bool there = state_find_address(loading->state, need->owner) != NULL;
    struct address *address = state_address(loading->state, need->owner);
    if (row && !there) {
        assert_int_equal(unpack_address(pack_address(row, arena), arena, address, &err), OK);
        address->revision = row->revision;
    }
}

static void load_order(struct loading *loading, const struct need *need) {
    struct err err = {0};
    struct arena *arena = &loading->fold->batch;
    const struct order *row = state_find_order(loading->fold->rows, need->owner, need->object);
    if (!row)
        return;
    bool there = state_find_order(loading->state, need->owner, need->object) != NULL;
    struct order *order = state_order(loading->state, need->owner, need->object);
    if (!there) {
        assert_int_equal(unpack_order(pack_order(row, arena), arena, order, &err), OK);
        order->stored = true;
    }
    load_cell(loading, &row->claim, &order->claim, need->cells & NEED_CLAIM);
    load_cell(loading, &row->voucher, &order->voucher, need->cells & NEED_VOUCHER);
    load_cell(loading, &row->oss, &order->oss, need->cells & NEED_OSS);
}

static void load_shipment(struct loading *loading, const struct need *need) {
    struct err err = {0};
    struct arena *arena = &loading->fold->batch;
    const struct shipment *row = state_find_shipment(loading->fold->rows, need->owner, need->object);
    if (!row)
        return;
    bool there = state_find_shipment(loading->state, need->owner, need->object) != NULL;
    struct shipment *shipment = state_shipment(loading->state, need->owner, need->object);
    if (!there) {
        assert_int_equal(unpack_shipment(pack_shipment(row, arena), arena, shipment, &err), OK);
        shipment->stored = true;
    }
    load_cell(loading, &row->delivery, &shipment->delivery, need->cells & NEED_DELIVERY);
}

static void load_notice(struct loading *loading, const struct need *need) {
    struct err err = {0};
    struct arena *arena = &loading->fold->batch;
    const struct notice *row = state_find_notice(loading->fold->rows, need->owner, need->object);
    if (!row)
        return;
    bool there = state_find_notice(loading->state, need->owner, need->object) != NULL;
    struct notice *notice = state_notice(loading->state, need->owner, need->object);
    if (!there) {
        assert_int_equal(unpack_notice(pack_notice(row, arena), arena, notice, &err), OK);
        notice->stored = true;
        load_cell(loading, &row->ground, &notice->ground, need->cells & NEED_GROUND);
    }
}

static void load_ref(struct loading *loading, const struct need *need) {
    struct arena *arena = &loading->fold->batch;
    const struct ref_entry *row = state_find_ref(loading->fold->rows, need->owner);
    if (!row || state_find_ref(loading->state, need->owner))
        return;
    struct ref_entry *entry = state_ref(loading->state, need->owner);
    entry->loaded = entry->now = row->now;
    entry->kind = row->kind;
    entry->recipient = arena_text(arena, row->recipient);
    entry->customer_id = arena_text(arena, row->customer_id);
    entry->object_id = arena_text(arena, row->object_id);
}

/* A portion so small that what is left over is met all the time. */
#define PARKED_MOST 1

static void load_parked(struct loading *loading, const struct need *need) {
    struct err err = {0};
    struct arena *arena = &loading->fold->batch;
    const struct ref_entry *row = state_find_ref(loading->fold->rows, need->owner);
    struct ref_entry *entry = state_find_ref(loading->state, need->owner);
    if (!row || row->now != REF_PARKED || entry->parked.count)
        return;
    for (size_t i = 0; i < row->parked.count && i < PARKED_MOST; i++) {
        struct parked *parked = ARENA_NEW(arena, struct parked);
        *parked = *row->parked.at[i];
        assert_int_equal(
            unpack_event(pack_event(&row->parked.at[i]->event, arena), arena, &parked->event, &err), OK);
        parked->stored = true;
        *ARENA_PUSH(arena, &entry->parked) = parked;
    }
}

static void load_one(struct loading *loading, const struct need *need) {
    static void (*const loads[])(struct loading *, const struct need *) = {
        [NEED_REF] = load_ref,           [NEED_PERSON] = load_person,   [NEED_ORDER] = load_order,
        [NEED_SHIPMENT] = load_shipment, [NEED_NOTICE] = load_notice,   [NEED_CONSENTS] = load_consents,
        [NEED_REQUEST] = load_request,   [NEED_ADDRESS] = load_address, [NEED_WHOLE] = load_whole,
    };
    loads[need->kind](loading, need);
    if (need->kind == NEED_REF && need->cells & NEED_PARKED)
        load_parked(loading, need);
}

/* Remembers what is asked for until the round's end. */
static enum outcome touch(void *context, const struct need *need) {
    struct loading *loading = context;
    struct arena *arena = &loading->fold->batch;
    struct asked *asked = NULL;
    for (size_t i = 0; i < loading->asked.count && !asked; i++) {
        struct asked *at = &loading->asked.at[i];
        if (at->need.kind == need->kind && text_equal(at->need.owner, need->owner) &&
            text_equal(at->need.object, need->object))
            asked = at;
    }
    if (asked && !(need->cells & ~asked->need.cells)) {
        loading->waits |= asked->news;
        return OK;
    }
    if (!asked) {
        asked = ARENA_PUSH(arena, &loading->asked);
        asked->need = *need;
        asked->need.owner = arena_text(arena, need->owner);
        asked->need.object = arena_text(arena, need->object);
    }
    asked->need.cells |= need->cells;
    asked->news = loading->waits = true;
    return OK;
}

/* In rounds, as the consumer does: an event that found all that it asked for is not asked again, until
 * another has left word for it. */
void fold_load(struct loading *loading, const struct event *const *events, size_t count) {
    const struct fold *fold = loading->fold;
    const struct event **asking = arena_array(&loading->fold->batch, sizeof(*asking), count);
    size_t all = count;
    memcpy(asking, events, count * sizeof(*asking));
    while (count) {
        size_t still = 0, hints = state_hints(loading->state);
        for (size_t i = 0; i < count; i++) {
            loading->waits = false;
            assert_int_equal(decide_needs(asking[i], fold->policy, &fold->ref_key, loading->state,
                                          &loading->fold->batch, touch, loading),
                             OK);
            if (loading->waits)
                asking[still++] = asking[i];
        }
        count = still;
        if (hints != state_hints(loading->state)) {
            count = all;
            memcpy(asking, events, count * sizeof(*asking));
        }
        for (size_t i = 0; i < loading->asked.count; i++) {
            if (!loading->asked.at[i].news)
                continue;
            load_one(loading, &loading->asked.at[i].need);
            loading->asked.at[i].news = false;
        }
    }
}

void fold_ask_ref(struct loading *loading, struct text ref) {
    (void)touch(loading, &(struct need){.kind = NEED_REF, .owner = ref, .cells = NEED_PARKED});
}
