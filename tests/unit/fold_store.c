/* How the register in memory is written: packed rows, and cells apart. */
#include "tests/unit/fold_rows.h"

#include "core/decide/pack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static void store_cell(struct fold *fold, const struct cell *cell, struct cell *row) {
    struct text content = TEXT_ABSENT;
    if (cell->until != DATE_NONE) {
        assert_true(text_present(cell->content) || text_present(cell->sealed));
        content = text_present(cell->content) ? cell->content : cell->sealed;
    }
    if (!text_equal(content, row->content))
        row->content = arena_text(&fold->kept, content);
    row->until = cell->until;
}

static void store_persons(struct fold *fold, struct state *state) {
    struct err err = {0};
    size_t count;
    struct person *const *persons = state_persons(state, &count);
    for (size_t i = 0; i < count; i++) {
        if (!persons[i]->touched)
            continue;
        struct person *row = state_person(fold->rows, persons[i]->person, persons[i]->generation);
        assert_int_equal(row->revision, persons[i]->revision); /* else it was not loaded */
        assert_int_equal(unpack_person(pack_person(persons[i], &fold->batch), &fold->kept, row, &err), OK);
        store_cell(fold, &persons[i]->profile, &row->profile);
        row->revision++;
        fold->rows_written++;
    }
}

/* The person's guard must be written with whatever is his. */
static void assert_guarded(const struct state *state, struct text person) {
    const struct person *guard = state_find_person(state, person, GENERATION_FIRST);
    assert_non_null(guard);
    assert_true(guard->touched);
}

/* What goes over to another generation's ring must have been opened. */
static void assert_resealed(const struct cell *cell, int64_t was, int64_t is) {
    if (was != is && cell->until != DATE_NONE)
        assert_true(text_present(cell->content) && cell->rewritten);
}

static void store_requests(struct fold *fold, struct state *state) {
    struct err err = {0};
    size_t count;
    struct request *const *requests = state_requests(state, &count);
    for (size_t i = 0; i < count; i++) {
        assert_null(requests[i]->last);
        if (!requests[i]->touched)
            continue;
        struct request *row = state_request(fold->rows, requests[i]->request_id);
        assert_int_equal(row->revision, requests[i]->revision);
        assert_int_equal(unpack_request(pack_request(requests[i], &fold->batch), &fold->kept, row, &err), OK);
        row->revision++;
        fold->rows_written++;
    }
}

static void store_consents(struct fold *fold, struct state *state) {
    struct err err = {0};
    size_t count;
    struct consent *const *consents = state_consents(state, &count);
    for (size_t i = 0; i < count; i++) {
        if (!consents[i]->touched)
            continue;
        assert_guarded(state, consents[i]->person);
        struct consent *row = state_consent(fold->rows, consents[i]->person, consents[i]->fact);
        if (row->stored)
            assert_resealed(&consents[i]->proof, row->generation, consents[i]->generation);
        assert_int_equal(unpack_consent(pack_consent(consents[i], &fold->batch), &fold->kept, row, &err), OK);
        store_cell(fold, &consents[i]->proof, &row->proof);
        row->stored = true;
        fold->rows_written++;
    }
}

static void store_addresses(struct fold *fold, struct state *state) {
    struct err err = {0};
    size_t count;
    struct address *const *addresses = state_addresses(state, &count);
    for (size_t i = 0; i < count; i++) {
        if (!addresses[i]->touched)
            continue;
        struct address *row = state_address(fold->rows, addresses[i]->hash);
        assert_int_equal(row->revision, addresses[i]->revision);
        assert_int_equal(unpack_address(pack_address(addresses[i], &fold->batch), &fold->kept, row, &err),
                         OK);
        row->revision++;
        fold->rows_written++;
    }
}

static void store_orders(struct fold *fold, struct state *state) {
    struct err err = {0};
    size_t count;
    struct order *const *orders = state_orders(state, &count);
    for (size_t i = 0; i < count; i++) {
        if (!orders[i]->touched)
            continue;
        assert_guarded(state, orders[i]->customer_id);
        bool stored = state_find_order(fold->rows, orders[i]->customer_id, orders[i]->order_id) != NULL;
        struct order *row = state_order(fold->rows, orders[i]->customer_id, orders[i]->order_id);
        assert_int_equal(stored, orders[i]->stored);
        if (stored) {
            assert_resealed(&orders[i]->claim, row->generation, orders[i]->generation);
            assert_resealed(&orders[i]->voucher, row->generation, orders[i]->generation);
            assert_resealed(&orders[i]->oss, row->generation, orders[i]->generation);
        }
        assert_int_equal(unpack_order(pack_order(orders[i], &fold->batch), &fold->kept, row, &err), OK);
        store_cell(fold, &orders[i]->claim, &row->claim);
        store_cell(fold, &orders[i]->voucher, &row->voucher);
        store_cell(fold, &orders[i]->oss, &row->oss);
        fold->rows_written++;
    }
}

/* A delivery cell under doomed keys must be sealed anew: of what is touched store sees to it. */
static void assert_undoomed(const struct decision *decision, const struct shipment *shipment) {
    for (size_t d = 0; d < decision->dooms.count; d++) {
        const struct doom *doom = &decision->dooms.at[d];
        if (doom->category == CATEGORY_DELIVERY && doom->generation == shipment->generation &&
            text_equal(doom->person, shipment->person) && shipment->delivery.until != DATE_NONE)
            assert_true(shipment->touched);
    }
}

