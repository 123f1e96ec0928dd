/* Kafka as the relay meets it: transactions, fencing, and ends of transactions of which nobody hears. */
#include "tests/simulator/sim.h"

#include <assert.h>

enum { DENIED = 1 };

static enum outcome away(struct err *err) {
    return err_set(err, RETRY, 0, "Kafka is away");
}

/* The producer's calls fail when a later one has begun. */
static enum outcome begin_call(struct process *process, const char *name, enum strike *strike,
                               struct err *err) {
    *strike = process_call(process, name);
    if (*strike == STRIKE_AWAY || *strike == STRIKE_CONTENDED)
        return away(err);
    if (!process->producing || process->producer_epoch != process->sim->producer_epoch)
        return err_set(err, FENCED, 0, "another producer has begun");
    return OK;
}

static enum outcome answer(struct process *process, enum strike strike, struct err *err) {
    if (strike == STRIKE_DEATH)
        process_die(process);
    return strike == STRIKE_LOST ? away(err) : OK;
}

static void append(struct sim *sim, struct sim_transaction *transaction) {
    for (size_t i = 0; i < transaction->sent.count; i++) {
        struct sim_published *published = ARENA_PUSH(&sim->memory.kept, &sim->log);
        *published = transaction->sent.at[i];
        published->step = sim->steps;
    }
    for (size_t i = 0; i < transaction->marks.count; i++)
        marks_put(&sim->positions, &transaction->marks.at[i]);
    *transaction = (struct sim_transaction){.open = false};
}

/* A transaction whose end was asked for and not heard of ends before the next producer begins. */
static void settle(struct sim *sim) {
    struct process *process = sim->in_doubt;
    sim->in_doubt = NULL;
    if (process && process->transaction.open && draw_chance(&sim->faults, 500))
        append(sim, &process->transaction);
}

static enum outcome publish_open(void *context, struct err *err) {
    struct process *process = context;
    struct sim *sim = process->sim;
    enum strike strike = process_call(process, __func__);
    if (strike == STRIKE_AWAY || strike == STRIKE_CONTENDED)
        return away(err);
    settle(sim);
    process->producer_epoch = ++sim->producer_epoch;
    process->producing = true;
    process->transaction = (struct sim_transaction){.open = false};
    return answer(process, strike, err);
}

static void publish_close(void *context) {
    ((struct process *)context)->producing = false;
}

static enum outcome publish_positions(void *context, struct arena *arena, struct relay_marks *marks,
                                      bool *missing, struct err *err) {
    struct process *process = context;
    enum strike strike = process_call(process, __func__);
    *missing = false;
    if (strike == STRIKE_AWAY || strike == STRIKE_CONTENDED)
        return away(err);
    for (size_t i = 0; i < process->sim->positions.count; i++)
        *ARENA_PUSH(arena, marks) = process->sim->positions.at[i];
    return answer(process, strike, err);
}

static enum outcome publish_begin(void *context, struct err *err) {
    struct process *process = context;
    enum strike strike;
    enum outcome outcome = begin_call(process, __func__, &strike, err);
    if (outcome != OK)
        return outcome;
    process->transaction = (struct sim_transaction){.open = true, .began_step = process->sim->steps};
    return answer(process, strike, err);
}

/* What is sent is opened with a key that the vault had when the transaction began (SPEC 6). */
static void check_key(struct process *process, const struct relay_row *row) {
    struct sim *sim = process->sim;
    struct seal_key key;
    int16_t period;
    uint16_t serial;
    int64_t destroyed_step = -1;
    struct ring_row *ring = memory_vault_ring(&sim->vault, row->person, row->generation);
    if (!row->person.size || !sealed_period(row->body, &period, &serial))
        return;
    if (ring && transit_open(sim_kek, SIM_VAULT_ID, ring, (enum category)row->category, serial, &key) == OK)
        return;
    for (size_t i = 0; i < sim->destroyed.count; i++)
        if (text_equal(sim->destroyed.at[i].person, row->person) &&
            sim->destroyed.at[i].generation == row->generation)
            destroyed_step = sim->destroyed.at[i].step;
    if (destroyed_step < process->transaction.began_step)
        sim_wrong(sim, "a transaction that began after a key was destroyed carries what it sealed (seq %lld)",
                  (long long)row->seq);
}

static enum outcome publish_send(void *context, const struct relay_row *row, struct err *err) {
    struct process *process = context;
    struct sim *sim = process->sim;
    enum strike strike;
    enum outcome outcome = begin_call(process, __func__, &strike, err);
    if (outcome != OK)
        return outcome;
    check_key(process, row);
    struct sim_published *sent = ARENA_PUSH(&sim->memory.kept, &process->transaction.sent);
    *sent = (struct sim_published){.output = outputs_find(sim, row->seq),
                                   .topic = sim_keep(sim, row->topic),
                                   .key = sim_keep(sim, row->key),
                                   .body = sim_keep(sim, row->plain),
                                   .seq = row->seq};
    memcpy(sent->id.bytes, row->output_id, sizeof sent->id.bytes);
    return answer(process, strike, err);
}

static enum outcome publish_position(void *context, const struct relay_mark *mark, struct err *err) {
    struct process *process = context;
    enum strike strike;
    enum outcome outcome = begin_call(process, __func__, &strike, err);
    if (outcome != OK)
        return outcome;
    struct relay_mark kept = *mark;
    kept.topic = sim_keep(process->sim, mark->topic);
    marks_put(&process->transaction.marks, &kept);
    return answer(process, strike, err);
}

static bool is_denied(const struct process *process) {
    const struct sim *sim = process->sim;
    for (size_t i = 0;
         sim->denied && sim->now_us < sim->denied_until_us && i < process->transaction.sent.count; i++)
        if (text_is(process->transaction.sent.at[i].topic, sim->denied))
            return true;
    return false;
}

static enum outcome publish_commit(void *context, struct err *err) {
    struct process *process = context;
    struct sim *sim = process->sim;
    enum strike strike;
    enum outcome outcome = begin_call(process, __func__, &strike, err);
    if (outcome != OK)
        return outcome;
    assert(process->transaction.open);
    if (is_denied(process)) {
        sim->judged[JUDGED_DENIED]++;
        return err_set(err, POISON, DENIED, "the topic is denied");
    }
    if (strike == STRIKE_LOST && draw_chance(&sim->faults, 500)) {
        sim->in_doubt = process; /* the coordinator may get at it later */
        return away(err);
    }
    append(sim, &process->transaction);
    return answer(process, strike, err);
}

static enum outcome publish_abort(void *context, struct err *err) {
    struct process *process = context;
    enum strike strike;
    enum outcome outcome = begin_call(process, __func__, &strike, err);
    if (outcome != OK)
        return outcome;
    process->transaction = (struct sim_transaction){.open = false};
    return answer(process, strike, err);
}

static bool refuses_topic(const struct err *err) {
    return err->code == DENIED;
}

const struct publish_ops outputs_publish_ops = {.open = publish_open,
                                                .close = publish_close,
                                                .positions = publish_positions,
                                                .begin = publish_begin,
                                                .send = publish_send,
                                                .position = publish_position,
                                                .commit = publish_commit,
                                                .abort = publish_abort,
                                                .refuses_topic = refuses_topic};
