/* The outbox as the relay meets it, with the rules of producer/outbox.c's queries. */
#include "tests/simulator/sim.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- marks ---- */

void marks_put(struct sim_marks *marks, const struct relay_mark *mark) {
    size_t at = 0;
    while (at < marks->count && !text_equal(marks->at[at].topic, mark->topic))
        at++;
    assert(at < sizeof marks->at / sizeof *marks->at);
    marks->count += at == marks->count;
    marks->at[at] = *mark;
}

const struct relay_mark *marks_find(const struct sim_marks *marks, struct text topic) {
    for (size_t i = 0; i < marks->count; i++)
        if (text_equal(marks->at[i].topic, topic))
            return &marks->at[i];
    return NULL;
}

static void give_marks(struct arena *arena, struct relay_marks *to, const struct sim_marks *from) {
    for (size_t i = 0; i < from->count; i++)
        *ARENA_PUSH(arena, to) = from->at[i];
}

/* ---- rows ---- */

const struct sim_output *outputs_find(const struct sim *sim, int64_t seq) {
    for (size_t i = 0; i < sim->outputs.count; i++)
        if (sim->outputs.at[i].seq == seq)
            return &sim->outputs.at[i];
    abort();
}

enum relay_fate outputs_fate(const struct sim *sim, int64_t seq) {
    for (size_t i = 0; i < sim->fates.count; i++)
        if (sim->fates.at[i].seq == seq)
            return sim->fates.at[i].fate;
    return FATE_PUBLISH;
}

/* As it stands in the outbox now: sealed anew perhaps. */
static struct text body_of(const struct sim *sim, const struct sim_output *output) {
    for (size_t i = 0; text_present(output->output.person) && i < sim->memory.outbox.count; i++)
        if (sim->memory.outbox.at[i].seq == output->seq)
            return sim->memory.outbox.at[i].body;
    return output->output.body;
}

static bool is_wanted(const struct sim *sim, const struct relay_want *want, const struct sim_output *output) {
    if (output->seq <= want->after || output->seq > want->up_to || output->seq <= sim->dropped_below)
        return false;
    if (text_present(want->topic))
        return text_equal(want->topic, output->output.topic);
    for (size_t i = 0; i < want->stalled_count; i++)
        if (text_equal(want->stalled[i], output->output.topic))
            return false;
    return true;
}

static int by_seq(const void *a, const void *b) {
    const struct relay_row *one = a, *two = b;
    return (one->seq > two->seq) - (one->seq < two->seq);
}

static bool was_before(const struct sim *sim, const struct output_id *id) {
    for (size_t i = 0; i < sim->before.count; i++)
        if (memcmp(&sim->before.at[i], id, sizeof *id) == 0)
            return true;
    return false;
}

static void give_row(const struct sim *sim, const struct sim_output *output, struct relay_row *row) {
    const struct output *at = &output->output;
    *row = (struct relay_row){.seq = output->seq,
                              .topic = at->topic,
                              .key = at->key,
                              .type = text_of(at->type),
                              .decided_us = output->decided_us,
                              .person = text_present(at->person) ? at->person : TEXT(""),
                              .generation = at->generation,
                              .category = (int)at->category,
                              .body = body_of(sim, output),
                              .headers = output->headers,
                              .fate = outputs_fate(sim, output->seq) != FATE_PUBLISH ? FATE_SETTLED
                                      : was_before(sim, &at->id)                     ? FATE_ELSEWHERE
                                                                                     : FATE_PUBLISH};
    memcpy(row->row_id, output->row_id, ROW_ID_BYTES);
    memcpy(row->output_id, at->id.bytes, sizeof row->output_id);
}

/* The query runs when it is asked; its answer is taken later. */
static enum outcome outputs_ask(void *context, const struct relay_want *want, struct err *err) {
    struct process *process = context;
    const struct sim *sim = process->sim;
    struct relay_rows *asked = &process->asked;
    enum strike strike;
    enum outcome outcome = session_begin(process, __func__, &strike, err);
    if (outcome != OK)
        return outcome;
    arena_reset(&process->asked_arena);
    asked->at = ARENA_ARRAY(&process->asked_arena, struct relay_row, sim->outputs.count + 1);
    asked->count = 0;
    assert(asked->at);
    for (size_t i = 0; i < sim->outputs.count; i++)
        if (is_wanted(sim, want, &sim->outputs.at[i]))
            give_row(sim, &sim->outputs.at[i], &asked->at[asked->count++]);
    qsort(asked->at, asked->count, sizeof *asked->at, by_seq);
    asked->count = asked->count < (size_t)want->limit ? asked->count : (size_t)want->limit;
    return session_answer(process, strike, err);
}

