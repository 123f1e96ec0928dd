/* The register over PostgreSQL: what a batch reads, one pipelined round trip a round. */
#include "consumer/register_postgres.h"
#include "queries.h"

enum read_part {
    PART_REFS,
    PART_PARKED,
    PART_PERSONS,
    PART_ORPHANS,
    PART_ORDERS,
    PART_SHIPMENTS,
    PART_NOTICES,
    PART_CONSENTS,
    PART_REQUESTS,
    PART_ADDRESSES,
    PART_WHOLES,
    READ_PARTS
};

/* One query's keys: owners, and objects where the key has two parts; most: how many of each, 0 = all. */
static enum outcome send_keys(struct register_postgres *reg, struct arena *arena, const struct query *query,
                              const struct read_keys *keys, size_t most, struct err *err) {
    bool pairs = query->params == 2 && !most;
    struct db_params *params = db_params_new(arena, query->params);
    struct db_column *owners = params ? db_column(params, DB_TEXT, keys->count) : NULL;
    struct db_column *objects = owners && pairs ? db_column(params, DB_TEXT, keys->count) : NULL;
    if (!owners || (pairs && !objects))
        return register_no_memory(err);
    for (size_t i = 0; i < keys->count; i++) {
        db_put_text(owners, keys->keys[i].owner);
        if (pairs)
            db_put_text(objects, keys->keys[i].object);
    }
    if (most)
        db_param_int8(params, (int64_t)most);
    return db_send(reg->db, query, params, err);
}

/* ---- rows out of results: everything is copied, for the result dies ---- */

struct copier {
    struct arena *arena;
    const struct db_result *result;
    size_t row;
    bool full;
};

static struct text copied(struct copier *copier, int column) {
    struct text text = db_text(copier->result, copier->row, column);
    struct text copy = arena_text(copier->arena, text);
    copier->full |= text_present(text) && !text_present(copy);
    return copy;
}
static struct row_cell copied_cell(struct copier *copier, int until, int cell) {
    return (struct row_cell){db_date(copier->result, copier->row, until), copied(copier, cell)};
}

static void take_ref(struct copier *copier, struct read_rows *rows) {
    rows->refs.at[rows->refs.count++] = (struct row_ref){
        copied(copier, 0), copied(copier, 1), copied(copier, 2), copied(copier, 3), copied(copier, 4)};
}
static void take_parked(struct copier *copier, struct read_rows *rows) {
    rows->parked.at[rows->parked.count++] =
        (struct row_parked){.ref = copied(copier, 0),
                            .topic = copied(copier, 1),
                            .partition = (int32_t)db_int(copier->result, copier->row, 2),
                            .offset = db_int(copier->result, copier->row, 3),
                            .expires_us = db_time(copier->result, copier->row, 4),
                            .body = copied(copier, 5),
                            .record_hash = copied(copier, 6)};
}
static void take_person(struct copier *copier, struct read_rows *rows) {
    rows->persons.at[rows->persons.count++] =
        (struct row_person){.person = copied(copier, 0),
                            .generation = db_int(copier->result, copier->row, 1),
                            .revision = db_int(copier->result, copier->row, 2),
                            .profile = copied_cell(copier, 3, 4),
                            .merge = copied(copier, 5)};
}
static void take_order(struct copier *copier, struct read_rows *rows) {
    rows->orders.at[rows->orders.count++] = (struct row_order){.customer_id = copied(copier, 0),
                                                               .order_id = copied(copier, 1),
                                                               .claim = copied_cell(copier, 2, 3),
                                                               .voucher = copied_cell(copier, 4, 5),
                                                               .oss = copied_cell(copier, 6, 7),
                                                               .merge = copied(copier, 8)};
}
static void take_shipment(struct copier *copier, struct read_rows *rows) {
    rows->shipments.at[rows->shipments.count++] = (struct row_shipment){.customer_id = copied(copier, 0),
                                                                        .shipment_id = copied(copier, 1),
                                                                        .delivery = copied_cell(copier, 2, 3),
                                                                        .merge = copied(copier, 4)};
}
static void take_notice(struct copier *copier, struct read_rows *rows) {
    rows->notices.at[rows->notices.count++] = (struct row_notice){.person = copied(copier, 0),
                                                                  .notice_ref = copied(copier, 1),
                                                                  .ground = copied_cell(copier, 2, 3),
                                                                  .merge = copied(copier, 4)};
}

