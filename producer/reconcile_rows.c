/* The verdict of `producer reconcile` on every row of the outbox, and its writing down. */
#include "producer/reconcile_rows.h"

#include "queries.h"
#include <stdio.h>
#include <stdlib.h>

#define PAGE_ROWS 10000
#define ARENA_BYTES ((size_t)64 << 20)
#define MARGIN_MS ((int64_t)600 * 1000) /* the mirror may lag, clocks may differ */

void reconcile_rows_init(struct reconcile_rows *rows) {
    *rows = (struct reconcile_rows){.topics = calloc(RELAY_TOPICS_MAX, sizeof(*rows->topics))};
}

void reconcile_rows_release(struct reconcile_rows *rows) {
    free(rows->topics);
    free(rows->at);
    free(rows->unknown);
    *rows = (struct reconcile_rows){.topics = NULL};
}

/* Room for one more item; NULL when there is no memory. */
static void *grow(void *items, size_t count, size_t *room, size_t item_bytes) {
    if (count < *room)
        return items;
    size_t wanted = *room ? *room * 2 : 1024;
    void *moved = reallocarray(items, wanted, item_bytes);
    if (moved)
        *room = wanted;
    return moved;
}

struct reconcile_topic *reconcile_rows_topic(struct reconcile_rows *rows, struct text name) {
    if (!rows->topics)
        return NULL;
    for (size_t i = 0; i < rows->topic_count; i++)
        if (text_is(name, rows->topics[i].name))
            return &rows->topics[i];
    if (rows->topic_count == RELAY_TOPICS_MAX || name.size >= RELAY_TOPIC_BYTES)
        return NULL;
    struct reconcile_topic *topic = &rows->topics[rows->topic_count++];
    memcpy(topic->name, name.at, name.size);
    return topic;
}

static int by_id(const void *a, const void *b) {
    const struct reconcile_row *left = a, *right = b;
    return memcmp(left->output_id, right->output_id, sizeof(left->output_id));
}

static int by_seq(const void *a, const void *b) {
    const struct reconcile_row *left = a, *right = b;
    return (left->seq > right->seq) - (left->seq < right->seq);
}

/* A page of the outbox; *after moves on, *rows_read 0 at the end. */
static enum outcome load_page(struct reconcile_rows *rows, struct db *db, struct arena *arena, int64_t *after,
                              size_t *rows_read, struct err *err) {
    struct db_result *result = NULL;
    struct db_params *params = db_params_new(arena, 2);
    if (!params)
        return err_set(err, FATAL, 0, "no memory for the outbox");
    db_param_int8(params, *after);
    db_param_int4(params, PAGE_ROWS);
    enum outcome outcome = db_run(db, &query_relay_outbox_ids, params, &result, err);
    *rows_read = outcome == OK ? db_rows(result) : 0;
    for (size_t i = 0; i < *rows_read; i++) {
        struct reconcile_topic *topic = reconcile_rows_topic(rows, db_text(result, i, 1));
        struct reconcile_row *grown = grow(rows->at, rows->count, &rows->room, sizeof(*rows->at));
        struct text row_id = db_text(result, i, 2), output_id = db_text(result, i, 3);
        if (!topic || !grown || row_id.size != ROW_ID_BYTES || output_id.size != 16) {
            outcome = err_set(err, FATAL, 0, "no memory for the outbox");
            break;
        }
        rows->at = grown;
        struct reconcile_row *row = &rows->at[rows->count++];
        *row = (struct reconcile_row){.seq = db_int(result, i, 0),
                                      .topic = (uint32_t)(topic - rows->topics),
                                      .settled = db_bool(result, i, 4)};
        memcpy(row->row_id, row_id.at, ROW_ID_BYTES);
        memcpy(row->output_id, output_id.at, 16);
        *after = row->seq;
    }
    db_result_release(result);
    return outcome;
}

enum outcome reconcile_rows_load(struct reconcile_rows *rows, struct db *db, const struct relay_marks *mirror,
                                 struct err *err) {
    struct arena arena;
    struct db_result *result = NULL;
    int64_t after = 0;
    size_t rows_read = 0;
    arena_init(&arena, ARENA_BYTES);
    enum outcome outcome = db_run(db, &query_relay_mirror_time, NULL, &result, err);
    if (outcome == OK && !db_is_null(result, 0, 0))
        rows->since_ms = db_time(result, 0, 0) / 1000 - MARGIN_MS;
    db_result_release(result);
    for (size_t i = 0; i < mirror->count && outcome == OK; i++) {
        struct reconcile_topic *topic = reconcile_rows_topic(rows, mirror->at[i].topic);
        if (!topic) {
            outcome = err_set(err, FATAL, 0, "no memory for the output topics");
            break;
        }
        topic->mirrored = mirror->at[i].seq;
    }
    do {
        if (outcome == OK)
            outcome = load_page(rows, db, &arena, &after, &rows_read, err);
        arena_reset(&arena);
    } while (outcome == OK && rows_read > 0);
    /* A position may stand on a row whose partition was dropped. */
    result = NULL;
    if (outcome == OK)
        outcome = db_run(db, &query_relay_anchors, NULL, &result, err);
    for (size_t i = 0; outcome == OK && i < db_rows(result); i++) {
        struct reconcile_topic *topic = reconcile_rows_topic(rows, db_text(result, i, 0));
        if (!topic || db_text(result, i, 2).size != ROW_ID_BYTES)
            continue;
        topic->position = db_int(result, i, 1);
        memcpy(topic->row_id, db_text(result, i, 2).at, ROW_ID_BYTES);
    }
    db_result_release(result);
    arena_release(&arena);
    if (rows->count)
        qsort(rows->at, rows->count, sizeof(*rows->at), by_id);
    return outcome;
}

