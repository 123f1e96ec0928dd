/* The dump of a register in memory. */
#include "tests/unit/memory_dump.h"
#include "core/decide/pack.h"
#include "core/dump_line.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

struct dumping {
    struct memory_register *memory;
    struct keyring *keyring;
    const struct policy *policy;
    struct arena *arena;
    struct state *rows;
    struct dump dump;
    LIST(struct text) lines;
};

static void hold(bool true_one) {
    if (!true_one)
        abort();
}

static enum outcome show(void *context, const struct cell *cell, struct text *json) {
    (void)context;
    *json = cell->content;
    return OK;
}

static void open_stored(struct dumping *to, struct cell *cell, const struct row_cell *row,
                        struct seal_place place, struct text person, int64_t generation,
                        enum category category) {
    struct err err;
    struct seal_key key;
    int16_t period;
    uint16_t serial;
    cell->until = cell->sealed_until = row->until;
    if (row->until == DATE_NONE)
        return;
    struct key_want wanted = {.person = person, .generation = generation, .category = category};
    hold(keyring_load(to->keyring, to->arena, &wanted, 1, 0, &err) == OK);
    hold(sealed_period(row->sealed, &period, &serial) && period == date_quarter(row->until));
    bool opens = keyring_sealed_key(to->keyring, person, generation, category, row->sealed, &key) &&
                 open_cell(&key, &place, row->sealed, to->arena, &cell->content, &err) == OK;
    if (!opens && to->memory->lossy)
        return;
    if (!opens)
        fprintf(stderr, "%s.%s of %.*s %.*s does not open: generation %lld, period %d, serial %d\n",
                place.table, place.column, TEXT_ARGS(place.owner), TEXT_ARGS(place.object),
                (long long)generation, period, serial);
    hold(opens);
}

static int compare_lines(const void *a, const void *b) {
    return text_compare(*(const struct text *)a, *(const struct text *)b);
}

struct text memory_sorted(struct arena *arena, const struct text *lines, size_t count) {
    struct text *copy = ARENA_ARRAY(arena, struct text, count + 1);
    size_t size = 0, used = 0;
    for (size_t i = 0; i < count; i++) {
        copy[i] = lines[i];
        size += lines[i].size + 1;
    }
    qsort(copy, count, sizeof(*copy), compare_lines);
    char *bytes = arena_take(arena, size + 1);
    for (size_t i = 0; i < count; i++) {
        memcpy(bytes + used, copy[i].at, copy[i].size);
        bytes[used + copy[i].size] = '\n';
        used += copy[i].size + 1;
    }
    return (struct text){bytes, used};
}

static void add_line(struct dumping *to, enum outcome outcome) {
    struct text *line = ARENA_PUSH(to->arena, &to->lines);
    hold(outcome == OK && line);
    *line = arena_text(to->arena, json_writer_text(to->dump.writer));
}

/* ---- persons first: the others hang on their cuts ---- */

static void unpack_persons(struct dumping *to) {
    struct err err;
    for (size_t i = 0; i < to->memory->persons.count; i++) {
        const struct row_person *row = &to->memory->persons.at[i];
        struct person *person = state_person(to->rows, row->person, row->generation);
        hold(unpack_person(row->merge, to->arena, person, &err) == OK);
        open_stored(to, &person->profile, &row->profile,
                    (struct seal_place){"person", "profile", row->person, TEXT_ABSENT, row->generation},
                    row->person, row->generation, CATEGORY_PROFILE);
    }
}

static void dump_persons(struct dumping *to) {
    size_t count;
    struct person *const *persons = state_persons(to->rows, &count);
    for (size_t i = 0; i < count; i++) {
        const struct person *person = persons[i];
        if (person->absent)
            continue;
        add_line(to, dump_person(&to->dump, person));
        for (size_t p = 0; p < person->permissions.count; p++)
            add_line(to, dump_permission(&to->dump, person, &person->permissions.at[p]));
    }
}

/* ---- what is a person's ---- */