static void take_consent(struct copier *copier, struct read_rows *rows) {
    rows->consents.at[rows->consents.count++] = (struct row_consent){.person = copied(copier, 0),
                                                                     .fact = copied(copier, 1),
                                                                     .proof = copied_cell(copier, 2, 3),
                                                                     .merge = copied(copier, 4)};
}
static struct row_guarded copied_guarded(struct copier *copier) {
    return (struct row_guarded){copied(copier, 0), db_int(copier->result, copier->row, 1), copied(copier, 2)};
}
static void take_request(struct copier *copier, struct read_rows *rows) {
    rows->requests.at[rows->requests.count++] = copied_guarded(copier);
}
static void take_address(struct copier *copier, struct read_rows *rows) {
    rows->addresses.at[rows->addresses.count++] = copied_guarded(copier);
}
static void take_whole(struct copier *copier, struct read_rows *rows) {
    rows->wholes.at[rows->wholes.count++] =
        (struct row_whole){.person = copied(copier, 0),
                           .is_order = db_bool(copier->result, copier->row, 1),
                           .key = {copied(copier, 2), copied(copier, 3)}};
}
static void take_orphan(struct copier *copier, struct read_rows *rows) {
    const struct db_result *result = copier->result;
    size_t row = copier->row;
    rows->orphans.at[rows->orphans.count++] = (struct row_orphan){
        .subject = copied(copier, 0),
        .cut = {.cut_us = db_time(result, row, 1),
                .cause = text_is(db_text(result, row, 2), "request") ? CUT_REQUEST : CUT_CLOSED,
                .valid = db_bool(result, row, 3),
                .complete = db_bool(result, row, 4),
                .completed_us = db_time(result, row, 5),
                .restored = true}};
}

static bool rows_room(struct arena *arena, struct read_rows *rows, enum read_part part, size_t count) {
    switch (part) {
    case PART_REFS:
        return (rows->refs.at = ARENA_ARRAY(arena, struct row_ref, count)) != NULL;
    case PART_PARKED:
        return (rows->parked.at = ARENA_ARRAY(arena, struct row_parked, count)) != NULL;
    case PART_PERSONS:
        return (rows->persons.at = ARENA_ARRAY(arena, struct row_person, count)) != NULL;
    case PART_ORDERS:
        return (rows->orders.at = ARENA_ARRAY(arena, struct row_order, count)) != NULL;
    case PART_SHIPMENTS:
        return (rows->shipments.at = ARENA_ARRAY(arena, struct row_shipment, count)) != NULL;
    case PART_NOTICES:
        return (rows->notices.at = ARENA_ARRAY(arena, struct row_notice, count)) != NULL;
    case PART_CONSENTS:
        return (rows->consents.at = ARENA_ARRAY(arena, struct row_consent, count)) != NULL;
    case PART_REQUESTS:
        return (rows->requests.at = ARENA_ARRAY(arena, struct row_guarded, count)) != NULL;
    case PART_ADDRESSES:
        return (rows->addresses.at = ARENA_ARRAY(arena, struct row_guarded, count)) != NULL;
    case PART_WHOLES:
        return (rows->wholes.at = ARENA_ARRAY(arena, struct row_whole, count)) != NULL;
    case PART_ORPHANS:
        return (rows->orphans.at = ARENA_ARRAY(arena, struct row_orphan, count)) != NULL;
    default:
        return false;
    }
}

static enum outcome take_rows(struct arena *arena, const struct db_result *result, enum read_part part,
                              struct read_rows *rows, struct err *err) {
    static void (*const takers[READ_PARTS])(struct copier *, struct read_rows *) = {
        take_ref,    take_parked,  take_person,  take_orphan,  take_order, take_shipment,
        take_notice, take_consent, take_request, take_address, take_whole};
    struct copier copier = {.arena = arena, .result = result};
    size_t count = db_rows(result);
    if (count && !rows_room(arena, rows, part, count))
        return register_no_memory(err);
    for (; copier.row < count; copier.row++)
        takers[part](&copier, rows);
    return copier.full ? register_no_memory(err) : OK;
}