bool reconcile_rows_seen(struct reconcile_rows *rows, const uint8_t id[16], int64_t timestamp_ms) {
    struct reconcile_row key;
    memcpy(key.output_id, id, 16);
    struct reconcile_row *row = rows->count ? bsearch(&key, rows->at, rows->count, sizeof(key), by_id) : NULL;
    if (row) {
        struct reconcile_topic *topic = &rows->topics[row->topic];
        row->found = topic->found_any = true;
        if (row->seq <= topic->mirrored && row->seq > topic->found_last)
            topic->found_last = row->seq;
        return true;
    }
    if (timestamp_ms < rows->since_ms)
        return true;
    struct reconcile_id *grown =
        grow(rows->unknown, rows->unknown_count, &rows->unknown_room, sizeof(*rows->unknown));
    if (!grown)
        return false;
    rows->unknown = grown;
    memcpy(rows->unknown[rows->unknown_count++].bytes, id, 16);
    return true;
}

/* A row that Kafka does not hold, but once held: the mirror passed it, and something after it in the topic is
 * still there, or the topic's beginning is gone with it. */
static bool has_expired(const struct reconcile_row *row, const struct reconcile_topic *topic) {
    return row->seq <= topic->mirrored &&
           (row->seq < topic->found_last || (!topic->found_any && topic->shortened));
}

void reconcile_rows_judge(struct reconcile_rows *rows, struct reconcile_report *report) {
    if (rows->count)
        qsort(rows->at, rows->count, sizeof(*rows->at), by_seq);
    for (size_t i = 0; i < rows->count; i++) {
        struct reconcile_row *row = &rows->at[i];
        struct reconcile_topic *topic = &rows->topics[row->topic];
        if (row->settled)
            continue;
        bool expired = !row->found && has_expired(row, topic);
        row->published = row->found || expired;
        report->rows_published += row->found;
        report->rows_expired += expired;
        report->rows_waiting += !row->published;
        report->rows_lost += !row->published && row->seq <= topic->mirrored;
        if (!row->published) {
            topic->open = true;
        } else if (!topic->open) {
            topic->position = row->seq;
            memcpy(topic->row_id, row->row_id, ROW_ID_BYTES);
        }
    }
    report->topics = rows->topic_count;
    report->rows_in_outbox = rows->count;
    report->ids_remembered = rows->unknown_count;
}

static enum outcome run(struct db *db, const struct query *query, struct db_params *params, struct err *err) {
    struct db_result *result = NULL;
    enum outcome outcome = params || !query->params
                               ? db_run(db, query, params, &result, err)
                               : err_set(err, FATAL, 0, "no memory for the reconciliation");
    db_result_release(result);
    return outcome;
}

/* Columns of one statement; NULL when the arena is full. */
static struct db_params *columns_new(struct arena *arena, const enum db_type *types, int count, size_t rows,
                                     struct db_column **columns) {
    struct db_params *params = db_params_new(arena, count);
    for (int i = 0; i < count; i++)
        if (!params || !(columns[i] = db_column(params, types[i], rows)))
            return NULL;
    return params;
}

/* Rows that count as published though a row before them does not: skipped one by one. */
static enum outcome write_publications(struct reconcile_rows *rows, struct db *db, struct arena *arena,
                                       struct err *err) {
    static const enum db_type types[5] = {DB_INT8, DB_TEXT, DB_UUID, DB_TEXT, DB_TEXT};
    enum outcome outcome = OK;
    for (size_t at = 0; at < rows->count && outcome == OK;) {
        struct db_column *columns[5];
        const struct reconcile_row *page[1000];
        size_t count = 0;
        for (; at < rows->count && count < 1000; at++)
            if (rows->at[at].published && rows->at[at].seq > rows->topics[rows->at[at].topic].position)
                page[count++] = &rows->at[at];
        arena_reset(arena);
        struct db_params *params = columns_new(arena, types, 5, count, columns);
        for (size_t i = 0; params && i < count; i++) {
            db_put_int(columns[0], page[i]->seq);
            db_put_text(columns[1], text_of(rows->topics[page[i]->topic].name));
            db_put_text(columns[2], (struct text){(const char *)page[i]->output_id, 16});
            db_put_text(columns[3], TEXT("published"));
            db_put_text(columns[4], TEXT("found by reconcile"));
        }
        outcome = run(db, &query_relay_publication_write, params, err);
    }
    return outcome;
}

