/* The register over PostgreSQL: its connection, and claims of positions. */
#include "consumer/register_postgres.h"
#include "core/clock.h"
#include "core/log.h"
#include "queries.h"
#include <errno.h>
#include <stdio.h>

#define CLAIM_TRIES 4
#define RECONNECT_MOST_US 2000000

void register_postgres_init(struct register_postgres *reg, const char *conninfo, const char *application,
                            int64_t lock_timeout_ms) {
    *reg = (struct register_postgres){
        .conninfo = conninfo, .application = application, .lock_timeout_ms = lock_timeout_ms};
}

enum outcome register_no_memory(struct err *err) {
    return err_set(err, RETRY, ENOMEM, "the batch does not fit its memory");
}

static void register_close(void *context) {
    struct register_postgres *reg = context;
    db_close(reg->db);
    reg->db = NULL;
    reg->in_transaction = reg->in_snapshot = false;
    reg->policy = 0;
    reg->extended_to = 0;
}

enum outcome register_noted(struct register_postgres *reg, enum outcome outcome) {
    if (reg->db && db_broken(reg->db))
        register_close(reg);
    return outcome;
}

static bool register_is_open(void *context) {
    struct register_postgres *reg = context;
    (void)register_noted(reg, OK);
    return reg->db != NULL;
}

static enum outcome set_session(struct register_postgres *reg, struct err *err) {
    char bytes[64];
    struct arena arena;
    arena_init(&arena, 1 << 16);
    snprintf(bytes, sizeof bytes, "%lldms", (long long)reg->lock_timeout_ms);
    struct db_params *params = db_params_new(&arena, 1);
    enum outcome outcome = params ? OK : register_no_memory(err);
    if (outcome == OK) {
        db_param_text(params, text_of(bytes));
        outcome = db_run(reg->db, &query_consumer_session, params, NULL, err);
    }
    arena_release(&arena);
    return outcome;
}

static enum outcome register_open(void *context, struct err *err) {
    struct register_postgres *reg = context;
    if (register_is_open(reg))
        return OK;
    int64_t now = clock_system.monotonic_us(NULL);
    if (now < reg->reconnect_at_us)
        return err_set(err, RETRY, 0, "the register is away; the next try is soon");
    enum outcome outcome = db_open(&reg->db, reg->conninfo, reg->application, err);
    if (outcome == OK)
        outcome = set_session(reg, err);
    if (outcome == OK) {
        reg->reconnects = 0;
        return OK;
    }
    register_close(reg);
    int64_t pause_us = INT64_C(50000) << (reg->reconnects < 6 ? reg->reconnects : 6);
    reg->reconnects++;
    reg->reconnect_at_us =
        clock_system.monotonic_us(NULL) + (pause_us < RECONNECT_MOST_US ? pause_us : RECONNECT_MOST_US);
    return outcome;
}

/* ---- claims ---- */

/* A text that is left out for want of memory would say: not parked, or of another cluster. */
static enum outcome claimed_from(const struct db_result *result, struct arena *arena, struct claimed *claimed,
                                 struct err *err) {
    *claimed =
        (struct claimed){.next = db_int(result, 0, 0),
                         .epoch = db_int(result, 0, 1),
                         .decided_us = db_time(result, 0, 2),
                         .fingerprint.offset = db_is_null(result, 0, 3) ? -1 : db_int(result, 0, 3),
                         .fingerprint.timestamp_ms = db_is_null(result, 0, 4) ? -1 : db_int(result, 0, 4),
                         .parked = arena_text(arena, db_text(result, 0, 6)),
                         .cluster_id = arena_text(arena, db_text(result, 0, 7))};
    struct text hash = db_text(result, 0, 5);
    if (hash.size == FINGERPRINT_BYTES)
        memcpy(claimed->fingerprint.hash, hash.at, FINGERPRINT_BYTES);
    else
        claimed->fingerprint.offset = -1;
    bool whole = text_present(claimed->parked) == !db_is_null(result, 0, 6) &&
                 text_present(claimed->cluster_id) == !db_is_null(result, 0, 7);
    return whole ? OK : register_no_memory(err);
}

