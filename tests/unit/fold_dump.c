/* The register in memory as a dump, and as the bytes of its packed rows. */
#include "tests/unit/fold.h"

#include "core/decide/effect.h"
#include "core/decide/pack.h"
#include "core/dump_line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static enum outcome show_open(void *context, const struct cell *cell, struct text *json) {
    (void)context;
    *json = cell->content;
    return text_present(cell->content) ? OK : FATAL;
}

static int by_person(const void *a, const void *b) {
    return dump_compare_persons(*(struct person *const *)a, *(struct person *const *)b);
}

static int by_order(const void *a, const void *b) {
    return dump_compare_orders(*(struct order *const *)a, *(struct order *const *)b);
}

static int by_shipment(const void *a, const void *b) {
    return dump_compare_shipments(*(struct shipment *const *)a, *(struct shipment *const *)b);
}

static int by_consent(const void *a, const void *b) {
    return dump_compare_consents(*(struct consent *const *)a, *(struct consent *const *)b);
}

static int by_request(const void *a, const void *b) {
    return text_compare((*(struct request *const *)a)->request_id, (*(struct request *const *)b)->request_id);
}

static int by_address(const void *a, const void *b) {
    return text_compare((*(struct address *const *)a)->hash, (*(struct address *const *)b)->hash);
}

struct lines {
    struct arena *arena;
    LIST(char) chars;
};

static void add_text(struct lines *lines, struct text text) {
    for (size_t i = 0; i < text.size; i++)
        *ARENA_PUSH(lines->arena, &lines->chars) = text.at[i];
}

static void *sorted(struct arena *arena, const void *items, size_t count,
                    int compare(const void *, const void *)) {
    void **copy = arena_array(arena, sizeof(void *), count ? count : 1);
    if (count)
        memcpy(copy, items, count * sizeof(void *));
    qsort(copy, count, sizeof(void *), compare);
    return copy;
}

static void add_line(struct fold *fold, struct lines *lines, enum outcome written) {
    assert_int_equal(written, OK);
    add_text(lines, json_writer_text(fold->writer));
    add_text(lines, TEXT("\n"));
}

/* ---- the dump ---- */

static void dump_persons(struct fold *fold, struct dump *dump, struct lines *lines) {
    size_t count;
    struct person *const *persons = state_persons(fold->rows, &count);
    persons = sorted(&fold->kept, persons, count, by_person);
    for (size_t i = 0; i < count; i++) {
        if (!persons[i]->absent)
            add_line(fold, lines, dump_person(dump, persons[i]));
    }
}

static void dump_marketing(struct fold *fold, struct dump *dump, struct lines *lines) {
    size_t count;
    struct consent *const *consents = state_consents(fold->rows, &count);
    consents = sorted(&fold->kept, consents, count, by_consent);
    for (size_t i = 0; i < count; i++)
        add_line(fold, lines, dump_consent(dump, consents[i]));
    struct person *const *persons = state_persons(fold->rows, &count);
    persons = sorted(&fold->kept, persons, count, by_person);
    for (size_t i = 0; i < count; i++) {
        for (size_t p = 0; !persons[i]->absent && p < persons[i]->permissions.count; p++)
            add_line(fold, lines, dump_permission(dump, persons[i], &persons[i]->permissions.at[p]));
    }
    struct address *const *addresses = state_addresses(fold->rows, &count);
    addresses = sorted(&fold->kept, addresses, count, by_address);
    for (size_t i = 0; i < count; i++) {
        for (size_t e = 0; e < addresses[i]->entries.count; e++) {
            const struct address_entry *entry = &addresses[i]->entries.at[e];
            if (entry->objected_first_us != TIME_NONE || entry->withdrawn_us != TIME_NONE)
                add_line(fold, lines, dump_suppression(dump, addresses[i], entry, fold->policy));
        }
    }
}

static void dump_cut(struct fold *fold, struct dump *dump, struct lines *lines, const struct person *guard,
                     size_t index) {
    const struct cut *cut = &guard->facts.cuts.at[index];
    char subject[SUBJECT_CHARS + 1], categories[128] = "";
    ref_subject(&fold->ref_key, guard->person, subject);
    for (enum category c = CATEGORY_PROFILE; c < CATEGORIES; c++) {
        if (!cut_erases(fold->policy, guard->person, cut, c))
            continue;
        if (categories[0])
            strncat(categories, ",", sizeof(categories) - strlen(categories) - 1);
        strncat(categories, category_names[c], sizeof(categories) - strlen(categories) - 1);
    }
    const struct dump_tombstone tombstone = {
        .subject = text_of(subject),
        .person = guard->person,
        .cause = cut->cause == CUT_REQUEST ? TEXT("request") : TEXT("closed"),
        .categories = text_of(categories),
        .generation = state_generation_at(fold->rows, guard->person, cut->cut_us),
        .cut_us = cut->cut_us,
        .complete = cut->complete};
    add_line(fold, lines, dump_tombstone(dump, &tombstone));
}

