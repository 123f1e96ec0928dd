/* Rows of the register and their lines, kind by kind. */
#include "core/cli/walk_rows.h"

#include "core/decide/pack.h"
#include "core/digest.h"
#include "queries.h"
#include <stdlib.h>

/* ---- rows ---- */

/* columns: until, bytes. A cell that is there is listed for opening. */
static void take_cell(const struct db_result *result, size_t row, int column, struct walk_met *met,
                      struct cell *cell, struct sealed *sealed, struct sealed place) {
    cell->until = db_date(result, row, column);
    cell->sealed_until = cell->until;
    cell->sealed = db_text(result, row, column + 1);
    if (!text_present(cell->sealed))
        return;
    place.bytes = cell->sealed;
    sealed[met->cells] = place;
    met->cell[met->cells++] = cell;
}

static enum outcome take_person(struct walk *walk, const struct db_result *result, size_t row,
                                struct walk_met *met, struct sealed *sealed, struct err *err) {
    struct person *person = &met->as.person;
    enum outcome outcome = unpack_person(db_text(result, row, 2), &walk->arena, person, err);
    if (outcome != OK)
        return outcome;
    person->person = db_text(result, row, 0);
    person->generation = db_int(result, row, 1);
    take_cell(
        result, row, 3, met, &person->profile, sealed,
        (struct sealed){.person = person->person,
                        .generation = person->generation,
                        .category = CATEGORY_PROFILE,
                        .place = {"person", "profile", person->person, TEXT_ABSENT, person->generation}});
    return OK;
}

static enum outcome take_order(struct walk *walk, const struct db_result *result, size_t row,
                               struct walk_met *met, struct sealed *sealed, struct err *err) {
    struct order *order = &met->as.order;
    enum outcome outcome = unpack_order(db_text(result, row, 2), &walk->arena, order, err);
    if (outcome != OK)
        return outcome;
    order->customer_id = db_text(result, row, 0);
    order->order_id = db_text(result, row, 1);
    struct sealed cell = {.person = order->customer_id,
                          .generation = order->generation,
                          .place = {"customer_order", "claim", order->customer_id, order->order_id, -1}};
    cell.category = CATEGORY_CLAIM;
    take_cell(result, row, 3, met, &order->claim, sealed, cell);
    cell.category = CATEGORY_VOUCHER;
    cell.place.column = "voucher";
    take_cell(result, row, 5, met, &order->voucher, sealed, cell);
    cell.category = CATEGORY_OSS;
    cell.place.column = "oss";
    take_cell(result, row, 7, met, &order->oss, sealed, cell);
    return OK;
}

static enum outcome take_shipment(struct walk *walk, const struct db_result *result, size_t row,
                                  struct walk_met *met, struct sealed *sealed, struct err *err) {
    struct shipment *shipment = &met->as.shipment;
    enum outcome outcome = unpack_shipment(db_text(result, row, 2), &walk->arena, shipment, err);
    if (outcome != OK)
        return outcome;
    shipment->customer_id = db_text(result, row, 0);
    shipment->shipment_id = db_text(result, row, 1);
    take_cell(
        result, row, 3, met, &shipment->delivery, sealed,
        (struct sealed){.person = shipment->person,
                        .generation = shipment->generation,
                        .category = CATEGORY_DELIVERY,
                        .place = {"shipment", "delivery", shipment->customer_id, shipment->shipment_id, -1}});
    return OK;
}

static enum outcome take_notice(struct walk *walk, const struct db_result *result, size_t row,
                                struct walk_met *met, struct sealed *sealed, struct err *err) {
    struct notice *notice = &met->as.notice;
    enum outcome outcome = unpack_notice(db_text(result, row, 2), &walk->arena, notice, err);
    if (outcome != OK)
        return outcome;
    notice->person = db_text(result, row, 0);
    notice->notice_ref = db_text(result, row, 1);
    met->disclosed = db_text(result, row, 5);
    take_cell(result, row, 3, met, &notice->ground, sealed,
              (struct sealed){.person = notice->person,
                              .generation = notice->generation,
                              .category = CATEGORY_LEDGER,
                              .place = {"notice", "ground", notice->person, notice->notice_ref, -1}});
    return OK;
}

static enum outcome take_consent(struct walk *walk, const struct db_result *result, size_t row,
                                 struct walk_met *met, struct sealed *sealed, struct err *err) {
    struct consent *consent = &met->as.consent;
    enum outcome outcome = unpack_consent(db_text(result, row, 2), &walk->arena, consent, err);
    if (outcome != OK)
        return outcome;
    consent->person = db_text(result, row, 0);
    consent->fact = db_text(result, row, 1);
    take_cell(result, row, 3, met, &consent->proof, sealed,
              (struct sealed){.person = consent->person,
                              .generation = consent->generation,
                              .category = CATEGORY_CONSENT_PROOF,
                              .place = {"consent", "proof", consent->person, consent->fact, -1}});
    return OK;
}