static enum outcome claim_by(struct register_postgres *reg, const struct query *query,
                             const struct claim *claim, struct arena *arena, struct claimed *claimed,
                             bool *there, struct err *err) {
    bool is_new = query == &query_consumer_claim_new;
    struct db_params *params = db_params_new(arena, is_new ? 5 : 3);
    struct db_result *result = NULL;
    *there = false;
    if (!params)
        return register_no_memory(err);
    db_param_text(params, claim->topic);
    db_param_int4(params, claim->partition);
    if (is_new)
        db_param_int8(params, claim->first);
    db_param_text(params, claim->owner);
    if (is_new)
        db_param_text(params, claim->cluster_id);
    enum outcome outcome = db_run(reg->db, query, params, &result, err);
    if (outcome == OK && db_rows(result) == 1) {
        *there = true;
        outcome = claimed_from(result, arena, claimed, err);
    }
    db_result_release(result);
    return register_noted(reg, outcome);
}

/* A predecessor holds the row and says nothing: a second connection sees who blocks this one's next try, and
 * ends it.
 *
 * 1. The claim's UPDATE waits lock_timeout for the row, then fails with 55P03.
 * 2. Blockers can be seen only while we wait. So the UPDATE is sent again, without being awaited, and
 * meanwhile the second connection asks for its blockers and ends those of our own role.
 * 3. The UPDATE then goes through, or times out again. */
static enum outcome end_blockers(struct register_postgres *reg, int waiting_pid, struct arena *arena,
                                 struct err *err) {
    struct db *second = NULL;
    struct db_result *result = NULL;
    enum outcome outcome = db_open(&second, reg->conninfo, reg->application, err);
    int64_t ended = 0;
    for (int i = 0; outcome == OK && ended == 0 && i < 20; i++) {
        struct db_params *params = db_params_new(arena, 1);
        if (!params) {
            outcome = register_no_memory(err);
            break;
        }
        db_param_int4(params, waiting_pid);
        outcome = db_run(second, &query_consumer_blockers, params, &result, err);
        if (outcome == OK)
            ended = db_int(result, 0, 0);
        db_result_release(result);
        result = NULL;
        if (outcome == OK && !ended && !clock_system.sleep_us(NULL, 20000))
            break;
    }
    db_close(second);
    if (ended)
        log_write(LOG_WARNING, "blocker_ended", "A backend of our own role held a position and was ended.",
                  LOG_INT("backends", ended));
    return outcome;
}

static enum outcome claim_against_blockers(struct register_postgres *reg, const struct claim *claim,
                                           struct arena *arena, struct claimed *claimed, bool *there,
                                           struct err *err) {
    struct db_params *params = db_params_new(arena, 3);
    struct db_result *result = NULL;
    if (!params)
        return register_no_memory(err);
    db_param_text(params, claim->topic);
    db_param_int4(params, claim->partition);
    db_param_text(params, claim->owner);
    enum outcome outcome = db_send(reg->db, &query_consumer_claim, params, err);
    if (outcome == OK)
        outcome = db_sync(reg->db, err);
    if (outcome != OK)
        return register_noted(reg, outcome);
    struct err second_err;
    if (end_blockers(reg, db_backend_pid(reg->db), arena, &second_err) != OK)
        log_write(LOG_WARNING, "blocker_stays", "Nobody could be asked who holds a position.",
                  LOG_ERR(&second_err));
    outcome = db_next(reg->db, &result, err);
    *there = outcome == OK && db_rows(result) == 1;
    if (*there)
        outcome = claimed_from(result, arena, claimed, err);
    db_result_release(result);
    return register_noted(reg, outcome);
}

