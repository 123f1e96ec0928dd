/* The outbox, its lock, its horizon and the mirror in PostgreSQL. */
#include "producer/outbox.h"

#include "core/schema.h"
#include <errno.h>
#include <stdio.h>

#define ARENA_BYTES ((size_t)64 << 20)

void outbox_init(struct outbox *outbox, const char *conninfo, const char *policy_digest) {
    *outbox = (struct outbox){.conninfo = conninfo};
    snprintf(outbox->policy_digest, sizeof(outbox->policy_digest), "%s", policy_digest);
    arena_init(&outbox->arena, ARENA_BYTES);
}

static void outbox_close(void *opaque) {
    struct outbox *outbox = opaque;
    db_result_release(outbox->rows);
    outbox->rows = NULL;
    outbox->asked = false;
    db_close(outbox->db);
    outbox->db = NULL;
}

void outbox_release(struct outbox *outbox) {
    outbox_close(outbox);
    arena_release(&outbox->arena);
}

/* What was asked for is received and kept, so that another statement can run. */
static void receive(struct outbox *outbox) {
    if (!outbox->asked || outbox->rows || outbox->rows_outcome != OK)
        return;
    outbox->rows_outcome = db_next(outbox->db, &outbox->rows, &outbox->rows_err);
}

static enum outcome run(struct outbox *outbox, const struct query *query, struct db_params *params,
                        struct db_result **result, struct err *err) {
    receive(outbox);
    return db_run(outbox->db, query, params, result, err);
}

static enum outcome run_int(struct outbox *outbox, const struct query *query, int64_t *value,
                            struct err *err) {
    struct db_result *result = NULL;
    enum outcome outcome = run(outbox, query, NULL, &result, err);
    if (outcome == OK)
        *value = db_int(result, 0, 0);
    db_result_release(result);
    return outcome;
}

static enum outcome outbox_open(void *opaque, bool *ours, struct err *err) {
    struct outbox *outbox = opaque;
    struct db_result *result = NULL;
    *ours = false;
    enum outcome outcome = db_open(&outbox->db, outbox->conninfo, "kundregister-producer", err);
    if (outcome != OK)
        return outcome;
    outcome = db_run(outbox->db, &query_relay_lock, NULL, &result, err);
    if (outcome == OK)
        *ours = db_bool(result, 0, 0);
    db_result_release(result);
    return outcome;
}

static enum outcome outbox_alive(void *opaque, struct err *err) {
    int64_t one;
    return run_int(opaque, &query_relay_alive, &one, err);
}

static enum outcome outbox_policy(void *opaque, struct err *err) {
    struct outbox *outbox = opaque;
    struct db_result *result = NULL;
    receive(outbox);
    enum outcome outcome = schema_check(outbox->db, "register", register_migrations, err);
    if (outcome == OK)
        outcome = run(outbox, &query_relay_policy, NULL, &result, err);
    if (outcome == OK && (db_rows(result) == 0 || !text_is(db_text(result, 0, 0), outbox->policy_digest)))
        outcome = err_set(err, FATAL, 0, "%s",
                          db_rows(result) == 0 ? "no policy is active; run `kundregister policy activate`"
                                               : "the active policy is another one than this program's "
                                                 "policy file; run `kundregister policy "
                                                 "activate`, or give it the active one");
    db_result_release(result);
    return outcome;
}

static enum outcome outbox_last_value(void *opaque, int64_t *seq, struct err *err) {
    return run_int(opaque, &query_relay_last_value, seq, err);
}

static enum outcome outbox_transaction_id(void *opaque, int64_t *id, struct err *err) {
    return run_int(opaque, &query_relay_xid, id, err);
}

static enum outcome outbox_oldest_transaction(void *opaque, int64_t *id, struct err *err) {
    return run_int(opaque, &query_relay_xmin, id, err);
}

static enum outcome outbox_holders(void *opaque, char *buffer, size_t room, struct err *err) {
    struct db_result *result = NULL;
    enum outcome outcome = run(opaque, &query_relay_holders, NULL, &result, err);
    if (outcome == OK)
        snprintf(buffer, room, "%.*s", TEXT_ARGS(db_text(result, 0, 0)));
    db_result_release(result);
    return outcome;
}

static enum outcome no_memory(struct err *err) {
    return err_set(err, FATAL, ENOMEM, "no memory for a batch: lower producer.batch.outputs");
}