static enum outcome take_permissions(struct walk *walk, const struct db_result *result, size_t row,
                                     struct walk_met *met, struct sealed *sealed, struct err *err) {
    struct person *person = &met->as.person;
    enum outcome outcome = unpack_person(db_text(result, row, 2), &walk->arena, person, err);
    (void)sealed;
    if (outcome != OK)
        return outcome;
    person->person = db_text(result, row, 0);
    person->generation = db_int(result, row, 1);
    return OK;
}

static enum outcome take_address(struct walk *walk, const struct db_result *result, size_t row,
                                 struct walk_met *met, struct sealed *sealed, struct err *err) {
    (void)sealed;
    met->as.address.hash = db_text(result, row, 0);
    return unpack_address(db_text(result, row, 1), &walk->arena, &met->as.address, err);
}

static enum outcome take_request(struct walk *walk, const struct db_result *result, size_t row,
                                 struct walk_met *met, struct sealed *sealed, struct err *err) {
    (void)sealed;
    met->as.request.request_id = db_text(result, row, 0);
    return unpack_request(db_text(result, row, 1), &walk->arena, &met->as.request, err);
}

static enum outcome take_tombstone(struct walk *walk, const struct db_result *result, size_t row,
                                   struct walk_met *met, struct sealed *sealed, struct err *err) {
    (void)walk, (void)sealed, (void)err;
    met->as.tombstone = (struct dump_tombstone){.subject = db_text(result, row, 0),
                                                .person = db_text(result, row, 1),
                                                .generation = db_int(result, row, 2),
                                                .cut_us = db_time(result, row, 3),
                                                .cause = db_text(result, row, 4),
                                                .categories = db_text(result, row, 5),
                                                .complete = db_bool(result, row, 6)};
    return OK;
}

/* ---- lines ---- */

/* A cell's value: its content, or the keyed digest of that. */
static enum outcome show_cell(void *context, const struct cell *cell, struct text *json) {
    struct walk *walk = context;
    uint8_t digest[32];
    char *hex = NULL;
    if (!text_present(cell->content))
        return FATAL; /* an end without a cell */
    *json = cell->content;
    if (!walk->digest_key)
        return OK;
    hex = arena_take(&walk->arena, 2 * sizeof(digest) + 3);
    if (!hex)
        return RETRY;
    digest_keyed(walk->digest_key, cell->content, digest, sizeof(digest));
    hex[0] = '"';
    for (size_t i = 0; i < sizeof(digest); i++)
        snprintf(hex + 1 + 2 * i, 3, "%02x", digest[i]);
    hex[1 + 2 * sizeof(digest)] = '"';
    *json = (struct text){hex, 2 * sizeof(digest) + 2};
    return OK;
}

static struct dump dump_of(struct walk *walk) {
    return (struct dump){.writer = walk->writer, .show = show_cell, .context = walk};
}

/* The line that was made is given away. */
static enum outcome give(struct walk *walk, enum outcome outcome) {
    if (outcome != OK)
        return outcome;
    walk->unprinted = !walk->line(walk->context, json_writer_text(walk->writer));
    return walk->unprinted ? RETRY : OK;
}

static enum outcome write_person(struct walk *walk, const struct walk_met *met) {
    struct dump dump = dump_of(walk);
    return met->as.person.absent ? OK : give(walk, dump_person(&dump, &met->as.person));
}

static enum outcome write_order(struct walk *walk, const struct walk_met *met) {
    struct dump dump = dump_of(walk);
    return give(walk, dump_order(&dump, &met->as.order));
}

static enum outcome write_shipment(struct walk *walk, const struct walk_met *met) {
    struct dump dump = dump_of(walk);
    return give(walk, dump_shipment(&dump, &met->as.shipment));
}

static enum outcome write_consent(struct walk *walk, const struct walk_met *met) {
    struct dump dump = dump_of(walk);
    return give(walk, dump_consent(&dump, &met->as.consent));
}

static int by_permission(const void *a, const void *b) {
    return dump_compare_permissions(a, b);
}

static enum outcome write_permissions(struct walk *walk, const struct walk_met *met) {
    struct dump dump = dump_of(walk);
    const struct person *person = &met->as.person;
    enum outcome outcome = OK;
    if (person->absent)
        return OK;
    if (person->permissions.count)
        qsort(person->permissions.at, person->permissions.count, sizeof(*person->permissions.at),
              by_permission);
    for (size_t i = 0; outcome == OK && i < person->permissions.count; i++)
        outcome = give(walk, dump_permission(&dump, person, &person->permissions.at[i]));
    return outcome;
}

static enum outcome write_suppressions(struct walk *walk, const struct walk_met *met) {
    struct dump dump = dump_of(walk);
    const struct address *address = &met->as.address;
    enum outcome outcome = OK;
    for (size_t i = 0; outcome == OK && i < address->entries.count; i++) {
        const struct address_entry *entry = &address->entries.at[i];
        if (entry->objected_first_us != TIME_NONE || entry->withdrawn_us != TIME_NONE)
            outcome = give(walk, dump_suppression(&dump, address, entry, walk->policy));
    }
    return outcome;
}

