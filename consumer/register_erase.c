/* The register over PostgreSQL: what waits for the erasing loop, and that it was done. */
#include "consumer/erase.h"
#include "consumer/register_postgres.h"
#include "core/killpoint.h"
#include "queries.h"

static enum outcome away(struct err *err) {
    return err_set(err, RETRY, 0, "the register is not connected");
}

/* After a failure in the middle of what was queued. */
static enum outcome given_up(struct register_postgres *reg, enum outcome outcome) {
    if (outcome != OK && reg->db)
        db_abandon(reg->db);
    return register_noted(reg, outcome);
}

static struct db_params *texts(struct arena *arena, const struct text *items, size_t count) {
    struct db_params *params = db_params_new(arena, 1);
    struct db_column *column = db_column(params, DB_TEXT, count);
    for (size_t i = 0; i < count; i++)
        db_put_text(column, items[i]);
    return params;
}

/* ---- what waits ---- */

/* A result's text outlives it; *full when the arena did not take it. */
static struct text kept(struct arena *arena, const struct db_result *result, size_t row, int column,
                        bool *full) {
    struct text text = db_text(result, row, column), copy = arena_text(arena, text);
    *full |= text_present(text) && !text_present(copy);
    return copy;
}

static enum outcome persons(struct register_postgres *reg, struct arena *arena, struct text after,
                            size_t limit, struct text **list, struct erase_portion *portion,
                            struct err *err) {
    struct db_result *result = NULL;
    struct db_params *params = db_params_new(arena, query_consumer_erase_persons.params);
    bool full = false;
    if (!params)
        return register_no_memory(err);
    db_param_text(params, after.size ? after : TEXT(""));
    db_param_int8(params, (int64_t)limit);
    enum outcome outcome = db_run(reg->db, &query_consumer_erase_persons, params, &result, err);
    size_t count = outcome == OK ? db_rows(result) : 0;
    *list = ARENA_ARRAY(arena, struct text, count + 1);
    for (size_t i = 0; *list && i < count; i++)
        (*list)[i] = kept(arena, result, i, 0, &full);
    if (outcome == OK && (full || !*list))
        outcome = register_no_memory(err);
    if (outcome == OK && count) {
        portion->persons = count;
        portion->last = (*list)[count - 1];
        portion->read_us = db_time(result, 0, 1);
    }
    db_result_release(result);
    return outcome;
}

static bool take_doomed(struct arena *arena, const struct db_result *result, struct erase_portion *portion) {
    bool full = false;
    for (size_t i = 0; !full && i < db_rows(result); i++) {
        struct key_doom *doom = ARENA_PUSH(arena, &portion->dooms);
        if (!doom)
            return false;
        *doom = (struct key_doom){.person = kept(arena, result, i, 0, &full),
                                  .generation = db_int(result, i, 1),
                                  .category = (enum category)db_int(result, i, 2),
                                  .cells = (uint16_t)db_int(result, i, 3),
                                  .transit = (uint16_t)db_int(result, i, 4)};
    }
    return !full;
}

static bool take_cuts(struct arena *arena, const struct db_result *result, struct erase_portion *portion) {
    bool full = false;
    for (size_t i = 0; !full && i < db_rows(result); i++) {
        struct erase_cut *cut = ARENA_PUSH(arena, &portion->cuts);
        if (!cut)
            return false;
        *cut = (struct erase_cut){.person = kept(arena, result, i, 0, &full),
                                  .subject = kept(arena, result, i, 1, &full),
                                  .cut_us = db_time(result, i, 2),
                                  .generation = db_int(result, i, 3),
                                  .cause = kept(arena, result, i, 4, &full),
                                  .categories = kept(arena, result, i, 5, &full),
                                  .valid = db_bool(result, i, 6),
                                  .complete = db_bool(result, i, 7),
                                  .row = kept(arena, result, i, 8, &full)};
    }
    return !full;
}

static bool take_guards(struct arena *arena, const struct db_result *result, struct erase_portion *portion) {
    bool full = false;
    for (size_t i = 0; !full && i < db_rows(result); i++) {
        struct erase_guard *guard = ARENA_PUSH(arena, &portion->guards);
        if (!guard)
            return false;
        *guard = (struct erase_guard){kept(arena, result, i, 0, &full), kept(arena, result, i, 1, &full)};
    }
    return !full;
}

static const struct {
    const struct query *query;
    bool (*take)(struct arena *arena, const struct db_result *result, struct erase_portion *portion);
} parts[] = {{&query_consumer_erase_doomed, take_doomed},
             {&query_consumer_erase_tombstones, take_cuts},
             {&query_consumer_erase_guards, take_guards}};
#define PARTS (sizeof parts / sizeof *parts)