/* The first read of a load begins its snapshot; the answer to that comes first. */
static enum outcome begin_snapshot(struct register_postgres *reg, bool *begun, struct err *err) {
    if (reg->in_snapshot || reg->in_transaction)
        return OK;
    enum outcome outcome = db_send(reg->db, &query_consumer_begin_snapshot, NULL, err);
    *begun = reg->in_snapshot = outcome == OK;
    return outcome;
}

/* The order of the parts is the order of the statements: refs, then persons, then what persons guard. */
enum outcome register_read(void *context, struct arena *arena, const struct read_request *request,
                           struct read_rows *rows, struct err *err) {
    struct register_postgres *reg = context;
    const struct {
        const struct query *query;
        const struct read_keys *keys;
    } parts[READ_PARTS] = {[PART_REFS] = {&query_consumer_read_refs, &request->refs},
                           [PART_PARKED] = {&query_consumer_read_parked, &request->parked},
                           [PART_PERSONS] = {&query_consumer_read_persons, &request->persons},
                           [PART_ORDERS] = {&query_consumer_read_orders, &request->orders},
                           [PART_SHIPMENTS] = {&query_consumer_read_shipments, &request->shipments},
                           [PART_NOTICES] = {&query_consumer_read_notices, &request->notices},
                           [PART_CONSENTS] = {&query_consumer_read_consents, &request->consents},
                           [PART_REQUESTS] = {&query_consumer_read_requests, &request->requests},
                           [PART_ADDRESSES] = {&query_consumer_read_addresses, &request->addresses},
                           [PART_WHOLES] = {&query_consumer_read_whole, &request->wholes},
                           [PART_ORPHANS] = {&query_consumer_read_orphans, &request->orphans}};
    size_t sent = 0;
    bool begun = false;
    enum read_part asked[READ_PARTS];
    *rows = (struct read_rows){0};
    if (!reg->db)
        return err_set(err, RETRY, 0, "the register is not connected");
    enum outcome outcome = begin_snapshot(reg, &begun, err);
    for (size_t part = 0; part < READ_PARTS && outcome == OK; part++) {
        if (!parts[part].keys->count)
            continue;
        outcome = send_keys(reg, arena, parts[part].query, parts[part].keys,
                            part == PART_PARKED ? request->parked_most : 0, err);
        if (outcome == OK)
            asked[sent++] = (enum read_part)part;
    }
    struct err later;
    if ((sent || begun) && db_sync(reg->db, outcome == OK ? err : &later) != OK)
        outcome = outcome == OK ? RETRY : outcome;
    if (begun) {
        struct db_result *result = NULL;
        enum outcome got = db_next(reg->db, &result, outcome == OK ? err : &later);
        outcome = outcome == OK ? got : outcome;
        db_result_release(result);
    }
    for (size_t i = 0; i < sent; i++) {
        struct db_result *result = NULL;
        enum outcome got = db_next(reg->db, &result, outcome == OK ? err : &later);
        if (got == OK && outcome == OK)
            got = take_rows(arena, result, asked[i], rows, err);
        outcome = outcome == OK ? got : outcome;
        db_result_release(result);
    }
    return register_noted(reg, outcome);
}

