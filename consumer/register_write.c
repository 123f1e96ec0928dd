/* The register over PostgreSQL: one transaction's write, all statements in one pipelined round trip.
 *
 * BEGIN, positions, then persons (their locks), what they guard, requests and addresses (which guard
 * themselves), what an erasure leaves, refs, parked events, then ledger and outbox, whose numbers are drawn
 * only now (SPEC 5). Then every count is compared with what it must be, and only then may COMMIT. */
#include "consumer/register_postgres.h"
#include "consumer/register_rows.h"
#include "core/killpoint.h"
#include "queries.h"

#define OUTBOX_MARGIN 1000000

/* What a statement's answer is held against. */
enum check { CHECK_NOTHING, CHECK_ADVANCES, CHECK_GUARDED, CHECK_OUTPUTS };
struct sent {
    enum check check;
    int64_t expected;
};
#define SENT_MAX 24
struct sending {
    struct register_postgres *reg;
    struct arena *arena;
    struct write *write;
    struct sent sent[SENT_MAX];
    size_t count;
    enum outcome outcome;
    struct err *err;
};

static void send(struct sending *sending, const struct query *query, struct db_params *params,
                 enum check check, size_t expected) {
    if (sending->outcome != OK)
        return;
    if (query->params && !params) {
        sending->outcome = register_no_memory(sending->err);
        return;
    }
    sending->outcome = db_send(sending->reg->db, query, params, sending->err);
    if (sending->outcome == OK)
        sending->sent[sending->count++] = (struct sent){check, (int64_t)expected};
}

/* What belongs to persons, and what guards itself. */
static void send_aggregates(struct sending *sending) {
    const struct write *write = sending->write;
    struct arena *arena = sending->arena;
    if (write->persons.count)
        send(sending, &query_consumer_write_persons, rows_persons(arena, write), CHECK_GUARDED,
             write->persons.count);
    if (write->orders.count)
        send(sending, &query_consumer_write_orders, rows_orders(arena, write), CHECK_GUARDED,
             write->orders.count);
    if (write->shipments.count)
        send(sending, &query_consumer_write_shipments, rows_shipments(arena, write), CHECK_GUARDED,
             write->shipments.count);
    if (write->notices.count)
        send(sending, &query_consumer_write_notices, rows_notices(arena, write), CHECK_GUARDED,
             write->notices.count);
    if (write->consents.count)
        send(sending, &query_consumer_write_consents, rows_consents(arena, write), CHECK_GUARDED,
             write->consents.count);
    if (write->requests.count)
        send(sending, &query_consumer_write_requests, rows_requests(arena, write), CHECK_GUARDED,
             write->requests.count);
    if (write->addresses.count)
        send(sending, &query_consumer_write_addresses, rows_addresses(arena, write), CHECK_GUARDED,
             write->addresses.count);
}

static void send_erasures(struct sending *sending) {
    const struct write *write = sending->write;
    struct arena *arena = sending->arena;
    if (write->tombstones.count)
        send(sending, &query_consumer_write_tombstones, rows_tombstones(arena, write), CHECK_GUARDED,
             write->tombstones.count);
    if (write->doomed.count)
        send(sending, &query_consumer_write_doomed, rows_doomed(arena, write), CHECK_GUARDED,
             write->doomed.count);
    if (write->resealed.count)
        send(sending, &query_consumer_write_resealed, rows_resealed(arena, write), CHECK_NOTHING, 0);
}

static void send_all(struct sending *sending) {
    const struct write *write = sending->write;
    struct arena *arena = sending->arena;
    if (sending->reg->in_snapshot)
        send(sending, &query_consumer_rollback, NULL, CHECK_NOTHING, 0);
    if (!sending->reg->in_transaction)
        send(sending, &query_consumer_begin, NULL, CHECK_NOTHING, 0);
    send(sending, &query_consumer_advance, rows_advances(arena, write), CHECK_ADVANCES,
         write->advances.count);
    send_aggregates(sending);
    send_erasures(sending);
    if (write->refs_new.count)
        send(sending, &query_consumer_write_refs_new,
             rows_refs(arena, write->refs_new.at, write->refs_new.count), CHECK_GUARDED,
             write->refs_new.count);
    if (write->refs_parked.count)
        send(sending, &query_consumer_write_refs_parked,
             rows_refs(arena, write->refs_parked.at, write->refs_parked.count), CHECK_GUARDED,
             write->refs_parked.count);
    if (write->unparked.count)
        send(sending, &query_consumer_delete_parked, rows_unparked(arena, write), CHECK_GUARDED,
             write->unparked.count);
    if (write->refs_settled.count)
        send(sending, &query_consumer_write_left_over, rows_settled(arena, write), CHECK_NOTHING, 0);
    if (write->parked.count)
        send(sending, &query_consumer_write_parked, rows_parked(arena, write), CHECK_NOTHING, 0);
    if (write->outputs.count)
        send(sending, &query_consumer_write_outputs, rows_outputs(arena, write), CHECK_OUTPUTS, 0);
    if (write->dead_letters.count)
        send(sending, &query_consumer_write_dead_letters, rows_dead_letters(arena, write), CHECK_NOTHING, 0);
}