static enum outcome outbox_ask(void *opaque, const struct relay_want *want, struct err *err) {
    struct outbox *outbox = opaque;
    arena_reset(&outbox->arena);
    struct db_params *params = db_params_new(&outbox->arena, 4);
    if (!params)
        return no_memory(err);
    db_param_int8(params, want->after);
    db_param_int8(params, want->up_to);
    db_param_int4(params, want->limit);
    if (text_present(want->topic)) {
        db_param_text(params, want->topic);
    } else {
        struct db_column *stalled = db_column(params, DB_TEXT, want->stalled_count);
        for (size_t i = 0; i < want->stalled_count; i++)
            db_put_text(stalled, want->stalled[i]);
    }
    enum outcome outcome = db_send(
        outbox->db, text_present(want->topic) ? &query_relay_topic_rows : &query_relay_rows, params, err);
    if (outcome == OK)
        outcome = db_sync(outbox->db, err);
    outbox->asked = outcome == OK;
    outbox->rows_outcome = OK;
    return outcome;
}

/* A fixed-size value of a column; false when it has another size. */
static bool take_bytes(const struct db_result *result, size_t row, int column, uint8_t *bytes, size_t count) {
    struct text value = db_text(result, row, column);
    if (value.size != count)
        return false;
    memcpy(bytes, value.at, count);
    return true;
}

/* False when memory ran out. A person left out for that would make a sealed body a clear one. */
static bool take_text(const struct db_result *result, size_t row, int column, struct arena *arena,
                      struct text *text) {
    *text = arena_text(arena, db_text(result, row, column));
    return text_present(*text) || db_is_null(result, row, column);
}

static bool take_row(const struct db_result *result, size_t at, struct arena *arena, struct relay_row *row) {
    static const enum relay_fate fates[] = {FATE_PUBLISH, FATE_SETTLED, FATE_ELSEWHERE};
    int64_t settled = db_int(result, at, 12);
    row->seq = db_int(result, at, 0);
    row->decided_us = db_time(result, at, 6);
    row->generation = db_int(result, at, 8);
    row->category = (int)db_int(result, at, 9);
    row->fate = fates[settled < 0 || settled > 2 ? 0 : settled];
    return take_text(result, at, 2, arena, &row->topic) && take_text(result, at, 3, arena, &row->key) &&
           take_text(result, at, 4, arena, &row->type) && take_text(result, at, 7, arena, &row->person) &&
           take_text(result, at, 10, arena, &row->body) && take_text(result, at, 11, arena, &row->headers) &&
           take_bytes(result, at, 1, row->row_id, ROW_ID_BYTES) &&
           take_bytes(result, at, 5, row->output_id, 16) && text_present(row->body);
}

static enum outcome outbox_rows(void *opaque, struct arena *arena, struct relay_rows *rows, struct err *err) {
    struct outbox *outbox = opaque;
    receive(outbox);
    outbox->asked = false;
    enum outcome outcome = outbox->rows_outcome;
    if (outcome != OK) {
        *err = outbox->rows_err;
        return outcome;
    }
    rows->count = db_rows(outbox->rows);
    rows->at = ARENA_ARRAY(arena, struct relay_row, rows->count + 1);
    for (size_t i = 0; i < rows->count && outcome == OK; i++)
        if (!rows->at || !take_row(outbox->rows, i, arena, &rows->at[i]))
            outcome = no_memory(err);
    db_result_release(outbox->rows);
    outbox->rows = NULL;
    return outcome;
}

static enum outcome outbox_bodies(void *opaque, struct arena *arena, struct relay_row **rows, size_t count,
                                  struct err *err) {
    struct outbox *outbox = opaque;
    struct db_result *result = NULL;
    struct db_params *params = db_params_new(arena, 1);
    struct db_column *seqs = params ? db_column(params, DB_INT8, count) : NULL;
    if (!seqs)
        return no_memory(err);
    for (size_t i = 0; i < count; i++)
        db_put_int(seqs, rows[i]->seq);
    enum outcome outcome = run(outbox, &query_relay_bodies, params, &result, err);
    for (size_t i = 0; outcome == OK && i < count && i < db_rows(result); i++)
        if (!db_is_null(result, i, 0) && !take_text(result, i, 0, arena, &rows[i]->body))
            outcome = no_memory(err);
    db_result_release(result);
    return outcome;
}

static enum outcome outbox_mirror(void *opaque, struct arena *arena, struct relay_marks *marks,
                                  int64_t *floor, struct err *err) {
    struct outbox *outbox = opaque;
    struct db_result *result = NULL;
    enum outcome outcome = run(outbox, &query_relay_mirror, NULL, &result, err);
    for (size_t i = 0; outcome == OK && i < db_rows(result); i++) {
        struct relay_mark *mark = ARENA_PUSH(arena, marks);
        if (!mark || !take_bytes(result, i, 2, mark->row_id, ROW_ID_BYTES) ||
            !take_text(result, i, 0, arena, &mark->topic)) {
            outcome = no_memory(err);
            break;
        }
        mark->seq = db_int(result, i, 1);
    }
    db_result_release(result);
    return outcome == OK ? run_int(outbox, &query_relay_floor, floor, err) : outcome;
}