static enum outcome write_ids(struct reconcile_rows *rows, struct db *db, struct arena *arena,
                              struct err *err) {
    static const enum db_type types[1] = {DB_UUID};
    enum outcome outcome = OK;
    for (size_t at = 0; at < rows->unknown_count && outcome == OK;) {
        struct db_column *columns[1];
        size_t count = rows->unknown_count - at < PAGE_ROWS ? rows->unknown_count - at : PAGE_ROWS;
        arena_reset(arena);
        struct db_params *params = columns_new(arena, types, 1, count, columns);
        for (size_t i = 0; params && i < count; i++)
            db_put_text(columns[0], (struct text){(const char *)rows->unknown[at + i].bytes, 16});
        outcome = run(db, &query_relay_published_before_write, params, err);
        at += count;
    }
    return outcome;
}

/* Topics with a position into the mirror, the others out of it. */
static enum outcome write_mirror(struct reconcile_rows *rows, struct db *db, struct arena *arena,
                                 struct err *err) {
    static const enum db_type types[3] = {DB_TEXT, DB_INT8, DB_BYTEA};
    struct db_column *set[3], *gone[1];
    size_t positioned = 0;
    for (size_t i = 0; i < rows->topic_count; i++)
        positioned += rows->topics[i].position > 0;
    arena_reset(arena);
    struct db_params *sets = columns_new(arena, types, 3, positioned, set);
    struct db_params *deletes = columns_new(arena, types, 1, rows->topic_count - positioned, gone);
    for (size_t i = 0; sets && deletes && i < rows->topic_count; i++) {
        const struct reconcile_topic *topic = &rows->topics[i];
        if (!topic->position) {
            db_put_text(gone[0], text_of(topic->name));
            continue;
        }
        db_put_text(set[0], text_of(topic->name));
        db_put_int(set[1], topic->position);
        db_put_text(set[2], (struct text){(const char *)topic->row_id, ROW_ID_BYTES});
    }
    enum outcome outcome = run(db, &query_relay_mirror_write, sets, err);
    return outcome == OK ? run(db, &query_relay_mirror_delete, deletes, err) : outcome;
}

static enum outcome write_audit(const struct reconcile_report *report, struct db *db, const char *operator,
                                struct arena * arena, struct err *err) {
    char detail[200];
    arena_reset(arena);
    struct db_params *floor = db_params_new(arena, 1), *audit = db_params_new(arena, 2);
    if (!floor || !audit)
        return err_set(err, FATAL, 0, "no memory for the reconciliation");
    snprintf(detail, sizeof(detail),
             "published %zu, expired %zu, waiting %zu, lost by Kafka %zu, ids remembered %zu",
             report->rows_published, report->rows_expired, report->rows_waiting, report->rows_lost,
             report->ids_remembered);
    db_param_int8(floor, 0);
    db_param_text(audit, text_of(operator));
    db_param_text(audit, text_of(detail));
    enum outcome outcome = run(db, &query_relay_floor_write, floor, err);
    return outcome == OK ? run(db, &query_relay_audit, audit, err) : outcome;
}

enum outcome reconcile_rows_write(struct reconcile_rows *rows, struct db *db, const char *operator,
                                  const struct reconcile_report * report, struct err *err) {
    struct arena arena;
    arena_init(&arena, ARENA_BYTES);
    enum outcome outcome = run(db, &query_relay_begin, NULL, err);
    if (outcome == OK)
        outcome = write_publications(rows, db, &arena, err);
    if (outcome == OK)
        outcome = write_ids(rows, db, &arena, err);
    if (outcome == OK)
        outcome = write_mirror(rows, db, &arena, err);
    if (outcome == OK)
        outcome = write_audit(report, db, operator, & arena, err);
    if (outcome == OK)
        outcome = run(db, &query_relay_commit, NULL, err);
    arena_release(&arena);
    return outcome; /* on failure the connection is closed, and with it the transaction */
}

bool reconcile_id_parse(struct text text, uint8_t id[16]) {
    static const char digits[] = "0123456789abcdef";
    size_t nibbles = 0;
    for (size_t i = 0; i < text.size; i++) {
        const char *digit = text.at[i] ? strchr(digits, text.at[i]) : NULL;
        if (text.at[i] == '-')
            continue;
        if (!digit || nibbles == 32)
            return false;
        uint8_t value = (uint8_t)(digit - digits);
        id[nibbles / 2] = (uint8_t)(nibbles % 2 ? id[nibbles / 2] | value : value << 4);
        nibbles++;
    }
    return nibbles == 32;
}