static enum outcome outputs_rows(void *context, struct arena *arena, struct relay_rows *rows,
                                 struct err *err) {
    struct process *process = context;
    enum strike strike;
    enum outcome outcome = session_begin(process, __func__, &strike, err);
    if (outcome != OK)
        return outcome;
    rows->count = process->asked.count;
    rows->at = ARENA_ARRAY(arena, struct relay_row, rows->count + 1);
    assert(rows->at);
    memcpy(rows->at, process->asked.at, rows->count * sizeof *rows->at);
    return session_answer(process, strike, err);
}

static enum outcome outputs_bodies(void *context, struct arena *arena, struct relay_row **rows, size_t count,
                                   struct err *err) {
    struct process *process = context;
    const struct sim *sim = process->sim;
    enum strike strike;
    (void)arena;
    enum outcome outcome = session_begin(process, __func__, &strike, err);
    for (size_t i = 0; outcome == OK && i < count; i++)
        if (rows[i]->seq > sim->dropped_below)
            rows[i]->body = body_of(sim, outputs_find(sim, rows[i]->seq));
    return outcome == OK ? session_answer(process, strike, err) : outcome;
}

/* ---- the session ---- */

static enum outcome outputs_open(void *context, bool *ours, struct err *err) {
    struct process *process = context;
    struct sim *sim = process->sim;
    *ours = false;
    enum strike strike = process_call(process, __func__);
    if (strike == STRIKE_AWAY || strike == STRIKE_CONTENDED)
        return err_set(err, RETRY, 0, "the register is away");
    process->session.connected = true;
    if (!sim->relaying)
        sim->relaying = process;
    *ours = sim->relaying == process;
    return session_answer(process, strike, err);
}

static void outputs_close(void *context) {
    session_break(context);
}

static enum outcome outputs_alive(void *context, struct err *err) {
    enum strike strike;
    enum outcome outcome = session_begin(context, __func__, &strike, err);
    return outcome == OK ? session_answer(context, strike, err) : outcome;
}

static enum outcome outputs_last_value(void *context, int64_t *seq, struct err *err) {
    struct process *process = context;
    enum strike strike;
    enum outcome outcome = session_begin(process, __func__, &strike, err);
    *seq = process->sim->sequence;
    return outcome == OK ? session_answer(process, strike, err) : outcome;
}

static enum outcome outputs_transaction_id(void *context, int64_t *id, struct err *err) {
    struct process *process = context;
    enum strike strike;
    enum outcome outcome = session_begin(process, __func__, &strike, err);
    *id = ++process->sim->xid;
    return outcome == OK ? session_answer(process, strike, err) : outcome;
}

/* The oldest transaction that runs still; a COMMIT in doubt does, too. */
static enum outcome outputs_oldest_transaction(void *context, int64_t *id, struct err *err) {
    struct process *process = context;
    const struct sim *sim = process->sim;
    enum strike strike;
    enum outcome outcome = session_begin(process, __func__, &strike, err);
    *id = sim->doubt.open ? 0 : sim->xid + 1;
    for (unsigned slot = 0; slot < SIM_WORKERS; slot++)
        if (sim->at[slot] && sim->at[slot]->session.xid && sim->at[slot]->session.xid < *id)
            *id = sim->at[slot]->session.xid;
    return outcome == OK ? session_answer(process, strike, err) : outcome;
}

static enum outcome outputs_holders(void *context, char *buffer, size_t room, struct err *err) {
    (void)context;
    (void)err;
    snprintf(buffer, room, "pid 1");
    return OK;
}

/* ---- what is recorded ---- */

static enum outcome outputs_mirror(void *context, struct arena *arena, struct relay_marks *marks,
                                   int64_t *floor, struct err *err) {
    struct process *process = context;
    enum strike strike;
    enum outcome outcome = session_begin(process, __func__, &strike, err);
    if (outcome != OK)
        return outcome;
    give_marks(arena, marks, &process->sim->mirror);
    *floor = process->sim->floor;
    return session_answer(process, strike, err);
}

