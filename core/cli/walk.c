/* One pass over the register, aggregate by aggregate. */
#include "core/cli/walk.h"

#include "core/decide/pack.h"
#include "core/digest.h"
#include "core/dump_line.h"
#include "queries.h"

#define CELLS_MOST 3
#define BATCH_ARENA_BYTES ((size_t)1 << 30)

/* An aggregate as its row says, and its cells before they are opened. */
struct met {
    union {
        struct person person;
        struct order order;
        struct shipment shipment;
        struct notice notice;
    } as;
    struct text
        disclosed; /* of a notice: shipment, service and role of each disclosure, in control characters */
    struct cell *cell[CELLS_MOST];
    size_t cells;
};

/* What differs by kind. */
struct kind {
    const struct query *declare, *fetch;
    enum outcome (*take)(struct walk *walk, const struct db_result *result, size_t row, struct met *met,
                         struct sealed *sealed, struct err *err);
    enum outcome (*write)(struct walk *walk, struct dump *dump, const struct met *met);
};

/* ---- rows ---- */

/* columns: until, bytes. A cell that is there is listed for opening. */
static void take_cell(const struct db_result *result, size_t row, int column, struct met *met,
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
                                struct met *met, struct sealed *sealed, struct err *err) {
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

static enum outcome take_order(struct walk *walk, const struct db_result *result, size_t row, struct met *met,
                               struct sealed *sealed, struct err *err) {
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
                                  struct met *met, struct sealed *sealed, struct err *err) {
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
                                struct met *met, struct sealed *sealed, struct err *err) {
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

static enum outcome write_person(struct walk *walk, struct dump *dump, const struct met *met) {
    (void)walk;
    return dump_person(dump, &met->as.person);
}

static enum outcome write_order(struct walk *walk, struct dump *dump, const struct met *met) {
    (void)walk;
    return dump_order(dump, &met->as.order);
}

static enum outcome write_shipment(struct walk *walk, struct dump *dump, const struct met *met) {
    (void)walk;
    return dump_shipment(dump, &met->as.shipment);
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

static enum outcome write_notice(struct walk *walk, struct dump *dump, const struct met *met) {
    struct json_writer *writer = dump->writer;
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
    return text_present(json_writer_text(writer)) ? OK : RETRY;
}

static const struct kind kinds[] = {
    {&query_cli_walk_persons, &query_cli_walk_persons_fetch, take_person, write_person},
    {&query_cli_walk_orders, &query_cli_walk_orders_fetch, take_order, write_order},
    {&query_cli_walk_shipments, &query_cli_walk_shipments_fetch, take_shipment, write_shipment},
    {&query_cli_walk_notices, &query_cli_walk_notices_fetch, take_notice, write_notice},
};
#define KINDS (sizeof(kinds) / sizeof(*kinds))

/* ---- batches ---- */

/* Opens all cells of a batch at once; one by one when some do not open and that is what is looked for. */
static enum outcome open_all(struct walk *walk, struct sealed *sealed, size_t count, struct err *err) {
    enum outcome outcome = cells_read(walk->cells, &walk->arena, sealed, count, NULL, err);
    if (outcome != FATAL || !walk->unopened)
        return outcome;
    for (size_t i = 0; i < count; i++) {
        outcome = cells_read(walk->cells, &walk->arena, &sealed[i], 1, NULL, err);
        if (outcome == FATAL)
            walk->unopened(walk->context, &sealed[i], err->text);
        else if (outcome != OK)
            return outcome;
    }
    return OK;
}

static int write_lines(struct walk *walk, const struct kind *kind, const struct met *met, size_t count) {
    struct dump dump = {.writer = walk->writer, .show = show_cell, .context = walk};
    for (size_t i = 0; i < count; i++) {
        if (kind->write(walk, &dump, &met[i]) != OK)
            return session_refuse(walk->session, EXIT_REFUSED,
                                  "a row of the register cannot be written as a line");
        if (!walk->line(walk->context, json_writer_text(walk->writer)))
            return session_refuse(walk->session, EXIT_OUTPUT, "cannot print the dump");
    }
    return EXIT_FINE;
}

static int take_batch(struct walk *walk, const struct kind *kind, const struct db_result *result) {
    struct err *err = &walk->session->err;
    size_t rows = db_rows(result), sealed_count = 0;
    struct met *met = ARENA_ARRAY(&walk->arena, struct met, rows);
    struct sealed *sealed = ARENA_ARRAY(&walk->arena, struct sealed, rows * CELLS_MOST);
    if (!met || !sealed)
        return session_refuse(walk->session, EXIT_REFUSED, "out of memory");
    for (size_t row = 0; row < rows; row++) {
        if (kind->take(walk, result, row, &met[row], &sealed[sealed_count], err) != OK)
            return session_failed(walk->session, err);
        sealed_count += met[row].cells;
    }
    if (open_all(walk, sealed, sealed_count, err) != OK)
        return session_failed(walk->session, err);
    sealed_count = 0;
    for (size_t row = 0; row < rows; row++) {
        for (size_t i = 0; i < met[row].cells; i++)
            met[row].cell[i]->content = sealed[sealed_count++].plain;
    }
    walk->rows += rows;
    return walk->line ? write_lines(walk, kind, met, rows) : EXIT_FINE;
}

static int walk_kind(struct walk *walk, const struct kind *kind) {
    size_t rows = 1;
    int code = session_run(walk->session, walk->reg, kind->declare, NULL, NULL);
    while (code == EXIT_FINE && rows > 0) {
        struct db_result *result = NULL;
        code = session_run(walk->session, walk->reg, kind->fetch, NULL, &result);
        rows = code == EXIT_FINE ? db_rows(result) : 0;
        if (rows > 0)
            code = take_batch(walk, kind, result);
        db_result_release(result);
        arena_reset(&walk->arena);
        if (walk->progress)
            walk->progress(walk->context, walk->rows, walk->expected);
    }
    return code;
}

int walk_run(struct walk *walk) {
    struct db_result *result = NULL;
    arena_init(&walk->arena, BATCH_ARENA_BYTES);
    walk->writer = json_writer_new();
    int code = walk->writer ? EXIT_FINE : session_refuse(walk->session, EXIT_REFUSED, "out of memory");
    if (code == EXIT_FINE)
        code = session_run(walk->session, walk->reg, &query_cli_snapshot, NULL, NULL);
    if (code == EXIT_FINE)
        code = session_run(walk->session, walk->reg, &query_cli_walk_estimate, NULL, &result);
    if (code == EXIT_FINE)
        walk->expected = (uint64_t)db_int(result, 0, 0);
    db_result_release(result);
    for (size_t kind = 0; code == EXIT_FINE && kind < (walk->notices ? KINDS : KINDS - 1); kind++)
        code = walk_kind(walk, &kinds[kind]);
    if (code == EXIT_FINE)
        code = session_run(walk->session, walk->reg, &query_cli_commit, NULL, NULL);
    if (walk->writer)
        json_writer_free(walk->writer);
    arena_release(&walk->arena);
    return code;
}