static void dump_tombstones(struct fold *fold, struct dump *dump, struct lines *lines) {
    size_t count;
    struct person *const *persons = state_persons(fold->rows, &count);
    persons = sorted(&fold->kept, persons, count, by_person);
    for (size_t i = 0; i < count; i++) {
        for (size_t c = 0; c < persons[i]->facts.cuts.count; c++) {
            if (persons[i]->facts.cuts.at[c].valid)
                dump_cut(fold, dump, lines, persons[i], c);
        }
    }
}

struct text fold_dump(struct fold *fold) {
    struct lines lines = {.arena = &fold->kept};
    struct dump dump = {.writer = fold->writer, .show = show_open};
    size_t count;
    dump_persons(fold, &dump, &lines);
    struct order *const *orders = state_orders(fold->rows, &count);
    orders = sorted(&fold->kept, orders, count, by_order);
    for (size_t i = 0; i < count; i++)
        add_line(fold, &lines, dump_order(&dump, orders[i]));
    struct shipment *const *shipments = state_shipments(fold->rows, &count);
    shipments = sorted(&fold->kept, shipments, count, by_shipment);
    for (size_t i = 0; i < count; i++)
        add_line(fold, &lines, dump_shipment(&dump, shipments[i]));
    dump_marketing(fold, &dump, &lines);
    struct request *const *requests = state_requests(fold->rows, &count);
    requests = sorted(&fold->kept, requests, count, by_request);
    for (size_t i = 0; i < count; i++)
        add_line(fold, &lines, dump_request(&dump, requests[i]));
    dump_tombstones(fold, &dump, &lines);
    add_text(&lines, (struct text){"", 1});
    return (struct text){lines.chars.at, lines.chars.count - 1};
}

/* ---- the packed rows ---- */

/* Without what only tells the history: letters, and cuts that do not stand. */
static struct text packed_person(struct fold *fold, const struct person *row) {
    struct person person = *row;
    person.letters.count = 0;
    person.facts.cuts.at = NULL;
    person.facts.cuts.count = person.facts.cuts.room = 0;
    for (size_t i = 0; i < row->facts.cuts.count; i++) {
        if (row->facts.cuts.at[i].valid)
            *ARENA_PUSH(&fold->kept, &person.facts.cuts) = row->facts.cuts.at[i];
    }
    return pack_person(&person, &fold->kept);
}

struct text fold_packed(struct fold *fold) {
    struct lines lines = {.arena = &fold->kept};
    size_t count;
    struct person *const *persons = state_persons(fold->rows, &count);
    persons = sorted(&fold->kept, persons, count, by_person);
    for (size_t i = 0; i < count; i++) {
        if (!persons[i]->absent)
            add_text(&lines, packed_person(fold, persons[i]));
    }
    struct order *const *orders = state_orders(fold->rows, &count);
    orders = sorted(&fold->kept, orders, count, by_order);
    for (size_t i = 0; i < count; i++)
        add_text(&lines, pack_order(orders[i], &fold->kept));
    struct shipment *const *shipments = state_shipments(fold->rows, &count);
    shipments = sorted(&fold->kept, shipments, count, by_shipment);
    for (size_t i = 0; i < count; i++) {
        struct shipment shipment = *shipments[i];
        shipment.units.count = 0;
        add_text(&lines, pack_shipment(&shipment, &fold->kept));
    }
    struct request *const *requests = state_requests(fold->rows, &count);
    requests = sorted(&fold->kept, requests, count, by_request);
    for (size_t i = 0; i < count; i++)
        add_text(&lines, pack_request(requests[i], &fold->kept));
    struct consent *const *consents = state_consents(fold->rows, &count);
    consents = sorted(&fold->kept, consents, count, by_consent);
    for (size_t i = 0; i < count; i++)
        add_text(&lines, pack_consent(consents[i], &fold->kept));
    return (struct text){lines.chars.at, lines.chars.count};
}