static void dump_orders(struct dumping *to) {
    struct err err;
    for (size_t i = 0; i < to->memory->orders.count; i++) {
        const struct row_order *row = &to->memory->orders.at[i];
        struct order *order = state_order(to->rows, row->customer_id, row->order_id);
        hold(unpack_order(row->merge, to->arena, order, &err) == OK);
        struct seal_place place = {"customer_order", "claim", row->customer_id, row->order_id, -1};
        open_stored(to, &order->claim, &row->claim, place, row->customer_id, order->generation,
                    CATEGORY_CLAIM);
        place.column = "voucher";
        open_stored(to, &order->voucher, &row->voucher, place, row->customer_id, order->generation,
                    CATEGORY_VOUCHER);
        place.column = "oss";
        open_stored(to, &order->oss, &row->oss, place, row->customer_id, order->generation, CATEGORY_OSS);
        add_line(to, dump_order(&to->dump, order));
    }
}

static void dump_shipments(struct dumping *to) {
    struct err err;
    for (size_t i = 0; i < to->memory->shipments.count; i++) {
        const struct row_shipment *row = &to->memory->shipments.at[i];
        struct shipment *shipment = state_shipment(to->rows, row->customer_id, row->shipment_id);
        hold(unpack_shipment(row->merge, to->arena, shipment, &err) == OK);
        open_stored(to, &shipment->delivery, &row->delivery,
                    (struct seal_place){"shipment", "delivery", row->customer_id, row->shipment_id, -1},
                    shipment->person, shipment->generation, CATEGORY_DELIVERY);
        add_line(to, dump_shipment(&to->dump, shipment));
    }
}

static void dump_consents(struct dumping *to) {
    struct err err;
    for (size_t i = 0; i < to->memory->consents.count; i++) {
        const struct row_consent *row = &to->memory->consents.at[i];
        struct consent *consent = state_consent(to->rows, row->person, row->fact);
        hold(unpack_consent(row->merge, to->arena, consent, &err) == OK);
        open_stored(to, &consent->proof, &row->proof,
                    (struct seal_place){"consent", "proof", row->person, row->fact, -1}, row->person,
                    consent->generation, CATEGORY_CONSENT_PROOF);
        add_line(to, dump_consent(&to->dump, consent));
    }
}

/* ---- what guards itself, and tombstones ---- */

static void dump_others(struct dumping *to) {
    struct err err;
    for (size_t i = 0; i < to->memory->addresses.count; i++) {
        const struct row_guarded *row = &to->memory->addresses.at[i];
        struct address *address = state_address(to->rows, row->key);
        hold(unpack_address(row->merge, to->arena, address, &err) == OK);
        for (size_t e = 0; e < address->entries.count; e++) {
            const struct address_entry *entry = &address->entries.at[e];
            if (entry->objected_first_us != TIME_NONE || entry->withdrawn_us != TIME_NONE)
                add_line(to, dump_suppression(&to->dump, address, entry, to->policy));
        }
    }
    for (size_t i = 0; i < to->memory->requests.count; i++) {
        struct request *request = state_request(to->rows, to->memory->requests.at[i].key);
        hold(unpack_request(to->memory->requests.at[i].merge, to->arena, request, &err) == OK);
        add_line(to, dump_request(&to->dump, request));
    }
    for (size_t i = 0; i < to->memory->tombstones.count; i++) {
        const struct memory_tombstone *row = &to->memory->tombstones.at[i];
        struct dump_tombstone line = {.subject = row->subject,
                                      .person = row->person,
                                      .cause =
                                          row->cut.cause == CUT_REQUEST ? TEXT("request") : TEXT("closed"),
                                      .categories = row->categories,
                                      .generation = row->generation,
                                      .cut_us = row->cut.cut_us,
                                      .complete = row->cut.complete};
        if (row->cut.valid)
            add_line(to, dump_tombstone(&to->dump, &line));
    }
}

struct text memory_dump(struct memory_register *memory, struct keyring *keyring, const struct policy *policy,
                        struct arena *arena) {
    struct dumping to = {
        .memory = memory, .keyring = keyring, .policy = policy, .arena = arena, .rows = state_new(arena)};
    to.dump = (struct dump){.writer = memory->writer, .show = show};
    unpack_persons(&to);
    dump_persons(&to);
    dump_orders(&to);
    dump_shipments(&to);
    dump_consents(&to);
    dump_others(&to);
    return memory_sorted(arena, to.lines.at, to.lines.count);
}