static enum outcome outbox_find(void *opaque, struct arena *arena, const struct relay_marks *marks,
                                bool *same, struct err *err) {
    struct outbox *outbox = opaque;
    struct db_result *result = NULL;
    struct db_params *params = db_params_new(arena, 2);
    struct db_column *topics = params ? db_column(params, DB_TEXT, marks->count) : NULL;
    struct db_column *seqs = topics ? db_column(params, DB_INT8, marks->count) : NULL;
    if (!seqs)
        return no_memory(err);
    for (size_t i = 0; i < marks->count; i++) {
        db_put_text(topics, marks->at[i].topic);
        db_put_int(seqs, marks->at[i].seq);
    }
    enum outcome outcome = run(outbox, &query_relay_find, params, &result, err);
    for (size_t i = 0; outcome == OK && i < marks->count; i++)
        same[i] =
            text_equal(db_text(result, i, 0), (struct text){(const char *)marks->at[i].row_id, ROW_ID_BYTES});
    db_result_release(result);
    return outcome;
}

static const char *fate_state(enum relay_fate fate) {
    return fate == FATE_WITHHELD ? "withheld" : fate == FATE_UNPUBLISHABLE ? "unpublishable" : "published";
}

static struct db_params *fate_params(struct arena *arena, const struct relay_news *news) {
    struct db_params *params = db_params_new(arena, 5);
    struct db_column *columns[5];
    static const enum db_type types[5] = {DB_INT8, DB_TEXT, DB_UUID, DB_TEXT, DB_TEXT};
    for (size_t i = 0; i < 5; i++)
        if (!params || !(columns[i] = db_column(params, types[i], news->row_count)))
            return NULL;
    for (size_t i = 0; i < news->row_count; i++) {
        const struct relay_row *row = &news->rows[i];
        db_put_int(columns[0], row->seq);
        db_put_text(columns[1], row->topic);
        db_put_text(columns[2], (struct text){(const char *)row->output_id, 16});
        db_put_text(columns[3], text_of(fate_state(row->fate)));
        db_put_text(columns[4], text_of(row->detail));
    }
    return params;
}

static struct db_params *mark_params(struct arena *arena, const struct relay_news *news) {
    struct db_params *params = db_params_new(arena, 3);
    struct db_column *columns[3];
    static const enum db_type types[3] = {DB_TEXT, DB_INT8, DB_BYTEA};
    for (size_t i = 0; i < 3; i++)
        if (!params || !(columns[i] = db_column(params, types[i], news->mark_count)))
            return NULL;
    for (size_t i = 0; i < news->mark_count; i++) {
        db_put_text(columns[0], news->marks[i].topic);
        db_put_int(columns[1], news->marks[i].seq);
        db_put_text(columns[2], (struct text){(const char *)news->marks[i].row_id, ROW_ID_BYTES});
    }
    return params;
}

/* One pipelined transaction: fates before the floor that passes over them. */
static enum outcome outbox_record(void *opaque, struct arena *arena, const struct relay_news *news,
                                  struct err *err) {
    struct outbox *outbox = opaque;
    struct db_params *fates = fate_params(arena, news), *marks = mark_params(arena, news),
                     *floor = db_params_new(arena, 1);
    if (!fates || !marks || !floor)
        return no_memory(err);
    db_param_int8(floor, news->floor);
    receive(outbox);
    enum outcome outcome = db_send(outbox->db, &query_relay_publication_write, fates, err);
    if (outcome == OK)
        outcome = db_send(outbox->db, &query_relay_mirror_write, marks, err);
    if (outcome == OK)
        outcome = db_send(outbox->db, &query_relay_floor_write, floor, err);
    if (outcome == OK)
        outcome = db_sync(outbox->db, err);
    for (int i = 0; i < 3 && outcome == OK; i++) {
        struct db_result *result = NULL;
        outcome = db_next(outbox->db, &result, err);
        db_result_release(result);
    }
    return outcome;
}

/* Locked out by a consumer that adds partitions: the next time will do. */
static enum outcome outbox_drop(void *opaque, int *dropped, struct err *err) {
    int64_t count = 0;
    enum outcome outcome = run_int(opaque, &query_relay_drop, &count, err);
    *dropped = (int)count;
    return outcome == RETRY && strcmp(err->sqlstate, "55P03") == 0 ? OK : outcome;
}

const struct outbox_ops outbox_postgres = {.open = outbox_open,
                                           .close = outbox_close,
                                           .alive = outbox_alive,
                                           .policy = outbox_policy,
                                           .last_value = outbox_last_value,
                                           .transaction_id = outbox_transaction_id,
                                           .oldest_transaction = outbox_oldest_transaction,
                                           .holders = outbox_holders,
                                           .ask = outbox_ask,
                                           .rows = outbox_rows,
                                           .bodies = outbox_bodies,
                                           .mirror = outbox_mirror,
                                           .find = outbox_find,
                                           .record = outbox_record,
                                           .drop = outbox_drop};