/* The tombstones are read before the guards: one that changed in between is another row when it is marked. */
static enum outcome register_pending(void *context, struct arena *arena, struct text after, size_t limit,
                                     struct erase_portion *portion, struct err *err) {
    struct register_postgres *reg = context;
    struct text *list = NULL;
    if (!reg->db)
        return away(err);
    enum outcome outcome = persons(reg, arena, after, limit, &list, portion, err);
    if (outcome != OK || !portion->persons)
        return register_noted(reg, outcome);
    for (size_t i = 0; outcome == OK && i < PARTS; i++)
        outcome = db_send(reg->db, parts[i].query, texts(arena, list, portion->persons), err);
    if (outcome == OK)
        outcome = db_sync(reg->db, err);
    for (size_t i = 0; outcome == OK && i < PARTS; i++) {
        struct db_result *result = NULL;
        outcome = db_next(reg->db, &result, err);
        if (outcome == OK && !parts[i].take(arena, result, portion))
            outcome = register_no_memory(err);
        db_result_release(result);
    }
    return given_up(reg, outcome);
}

static enum outcome register_addresses(void *context, struct arena *arena, const struct text *hashes,
                                       size_t count, struct erase_address **rows, size_t *row_count,
                                       struct err *err) {
    struct register_postgres *reg = context;
    struct db_result *result = NULL;
    bool full = false;
    if (!reg->db)
        return away(err);
    enum outcome outcome =
        db_run(reg->db, &query_consumer_erase_addresses, texts(arena, hashes, count), &result, err);
    *row_count = outcome == OK ? db_rows(result) : 0;
    *rows = ARENA_ARRAY(arena, struct erase_address, *row_count + 1);
    for (size_t i = 0; *rows && i < *row_count; i++)
        (*rows)[i] =
            (struct erase_address){kept(arena, result, i, 0, &full), kept(arena, result, i, 1, &full)};
    db_result_release(result);
    if (outcome == OK && (full || !*rows))
        outcome = register_no_memory(err);
    return register_noted(reg, outcome);
}

static enum outcome register_count(void *context, int64_t *count, struct err *err) {
    struct register_postgres *reg = context;
    struct db_result *result = NULL;
    if (!reg->db)
        return away(err);
    enum outcome outcome = db_run(reg->db, &query_consumer_erase_count, NULL, &result, err);
    if (outcome == OK)
        *count = db_int(result, 0, 0);
    db_result_release(result);
    return register_noted(reg, outcome);
}

/* ---- done ---- */

struct db_params *erase_dooms_params(struct arena *arena, const struct query *query,
                                     const struct key_doom *dooms, size_t count) {
    struct db_params *params = db_params_new(arena, query->params);
    struct db_column *person = db_column(params, DB_TEXT, count);
    struct db_column *generation = db_column(params, DB_INT8, count);
    struct db_column *category = db_column(params, DB_INT2, count);
    struct db_column *cells = db_column(params, DB_INT4, count);
    struct db_column *transit = db_column(params, DB_INT4, count);
    for (size_t i = 0; i < count; i++) {
        const struct key_doom *doom = &dooms[i];
        db_put_text(person, doom->person);
        db_put_int(generation, doom->generation);
        db_put_int(category, (int64_t)doom->category);
        db_put_int(cells, doom->cells);
        db_put_int(transit, doom->transit);
    }
    return params;
}

static struct db_params *cuts_params(struct arena *arena, const struct erase_portion *portion) {
    size_t count = portion->cuts.count;
    struct db_params *params = db_params_new(arena, query_consumer_erase_destroyed.params);
    struct db_column *subject = db_column(params, DB_TEXT, count);
    struct db_column *cut = db_column(params, DB_TIMESTAMPTZ, count);
    struct db_column *row = db_column(params, DB_TEXT, count);
    for (size_t i = 0; i < count; i++) {
        db_put_text(subject, portion->cuts.at[i].subject);
        db_put_time(cut, portion->cuts.at[i].cut_us);
        db_put_text(row, portion->cuts.at[i].row);
    }
    return params;
}

static struct db_params *counter_params(struct arena *arena, int64_t counter) {
    struct db_params *params = db_params_new(arena, query_vault_counter_follow.params);
    if (params)
        db_param_int8(params, counter);
    return params;
}

static enum outcome register_destroyed(void *context, struct arena *arena,
                                       const struct erase_portion *portion, int64_t counter,
                                       struct err *err) {
    struct register_postgres *reg = context;
    if (!reg->db)
        return away(err);
    enum outcome outcome = db_send(reg->db, &query_consumer_begin, NULL, err);
    if (outcome == OK)
        outcome = db_send(
            reg->db, &query_consumer_erase_done,
            erase_dooms_params(arena, &query_consumer_erase_done, portion->dooms.at, portion->dooms.count),
            err);
    if (outcome == OK)
        outcome = db_send(reg->db, &query_consumer_erase_destroyed, cuts_params(arena, portion), err);
    if (outcome == OK)
        outcome = db_send(reg->db, &query_vault_counter_follow, counter_params(arena, counter), err);
    if (outcome == OK)
        outcome = db_sync(reg->db, err);
    for (int i = 0; outcome == OK && i < 4; i++) {
        struct db_result *result = NULL;
        outcome = db_next(reg->db, &result, err);
        db_result_release(result);
    }
    KILL_POINT("consumer.before_destroyed");
    if (outcome == OK)
        outcome = db_run(reg->db, &query_consumer_commit, NULL, NULL, err);
    return given_up(reg, outcome);
}

const struct erase_ops erase_postgres = {.pending = register_pending,
                                         .addresses = register_addresses,
                                         .destroyed = register_destroyed,
                                         .count = register_count};