static void store_shipments(struct fold *fold, const struct decision *decision) {
    struct state *state = decision->state;
    struct err err = {0};
    size_t count;
    struct shipment *const *shipments = state_shipments(state, &count);
    for (size_t i = 0; i < count; i++) {
        const struct shipment *shipment = shipments[i];
        assert_undoomed(decision, shipment);
        if (!shipment->touched)
            continue;
        assert_guarded(state, shipment->customer_id);
        assert_guarded(state, shipment->person);
        bool stored = state_find_shipment(fold->rows, shipment->customer_id, shipment->shipment_id) != NULL;
        struct shipment *row = state_shipment(fold->rows, shipment->customer_id, shipment->shipment_id);
        assert_int_equal(stored, shipment->stored);
        if (stored)
            assert_resealed(&shipment->delivery, row->generation, shipment->generation);
        assert_int_equal(unpack_shipment(pack_shipment(shipment, &fold->batch), &fold->kept, row, &err), OK);
        store_cell(fold, &shipment->delivery, &row->delivery);
        fold->rows_written++;
    }
}

static void store_notices(struct fold *fold, struct state *state) {
    struct err err = {0};
    size_t count;
    struct notice *const *notices = state_notices(state, &count);
    for (size_t i = 0; i < count; i++) {
        if (!notices[i]->touched)
            continue;
        assert_guarded(state, notices[i]->person);
        bool stored = state_find_notice(fold->rows, notices[i]->person, notices[i]->notice_ref) != NULL;
        struct notice *row = state_notice(fold->rows, notices[i]->person, notices[i]->notice_ref);
        assert_int_equal(stored, notices[i]->stored);
        assert_int_equal(unpack_notice(pack_notice(notices[i], &fold->batch), &fold->kept, row, &err), OK);
        store_cell(fold, &notices[i]->ground, &row->ground);
        fold->rows_written++;
    }
}

size_t fold_find_parked(const struct ref_entry *row, const struct event *event) {
    for (size_t i = 0; i < row->parked.count; i++) {
        const struct event *there = &row->parked.at[i]->event;
        if (text_equal(there->topic, event->topic) && there->partition == event->partition &&
            there->offset == event->offset)
            return i;
    }
    return row->parked.count;
}

/* Inserts what is not there yet, deletes what must be there; true when that changed anything. */
static bool store_parked(struct fold *fold, const struct ref_entry *entry, struct ref_entry *row) {
    struct err err = {0};
    bool changed = false;
    for (size_t p = 0; p < entry->parked.count; p++) {
        const struct parked *at = entry->parked.at[p];
        if (at->stored == !at->removed)
            continue;
        size_t place = fold_find_parked(row, &at->event);
        if (at->removed) {
            assert_true(place < row->parked.count);
            row->parked.count--;
            memmove(row->parked.at + place, row->parked.at + place + 1,
                    (row->parked.count - place) * sizeof(*row->parked.at));
        } else if (place < row->parked.count) {
            continue; /* read again */
        } else {
            struct parked *parked = ARENA_NEW(&fold->kept, struct parked);
            *parked = *at;
            assert_int_equal(
                unpack_event(pack_event(&at->event, &fold->batch), &fold->kept, &parked->event, &err), OK);
            *ARENA_PUSH(&fold->kept, &row->parked) = parked;
        }
        changed = true;
    }
    return changed;
}

static void store_refs(struct fold *fold, struct state *state) {
    size_t count;
    struct ref_entry *const *entries = state_refs(state, &count);
    for (size_t i = 0; i < count; i++) {
        const struct ref_entry *entry = entries[i];
        const struct ref_entry *held = state_find_ref(fold->rows, entry->ref);
        /* a row that was there must have been loaded */
        if ((held ? held->now : REF_UNKNOWN) != entry->loaded)
            print_error("ref kind %d of %.*s %.*s %.*s\n", held->kind, TEXT_ARGS(held->recipient),
                        TEXT_ARGS(held->customer_id), TEXT_ARGS(held->object_id));
        assert_int_equal(held ? held->now : REF_UNKNOWN, entry->loaded);
        if (entry->now == REF_UNKNOWN)
            continue;
        struct ref_entry *row = state_ref(fold->rows, entry->ref);
        bool changed = store_parked(fold, entry, row);
        if (entry->now == entry->loaded) {
            fold->rows_written += changed;
            continue;
        }
        row->now = entry->now;
        row->kind = entry->kind;
        row->recipient = arena_text(&fold->kept, entry->recipient);
        row->customer_id = arena_text(&fold->kept, entry->customer_id);
        row->object_id = arena_text(&fold->kept, entry->object_id);
        fold->rows_written++;
    }
}

void fold_store(struct fold *fold, const struct decision *decision) {
    fold->rows_written = 0;
    store_refs(fold, decision->state);
    store_orders(fold, decision->state);
    store_shipments(fold, decision);
    store_notices(fold, decision->state);
    store_consents(fold, decision->state);
    store_requests(fold, decision->state);
    store_addresses(fold, decision->state);
    store_persons(fold, decision->state);
}