static enum outcome write_request(struct walk *walk, const struct walk_met *met) {
    struct dump dump = dump_of(walk);
    return give(walk, dump_request(&dump, &met->as.request));
}

static enum outcome write_tombstone(struct walk *walk, const struct walk_met *met) {
    struct dump dump = dump_of(walk);
    return give(walk, dump_tombstone(&dump, &met->as.tombstone));
}

/* Parts end in U+001F, disclosures in U+001E: neither stands in an id. */
static void write_disclosed(struct json_writer *writer, struct text disclosed) {
    static const char *const keys[] = {"shipment", "service", "role"};
    json_array(writer);
    for (size_t at = 0; at < disclosed.size;) {
        json_object(writer);
        for (size_t part = 0; part < 3 && at < disclosed.size; part++) {
            size_t size = 0;
            while (at + size < disclosed.size && disclosed.at[at + size] != '\x1f')
                size++;
            json_key(writer, keys[part]);
            json_text(writer, size ? (struct text){disclosed.at + at, size} : TEXT_ABSENT);
            at += size + 1;
        }
        json_object_end(writer);
        at++; /* the U+001E */
    }
    json_array_end(writer);
}

static void write_date(struct json_writer *writer, const char *key, int32_t date) {
    char chars[11];
    json_key(writer, key);
    if (date == DATE_NONE) {
        json_null(writer);
        return;
    }
    date_write(date, chars);
    json_string(writer, chars);
}

static enum outcome write_notice(struct walk *walk, const struct walk_met *met) {
    struct json_writer *writer = walk->writer;
    const struct notice *notice = &met->as.notice;
    char generation[28];
    struct text value = TEXT_ABSENT;
    if (notice->ground.until != DATE_NONE && show_cell(walk, &notice->ground, &value) != OK)
        return FATAL;
    if (notice->generation != GENERATION_FIRST)
        instant_write(notice->generation, generation);
    json_writer_reset(writer);
    json_object(writer);
    const struct {
        const char *key;
        struct text value;
    } first[] = {{"line", TEXT("notice")},
                 {"recipient", notice->recipient},
                 {"person", notice->person},
                 {"generation", notice->generation == GENERATION_FIRST ? TEXT_ABSENT : text_of(generation)},
                 {"kind", notice->kind},
                 {"cause", notice->cause}};
    for (size_t i = 0; i < sizeof(first) / sizeof(*first); i++) {
        json_key(writer, first[i].key);
        json_text(writer, first[i].value);
    }
    json_key(writer, "disclosures");
    write_disclosed(writer, met->disclosed);
    json_key(writer, "fields");
    json_array(writer);
    for (unsigned field = 0; field < POLICY_FIELDS; field++) {
        if (notice->fields & FIELD_BIT(field))
            json_string(writer, policy_field_name((enum policy_field)field));
    }
    json_array_end(writer);
    write_date(writer, "answer_by", notice->answer_by);
    json_key(writer, "reminder");
    json_int(writer, notice->reminder);
    json_key(writer, "outcome");
    json_string(writer, notice->answer.time_us == VERSION_NONE ? NULL : ack_outcome_names[notice->outcome]);
    json_key(writer, "ground");
    if (text_present(value)) {
        json_object(writer);
        write_date(writer, "until", notice->ground.until);
        json_key(writer, "value");
        json_raw(writer, value);
        json_object_end(writer);
    } else {
        json_null(writer);
    }
    write_date(writer, "until", notice->retained_until);
    json_object_end(writer);
    return give(walk, text_present(json_writer_text(writer)) ? OK : RETRY);
}

/* Facts of one time: their sources and ids are packed, so that SQL cannot order by them. */
static int by_consent(const void *a, const void *b) {
    const struct walk_met *one = a, *two = b;
    return dump_compare_consents(&one->as.consent, &two->as.consent);
}

#define ROWS(name) .declare = &query_cli_walk_##name, .fetch = &query_cli_walk_##name##_fetch
const struct walk_kind walk_kinds[] = {
    {ROWS(persons), .take = take_person, .write = write_person},
    {ROWS(orders), .take = take_order, .write = write_order},
    {ROWS(shipments), .take = take_shipment, .write = write_shipment},
    {ROWS(consents), .take = take_consent, .write = write_consent, .order = by_consent},
    {ROWS(permissions), .take = take_permissions, .write = write_permissions},
    {ROWS(suppressions), .take = take_address, .write = write_suppressions},
    {ROWS(requests), .take = take_request, .write = write_request},
    {ROWS(tombstones), .take = take_tombstone, .write = write_tombstone},
    {ROWS(notices), .take = take_notice, .write = write_notice, .notices = true},
    {.declare = NULL},
};