enum outcome register_claim(void *context, const struct claim *claim, struct arena *arena,
                            struct claimed *claimed, struct err *err) {
    struct register_postgres *reg = context;
    enum outcome outcome = RETRY;
    bool there = false;
    if (!register_is_open(reg))
        return err_set(err, RETRY, 0, "the register is not connected");
    for (int i = 0; i < CLAIM_TRIES && reg->db; i++) {
        outcome = i == 0 || strcmp(err->sqlstate, "55P03") != 0
                      ? claim_by(reg, &query_consumer_claim, claim, arena, claimed, &there, err)
                      : claim_against_blockers(reg, claim, arena, claimed, &there, err);
        if (outcome == OK && !there)
            outcome = claim_by(reg, &query_consumer_claim_new, claim, arena, claimed, &there, err);
        if (outcome != RETRY && (outcome != OK || there))
            return outcome;
        if (outcome == OK) /* somebody else inserted it in between: claim it as theirs */
            outcome = err_set(err, RETRY, 0, "a position appeared while it was made");
    }
    return outcome;
}

enum outcome register_park(void *context, struct text topic, int32_t partition, int64_t epoch,
                           struct text reason, struct err *err) {
    struct register_postgres *reg = context;
    struct arena arena;
    struct db_result *result = NULL;
    if (!register_is_open(reg))
        return err_set(err, RETRY, 0, "the register is not connected");
    arena_init(&arena, 1 << 16);
    struct db_params *params = db_params_new(&arena, 4);
    enum outcome outcome = params ? OK : register_no_memory(err);
    if (outcome == OK) {
        db_param_text(params, topic);
        db_param_int4(params, partition);
        db_param_int8(params, epoch);
        db_param_text(params, reason);
        outcome = db_run(reg->db, &query_consumer_park, params, &result, err);
    }
    if (outcome == OK && db_affected(result) != 1)
        outcome = err_set(err, FENCED, 0, "the position is somebody else's");
    db_result_release(result);
    arena_release(&arena);
    return register_noted(reg, outcome);
}

/* ---- ends of transactions ---- */

static enum outcome register_commit(void *context, struct err *err) {
    struct register_postgres *reg = context;
    if (!reg->db)
        return err_set(err, RETRY, 0, "the register is not connected");
    enum outcome outcome = db_run(reg->db, &query_consumer_commit, NULL, NULL, err);
    reg->in_transaction = reg->in_snapshot = false;
    /* Whatever went wrong with a COMMIT, only a new claim tells what became of it. */
    if (outcome != OK)
        register_close(reg);
    return outcome;
}

static void register_rollback(void *context) {
    struct register_postgres *reg = context;
    struct err err;
    bool begun = reg->in_transaction || reg->in_snapshot;
    if (reg->db && begun && db_run(reg->db, &query_consumer_rollback, NULL, NULL, &err) != OK)
        register_close(reg);
    reg->in_transaction = reg->in_snapshot = false;
    (void)register_noted(reg, OK);
}

static enum outcome register_keep_calendar(void *context, bool *mine, struct err *err) {
    struct register_postgres *reg = context;
    struct db_result *result = NULL;
    if (!reg->db)
        return err_set(err, RETRY, 0, "the register is not connected");
    enum outcome outcome = db_run(reg->db, &query_consumer_keep_calendar, NULL, &result, err);
    if (outcome == OK)
        *mine = db_bool(result, 0, 0);
    db_result_release(result);
    return register_noted(reg, outcome);
}

const struct register_ops register_postgres = {.open = register_open,
                                               .is_open = register_is_open,
                                               .close = register_close,
                                               .claim = register_claim,
                                               .park = register_park,
                                               .lock = register_lock,
                                               .read = register_read,
                                               .unpublished = register_unpublished,
                                               .write = register_write,
                                               .commit = register_commit,
                                               .rollback = register_rollback,
                                               .keep_calendar = register_keep_calendar,
                                               .due = register_due};