static enum outcome outputs_find_marks(void *context, struct arena *arena, const struct relay_marks *marks,
                                       bool *same, struct err *err) {
    struct process *process = context;
    const struct sim *sim = process->sim;
    enum strike strike;
    (void)arena;
    enum outcome outcome = session_begin(process, __func__, &strike, err);
    if (outcome != OK)
        return outcome;
    for (size_t i = 0; i < marks->count; i++) {
        const struct relay_mark *mark = &marks->at[i], *anchor = marks_find(&sim->anchors, mark->topic);
        same[i] =
            anchor && anchor->seq == mark->seq && memcmp(anchor->row_id, mark->row_id, ROW_ID_BYTES) == 0;
        for (size_t k = 0; k < sim->outputs.count; k++) {
            const struct sim_output *output = &sim->outputs.at[k];
            same[i] |= output->seq == mark->seq && output->seq > sim->dropped_below &&
                       text_equal(output->output.topic, mark->topic) &&
                       memcmp(output->row_id, mark->row_id, ROW_ID_BYTES) == 0;
        }
    }
    return session_answer(process, strike, err);
}

static enum outcome outputs_record(void *context, struct arena *arena, const struct relay_news *news,
                                   struct err *err) {
    struct process *process = context;
    struct sim *sim = process->sim;
    enum strike strike;
    (void)arena;
    enum outcome outcome = session_begin(process, __func__, &strike, err);
    if (outcome != OK)
        return outcome;
    for (size_t i = 0; i < news->row_count; i++)
        if (outputs_fate(sim, news->rows[i].seq) == FATE_PUBLISH)
            *ARENA_PUSH(&sim->memory.kept, &sim->fates) =
                (struct relay_row){.seq = news->rows[i].seq, .fate = news->rows[i].fate};
    for (size_t i = 0; i < news->mark_count; i++) {
        struct relay_mark mark = news->marks[i];
        mark.topic = sim_keep(sim, mark.topic);
        marks_put(&sim->mirror, &mark);
    }
    sim->floor = news->floor;
    return session_answer(process, strike, err);
}

/* Something in this partition is not published as far as the mirror and the recorded fates tell. */
static bool is_unpublished(const struct sim *sim, int64_t part) {
    for (size_t i = 0; i < sim->outputs.count; i++) {
        const struct sim_output *output = &sim->outputs.at[i];
        const struct relay_mark *mark = marks_find(&sim->mirror, output->output.topic);
        if (output->seq / sim->partition_size == part && outputs_fate(sim, output->seq) == FATE_PUBLISH &&
            (!mark || mark->seq < output->seq))
            return true;
    }
    return false;
}

static void anchor(struct sim *sim, int64_t part) {
    for (size_t i = 0; i < sim->mirror.count; i++) {
        const struct relay_mark *mark = &sim->mirror.at[i], *held = marks_find(&sim->anchors, mark->topic);
        if (mark->seq / sim->partition_size == part && (!held || held->seq < mark->seq))
            marks_put(&sim->anchors, mark);
    }
}

/* As outbox_drop_published() does, but with partitions of a few rows. */
static enum outcome outputs_drop(void *context, int *dropped, struct err *err) {
    struct process *process = context;
    struct sim *sim = process->sim;
    enum strike strike;
    enum outcome outcome = session_begin(process, __func__, &strike, err);
    *dropped = 0;
    if (outcome != OK)
        return outcome;
    for (int64_t part = (sim->dropped_below + 1) / sim->partition_size;
         (part + 1) * sim->partition_size <= sim->floor + 1 && !is_unpublished(sim, part); part++) {
        anchor(sim, part);
        sim->dropped_below = (part + 1) * sim->partition_size - 1;
        ++*dropped;
    }
    return session_answer(process, strike, err);
}

const struct outbox_ops outputs_ops = {.open = outputs_open,
                                       .close = outputs_close,
                                       .alive = outputs_alive,
                                       .policy = outputs_alive,
                                       .last_value = outputs_last_value,
                                       .transaction_id = outputs_transaction_id,
                                       .oldest_transaction = outputs_oldest_transaction,
                                       .holders = outputs_holders,
                                       .ask = outputs_ask,
                                       .rows = outputs_rows,
                                       .bodies = outputs_bodies,
                                       .mirror = outputs_mirror,
                                       .find = outputs_find_marks,
                                       .record = outputs_record,
                                       .drop = outputs_drop};

/* Everything that was decided is published or recorded as what it became, and the mirror knows. */
bool outputs_relayed(const struct sim *sim) {
    for (size_t i = 0; i < sim->outputs.count; i++) {
        const struct sim_output *output = &sim->outputs.at[i];
        const struct relay_mark *mark = marks_find(&sim->mirror, output->output.topic);
        if ((!mark || mark->seq < output->seq) && outputs_fate(sim, output->seq) == FATE_PUBLISH)
            return false;
    }
    return true;
}