/* Which positions are no longer ours: those that the UPDATE did not return. */
static enum outcome check_advances(struct sending *sending, const struct db_result *result) {
    struct write *write = sending->write;
    if (db_rows(result) == write->advances.count)
        return OK;
    for (size_t i = 0; i < write->advances.count; i++) {
        struct advance *advance = &write->advances.at[i];
        advance->lost = true;
        for (size_t row = 0; row < db_rows(result); row++)
            if (text_equal(db_text(result, row, 0), advance->topic) &&
                db_int(result, row, 1) == advance->partition)
                advance->lost = false;
    }
    return err_set(sending->err, FENCED, 0, "a position was claimed by somebody else");
}

static enum outcome check_answer(struct sending *sending, const struct sent *sent,
                                 const struct db_result *result) {
    bool holds = true;
    switch (sent->check) {
    case CHECK_NOTHING:
        return OK;
    case CHECK_ADVANCES:
        return check_advances(sending, result);
    case CHECK_GUARDED:
        holds = db_affected(result) == sent->expected;
        break;
    case CHECK_OUTPUTS:
        if (!db_is_null(result, 0, 1) && db_int(result, 0, 1) > sending->reg->last_seq)
            sending->reg->last_seq = db_int(result, 0, 1);
        return OK;
    }
    if (holds)
        return OK;
    sending->write->guard_missed = true;
    return err_set(sending->err, RETRY, 0, "somebody changed what was loaded");
}

/* The first trouble counts; the rest is read off. */
static enum outcome receive_all(struct sending *sending) {
    struct err later;
    struct err *first = sending->err;
    for (size_t i = 0; i < sending->count; i++) {
        struct db_result *result = NULL;
        sending->err = sending->outcome == OK ? first : &later;
        enum outcome got = db_next(sending->reg->db, &result, sending->err);
        if (got == OK && sending->outcome == OK)
            got = check_answer(sending, &sending->sent[i], result);
        sending->outcome = sending->outcome == OK ? got : sending->outcome;
        db_result_release(result);
    }
    sending->err = first;
    return sending->outcome;
}

/* The number of the policy that is to be active, looked up once a connection. FENCED when it is not. */
static enum outcome find_policy(struct register_postgres *reg, struct arena *arena, struct write *write,
                                struct err *err) {
    struct db_params *params = db_params_new(arena, 1);
    struct db_result *result = NULL;
    if (!params)
        return register_no_memory(err);
    db_param_text(params, text_of(write->policy_digest));
    enum outcome outcome = db_run(reg->db, &query_consumer_policy, params, &result, err);
    if (outcome == OK && db_rows(result) == 0) {
        write->policy_passed = true;
        outcome = err_set(err, FENCED, 0, "another policy is active");
    } else if (outcome == OK) {
        reg->policy = (int)db_int(result, 0, 0);
    }
    db_result_release(result);
    return outcome;
}

/* Partitions of the outbox are made long before they are needed, never within a batch's transaction. */
static bool must_extend(const struct register_postgres *reg) {
    return !reg->in_transaction && (!reg->extended_to || reg->last_seq + OUTBOX_MARGIN >= reg->extended_to);
}

static enum outcome extend_outbox(struct register_postgres *reg, struct err *err) {
    struct db_result *result = NULL;
    enum outcome outcome = db_run(reg->db, &query_consumer_outbox_extend, NULL, &result, err);
    if (outcome == OK)
        reg->extended_to = db_int(result, 0, 0);
    db_result_release(result);
    return outcome;
}

static enum outcome prepare_connection(struct register_postgres *reg, struct arena *arena,
                                       struct write *write, struct err *err) {
    enum outcome outcome = OK;
    if (reg->in_snapshot && (!reg->policy || must_extend(reg))) {
        outcome = db_run(reg->db, &query_consumer_rollback, NULL, NULL, err);
        reg->in_snapshot = false;
    }
    if (outcome == OK && !reg->policy)
        outcome = find_policy(reg, arena, write, err);
    if (outcome == OK && must_extend(reg))
        outcome = extend_outbox(reg, err);
    write->policy = reg->policy;
    return outcome;
}

enum outcome register_write(void *context, struct arena *arena, struct write *write, struct err *err) {
    struct register_postgres *reg = context;
    if (!reg->db)
        return err_set(err, RETRY, 0, "the register is not connected");
    enum outcome outcome = prepare_connection(reg, arena, write, err);
    if (outcome != OK)
        return register_noted(reg, outcome);
    struct sending sending = {.reg = reg, .arena = arena, .write = write, .err = err, .outcome = OK};
    struct err later;
    send_all(&sending);
    reg->in_transaction = true;
    reg->in_snapshot = false;
    KILL_POINT("consumer.write_unsynced");
    if (db_sync(reg->db, sending.outcome == OK ? err : &later) != OK && sending.outcome == OK)
        sending.outcome = RETRY;
    outcome = receive_all(&sending);
    KILL_POINT("consumer.written");
    if (outcome == FENCED) {
        /* Fewer positions than asked for: are they lost, or is the policy another one now? */
        register_postgres.rollback(reg);
        reg->policy = 0;
        if (reg->db && find_policy(reg, arena, write, &later) == RETRY)
            outcome = err_set(err, RETRY, 0, "the register went away");
    }
    return register_noted(reg, outcome);
}