enum outcome register_due(void *context, struct arena *arena, enum due_kind kind, int64_t now_us,
                          const struct row_parked *after, size_t limit, struct row_parked **rows,
                          size_t *count, struct err *err) {
    struct register_postgres *reg = context;
    bool expired = kind == DUE_EXPIRED;
    struct db_result *result = NULL;
    struct db_params *params = db_params_new(arena, expired ? 7 : 5);
    if (!reg->db)
        return err_set(err, RETRY, 0, "the register is not connected");
    if (!params)
        return register_no_memory(err);
    if (expired) {
        db_param_time(params, now_us);
        db_param_time(params, after->expires_us);
    }
    db_param_text(params, after->ref);
    db_param_text(params, after->topic);
    db_param_int4(params, after->partition);
    db_param_int8(params, after->offset);
    db_param_int8(params, (int64_t)limit);
    enum outcome outcome = db_run(reg->db, expired ? &query_consumer_due_expired : &query_consumer_due_learnt,
                                  params, &result, err);
    *count = outcome == OK ? db_rows(result) : 0;
    struct read_rows taken = {.parked.at = ARENA_ARRAY(arena, struct row_parked, *count + 1)};
    *rows = taken.parked.at;
    if (outcome == OK && !*rows)
        outcome = register_no_memory(err);
    struct copier copier = {.arena = arena, .result = result};
    for (; outcome == OK && copier.row < *count; copier.row++)
        take_parked(&copier, &taken);
    if (outcome == OK && copier.full)
        outcome = register_no_memory(err);
    db_result_release(result);
    return register_noted(reg, outcome);
}

static struct row_unpublished taken_unpublished(struct copier *copier) {
    return (struct row_unpublished){.seq = db_int(copier->result, copier->row, 0),
                                    .row_id = copied(copier, 1),
                                    .person = copied(copier, 2),
                                    .generation = db_int(copier->result, copier->row, 3),
                                    .category = (enum category)db_int(copier->result, copier->row, 4),
                                    .customer_id = copied(copier, 5),
                                    .shipment_id = copied(copier, 6),
                                    .body = copied(copier, 7)};
}

enum outcome register_unpublished(void *context, struct arena *arena, const struct key_doom *dooms,
                                  size_t count, struct row_unpublished **rows, size_t *row_count,
                                  struct err *err) {
    struct register_postgres *reg = context;
    struct db_result *result = NULL;
    *row_count = 0;
    if (!reg->db)
        return err_set(err, RETRY, 0, "the register is not connected");
    struct db_params *params = db_params_new(arena, 3);
    struct db_column *persons = params ? db_column(params, DB_TEXT, count) : NULL;
    struct db_column *generations = persons ? db_column(params, DB_INT8, count) : NULL;
    struct db_column *categories = generations ? db_column(params, DB_INT2, count) : NULL;
    if (!categories)
        return register_no_memory(err);
    for (size_t i = 0; i < count; i++) {
        db_put_text(persons, dooms[i].person);
        db_put_int(generations, dooms[i].generation);
        db_put_int(categories, dooms[i].category);
    }
    enum outcome outcome = db_run(reg->db, &query_consumer_read_unpublished, params, &result, err);
    size_t found = outcome == OK ? db_rows(result) : 0;
    struct copier copier = {.arena = arena, .result = result};
    *rows = ARENA_ARRAY(arena, struct row_unpublished, found + 1);
    if (outcome == OK && !*rows)
        outcome = register_no_memory(err);
    for (; outcome == OK && copier.row < found; copier.row++)
        (*rows)[(*row_count)++] = taken_unpublished(&copier);
    if (outcome == OK && copier.full)
        outcome = register_no_memory(err);
    db_result_release(result);
    return register_noted(reg, outcome);
}

enum outcome register_lock(void *context, struct arena *arena, const struct text *persons, size_t count,
                           struct err *err) {
    struct register_postgres *reg = context;
    if (!reg->db)
        return err_set(err, RETRY, 0, "the register is not connected");
    register_postgres.rollback(reg); /* the snapshot in which they were found */
    if (!reg->db)
        return err_set(err, RETRY, 0, "the register went away");
    enum outcome outcome = db_run(reg->db, &query_consumer_begin_locking, NULL, NULL, err);
    if (outcome == OK) {
        reg->in_transaction = true;
        struct db_params *params = db_params_new(arena, 1);
        struct db_column *column = params ? db_column(params, DB_TEXT, count) : NULL;
        for (size_t i = 0; column && i < count; i++)
            db_put_text(column, persons[i]);
        outcome = column ? db_run(reg->db, &query_consumer_lock_persons, params, NULL, err)
                         : register_no_memory(err);
    }
    return register_noted(reg, outcome);
}
