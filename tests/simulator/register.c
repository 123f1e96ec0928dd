/* The register as one connection meets it: what is committed can be read, what is written is locked until its
 * transaction ends, whoever wants the same rows waits, and a cut connection ends what it had not committed.
 * READ COMMITTED, as PostgreSQL has it. */
#include "tests/simulator/check.h"
#include "tests/unit/memory_parked.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define LOCK_TIMEOUT_US INT64_C(2000000)
#define WAIT_US 10000

/* ---- connections ---- */

static void end_transaction(struct sim_session *session) {
    session->snapshot = NULL;
    session->pending = NULL;
    session->seqs = NULL;
    session->xid = 0;
    session->locked = NULL;
    session->locked_count = 0;
    session->waits_for = NULL;
}

void session_break(struct process *process) {
    struct sim *sim = process->sim;
    end_transaction(&process->session);
    process->session.connected = false;
    if (sim->calendar == process)
        sim->calendar = NULL;
    if (sim->relaying == process)
        sim->relaying = NULL;
}

static enum outcome not_connected(struct err *err) {
    return err_set(err, RETRY, 0, "the register is not connected");
}

enum outcome session_begin(struct process *process, const char *name, enum strike *strike, struct err *err) {
    *strike = process_call(process, name);
    if (!process->session.connected)
        return not_connected(err);
    if (*strike != STRIKE_AWAY)
        return OK;
    session_break(process);
    return err_set(err, RETRY, 0, "the register went away");
}

enum outcome session_answer(struct process *process, enum strike strike, struct err *err) {
    if (strike == STRIKE_DEATH)
        process_die(process);
    if (strike != STRIKE_LOST)
        return OK;
    session_break(process);
    return err_set(err, RETRY, 0, "the register's answer was lost");
}

/* The server refuses for the sake of others; the transaction is to be rolled back. */
static enum outcome contended(struct err *err, const char *sqlstate) {
    err_set(err, RETRY, 0, "contended");
    snprintf(err->sqlstate, sizeof err->sqlstate, "%s", sqlstate);
    return RETRY;
}

static enum outcome session_open(void *context, struct err *err) {
    struct process *process = context;
    if (process->session.connected)
        return OK;
    enum strike strike = process_call(process, __func__);
    if (strike == STRIKE_DEATH)
        process_die(process);
    if (strike != STRIKE_NONE)
        return not_connected(err);
    process->session.connected = true;
    return OK;
}
static bool session_is_open(void *context) {
    return ((struct process *)context)->session.connected;
}
static void session_close(void *context) {
    session_break(context);
}

/* ---- a COMMIT in doubt: its backend is at it still, and everybody else waits for its rows ---- */

void session_save_rows(struct sim *sim, struct sim_rows *rows) {
    memory_register_copy(&rows->memory, &sim->memory, &sim->memory.kept);
    rows->outputs.count = rows->outputs.room = sim->outputs.count;
    rows->outputs.at = ARENA_ARRAY(&sim->memory.kept, struct sim_output, sim->outputs.count + 1);
    assert(rows->outputs.at);
    if (sim->outputs.count)
        memcpy(rows->outputs.at, sim->outputs.at, sim->outputs.count * sizeof *sim->outputs.at);
}

void session_load_rows(struct sim *sim, const struct sim_rows *rows) {
    memory_register_copy(&sim->memory, &rows->memory, &sim->memory.kept);
    sim->outputs.at = rows->outputs.at;
    sim->outputs.count = sim->outputs.room = rows->outputs.count;
}

void session_settle_doubt(struct sim *sim) {
    sim->doubt.open = false;
    sim_tell(sim, "the COMMIT in doubt %s", sim->doubt.commits ? "is done" : "came to nothing");
    if (sim->doubt.commits)
        session_load_rows(sim, &sim->doubt.after);
}

/* ---- locks ---- */

static bool holds_position(const struct sim_session *session, struct text topic, int32_t partition) {
    for (size_t i = 0; session->pending && i < session->pending->advances.count; i++) {
        const struct advance *advance = &session->pending->advances.at[i];
        if (advance->partition == partition && text_equal(advance->topic, topic))
            return true;
    }
    return false;
}

static bool holds_person(const struct sim_session *session, struct text person) {
    for (size_t i = 0; i < session->locked_count; i++)
        if (text_equal(session->locked[i], person))
            return true;
    for (size_t i = 0; session->pending && i < session->pending->persons.count; i++)
        if (text_equal(session->pending->persons.at[i].at->person, person))
            return true;
    return false;
}

#define SHARED(list, key)                                                                                    \
    for (size_t i = 0; i < mine->list.count; i++)                                                            \
        for (size_t k = 0; k < theirs->list.count; k++)                                                      \
            if (text_equal(key(mine->list.at[i]), key(theirs->list.at[k])))                                  \
    return true
#define REQUEST_KEY(item) (item).at->request_id
#define ADDRESS_KEY(item) (item).at->hash
#define REF_KEY(item) (item)->ref
#define TOMBSTONE_KEY(item) (item).subject

static bool share_refs(const struct ref_entry *const *mine, size_t count, const struct write *theirs) {
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < theirs->refs_new.count; k++)
            if (text_equal(mine[i]->ref, theirs->refs_new.at[k]->ref))
                return true;
        for (size_t k = 0; k < theirs->refs_parked.count; k++)
            if (text_equal(mine[i]->ref, theirs->refs_parked.at[k]->ref))
                return true;
    }
    return false;
}

static bool share_rows(const struct write *mine, const struct write *theirs) {
    SHARED(requests, REQUEST_KEY);
    SHARED(addresses, ADDRESS_KEY);
    SHARED(tombstones, TOMBSTONE_KEY);
    return share_refs(mine->refs_new.at, mine->refs_new.count, theirs) ||
           share_refs(mine->refs_parked.at, mine->refs_parked.count, theirs);
}

static bool is_blocked(const struct sim_session *session, const struct write *write,
                       const struct text *persons, size_t count) {
    for (size_t i = 0; write && i < write->advances.count; i++)
        if (holds_position(session, write->advances.at[i].topic, write->advances.at[i].partition))
            return true;
    for (size_t i = 0; write && i < write->persons.count; i++)
        if (holds_person(session, write->persons.at[i].at->person))
            return true;
    for (size_t i = 0; i < count; i++)
        if (holds_person(session, persons[i]))
            return true;
    return write && session->pending && share_rows(write, session->pending);
}

/* Who holds what this one wants; NULL: nobody. */
static struct process *blocker_of(struct process *process, const struct write *write,
                                  const struct text *persons, size_t count) {
    for (unsigned slot = 0; slot < SIM_WORKERS; slot++) {
        struct process *other = process->sim->at[slot];
        if (other && other != process && is_blocked(&other->session, write, persons, count))
            return other;
    }
    return NULL;
}

static bool is_deadlock(const struct process *process) {
    const struct process *next = process->session.waits_for;
    for (unsigned i = 0; next && i < SIM_WORKERS; i++, next = next->session.waits_for)
        if (next == process)
            return true;
    return false;
}

/* Waits for these rows as PostgreSQL does. */
static enum outcome wait_for_rows(struct process *process, const struct write *write,
                                  const struct text *persons, size_t count, struct err *err) {
    struct sim *sim = process->sim;
    int64_t until_us = sim->now_us + LOCK_TIMEOUT_US;
    for (;;) {
        struct process *blocker = blocker_of(process, write, persons, count);
        if (!blocker && !sim->doubt.open)
            return OK;
        process->session.waits_for = blocker;
        if (is_deadlock(process) || sim->now_us > until_us) {
            process->session.waits_for = NULL;
            return contended(err, sim->now_us > until_us ? "55P03" : "40P01");
        }
        process_sleep(process, WAIT_US);
        process->session.waits_for = NULL;
        if (!process->session.connected)
            return not_connected(err);
    }
}

/* ---- claims ---- */

/* A row that somebody holds is waited for; after a while the claimer ends the holder's backend. */
static enum outcome wait_for_position(struct process *process, const struct claim *claim, struct err *err) {
    struct sim *sim = process->sim;
    int64_t until_us = sim->now_us + LOCK_TIMEOUT_US;
    for (;;) {
        struct process *holder = NULL;
        for (unsigned slot = 0; slot < SIM_WORKERS; slot++)
            if (sim->at[slot] && sim->at[slot] != process &&
                holds_position(&sim->at[slot]->session, claim->topic, claim->partition))
                holder = sim->at[slot];
        if (!holder && !sim->doubt.open)
            return OK;
        if (holder && sim->now_us > until_us) {
            sim_tell(sim, "%s ends the backend of %s", process->owner, holder->owner);
            session_break(holder);
            continue;
        }
        process_sleep(process, WAIT_US);
        if (!process->session.connected)
            return not_connected(err);
    }
}

static enum outcome session_claim(void *context, const struct claim *claim, struct arena *arena,
                                  struct claimed *claimed, struct err *err) {
    struct process *process = context;
    enum strike strike;
    enum outcome outcome = session_begin(process, __func__, &strike, err);
    if (outcome == OK && strike == STRIKE_CONTENDED)
        return contended(err, "55P03");
    if (outcome == OK)
        outcome = wait_for_position(process, claim, err);
    if (outcome != OK)
        return outcome;
    struct memory_position *position =
        memory_position_of(&process->sim->memory, claim->topic, claim->partition);
    if (position->row.epoch++ == 0) {
        position->row.next = claim->first;
        snprintf(position->cluster_id, sizeof position->cluster_id, "%.*s", TEXT_ARGS(claim->cluster_id));
    }
    *claimed = position->row;
    claimed->cluster_id = arena_text(arena, text_of(position->cluster_id));
    claimed->parked = position->parked[0] ? arena_text(arena, text_of(position->parked)) : TEXT_ABSENT;
    return session_answer(process, strike, err);
}

static enum outcome session_park(void *context, struct text topic, int32_t partition, int64_t epoch,
                                 struct text reason, struct err *err) {
    struct process *process = context;
    struct memory_position *position = memory_position_of(&process->sim->memory, topic, partition);
    (void)epoch;
    (void)err;
    /* A ring that was lost and is made anew does not open what the old one sealed. Nor can a ring that was
     * destroyed whole be told from one that was lost: what a register from before had under one of the newest
     * generation, a parcel that has become another's since, parks. */
    bool lost = (process->sim->restored && text_is(reason, "missing_key")) ||
                (process->sim->lost_keys && text_is(reason, "damaged_row"));
    if (!lost)
        sim_wrong(process->sim, "%.*s/%d is parked: %.*s", TEXT_ARGS(topic), partition, TEXT_ARGS(reason));
    snprintf(position->parked, sizeof position->parked, "%.*s", TEXT_ARGS(reason));
    return OK;
}

/* ---- transactions ---- */

static enum outcome session_lock(void *context, struct arena *arena, const struct text *persons, size_t count,
                                 struct err *err) {
    struct process *process = context;
    enum strike strike;
    (void)arena;
    enum outcome outcome = session_begin(process, __func__, &strike, err);
    if (outcome == OK && strike == STRIKE_CONTENDED)
        return contended(err, "40P01");
    if (outcome == OK)
        outcome = wait_for_rows(process, NULL, persons, count, err);
    if (outcome != OK)
        return outcome;
    process->session.snapshot = NULL;
    process->session.locked = persons;
    process->session.locked_count = count;
    return session_answer(process, strike, err);
}

/* All of one instant, however many calls it takes. */
static const struct memory_register *snapshot_of(struct process *process) {
    struct sim *sim = process->sim;
    struct sim_session *session = &process->session;
    if (sim->workers == 1) /* nobody else commits */
        return &sim->memory;
    if (!session->snapshot) {
        session->snapshot = ARENA_NEW(&sim->memory.kept, struct memory_register);
        assert(session->snapshot);
        memory_register_copy(session->snapshot, &sim->memory, &sim->memory.kept);
    }
    return session->snapshot;
}

static enum outcome session_read(void *context, struct arena *arena, const struct read_request *request,
                                 struct read_rows *rows, struct err *err) {
    struct process *process = context;
    enum strike strike;
    enum outcome outcome = session_begin(process, __func__, &strike, err);
    if (outcome != OK)
        return outcome;
    memory_read_rows((struct memory_register *)(uintptr_t)snapshot_of(process), arena, request, rows);
    return session_answer(process, strike, err);
}

/* Published is what the relay's mirror says. */
static enum outcome session_unpublished(void *context, struct arena *arena, const struct key_doom *dooms,
                                        size_t count, struct row_unpublished **rows, size_t *row_count,
                                        struct err *err) {
    struct process *process = context;
    struct sim *sim = process->sim;
    enum strike strike;
    enum outcome outcome = session_begin(process, __func__, &strike, err);
    if (outcome != OK)
        return outcome;
    *rows = ARENA_ARRAY(arena, struct row_unpublished, sim->memory.outbox.count + 1);
    assert(*rows);
    *row_count = 0;
    for (size_t i = 0; i < sim->memory.outbox.count; i++) {
        const struct row_unpublished *row = &sim->memory.outbox.at[i];
        const struct relay_mark *mark = marks_find(&sim->mirror, outputs_find(sim, row->seq)->output.topic);
        if (row->seq <= sim->dropped_below || (mark && row->seq <= mark->seq))
            continue;
        for (size_t k = 0; k < count; k++)
            if (text_equal(row->person, dooms[k].person) && row->generation == dooms[k].generation &&
                row->category == dooms[k].category)
                (*rows)[(*row_count)++] = *row;
    }
    return session_answer(process, strike, err);
}

/* Numbers are drawn when all rows are held. */
static void draw_numbers(struct process *process, struct write *write) {
    struct sim *sim = process->sim;
    int64_t *seqs = ARENA_ARRAY(&sim->memory.kept, int64_t, write->outputs.count + 1);
    assert(seqs);
    for (size_t i = 0; i < write->outputs.count; i++)
        if (!memory_emitted(&sim->memory, &write->outputs.at[i].at->id))
            seqs[i] = ++sim->sequence;
    process->session.seqs = seqs;
    process->session.pending = write;
}

/* As PostgreSQL refuses a value: whatever else the batch says. */
static bool is_refused(const struct process *process) {
    const struct work *work = &process->consumer.work;
    for (size_t i = 0; !process->mend && i < work->count; i++) {
        const struct item *item = &work->items[i];
        const struct sim_record *record = item->from ? item->from->message : NULL;
        if (record && item->refusal.reason == REASON_NONE && record->event->number == process->sim->refuses)
            return true;
    }
    return false;
}

static enum outcome session_write(void *context, struct arena *arena, struct write *write, struct err *err) {
    struct process *process = context;
    struct sim *sim = process->sim;
    enum strike strike;
    (void)arena;
    enum outcome outcome = session_begin(process, __func__, &strike, err);
    if (outcome == OK && strike == STRIKE_CONTENDED)
        return contended(err, draw_chance(&sim->faults, 500) ? "40001" : "40P01");
    if (outcome != OK)
        return outcome;
    process->session.snapshot = NULL;
    process->session.xid = ++sim->xid;
    outcome = wait_for_rows(process, write, NULL, 0, err);
    if (outcome == OK && !memory_advances_hold(&sim->memory, write))
        outcome = err_set(err, FENCED, 0, "claimed by somebody else");
    write->guard_missed = outcome == OK && !memory_guards_hold(&sim->memory, write);
    if (write->guard_missed)
        outcome = err_set(err, RETRY, 0, "a guard was missed");
    if (outcome == OK && is_refused(process)) {
        sim->judged[JUDGED_REFUSED]++;
        outcome = err_set(err, POISON, 0, "refused");
        snprintf(err->sqlstate, sizeof err->sqlstate, SIM_REFUSED);
    }
    if (outcome != OK) {
        end_transaction(&process->session);
        return outcome;
    }
    for (size_t i = 0; i < write->doomed.count; i++)
        sim_tell(sim, "  dooms: %.*s %lld %s below %u, %u", TEXT_ARGS(write->doomed.at[i].person),
                 (long long)write->doomed.at[i].generation, category_names[write->doomed.at[i].category],
                 write->doomed.at[i].cells, write->doomed.at[i].transit);
    draw_numbers(process, write);
    return session_answer(process, strike, err);
}

static void apply(struct sim *sim, const struct sim_session *session) {
    memory_apply(&sim->memory, session->pending, session->seqs);
    check_written(sim, session->pending, session->seqs);
}

/* The reply is lost: the COMMIT is done, or its backend is at it still, or it is killed in it. */
static void commit_unheard(struct sim *sim, const struct sim_session *session) {
    struct sim_rows before;
    if (draw_chance(&sim->faults, 500)) {
        apply(sim, session);
        return;
    }
    session_save_rows(sim, &before);
    apply(sim, session);
    session_save_rows(sim, &sim->doubt.after);
    session_load_rows(sim, &before);
    sim->doubt.open = true;
    sim->doubt.commits = draw_chance(&sim->faults, 700);
    sim->doubt.until_us = sim->now_us + (1 + draw_below(&sim->faults, 50)) * 1000;
}

static enum outcome session_commit(void *context, struct err *err) {
    struct process *process = context;
    struct sim *sim = process->sim;
    enum strike strike;
    enum outcome outcome = session_begin(process, __func__, &strike, err);
    while (outcome == OK && sim->doubt.open) {
        process_sleep(process, WAIT_US);
        if (!process->session.connected)
            outcome = not_connected(err);
    }
    if (outcome != OK)
        return outcome;
    assert(process->session.pending);
    if (strike == STRIKE_LOST)
        commit_unheard(sim, &process->session);
    else
        apply(sim, &process->session);
    end_transaction(&process->session);
    return session_answer(process, strike, err);
}

static void session_rollback(void *context) {
    end_transaction(&((struct process *)context)->session);
}

/* ---- the calendar ---- */

static enum outcome session_keep_calendar(void *context, bool *mine, struct err *err) {
    struct process *process = context;
    enum strike strike;
    enum outcome outcome = session_begin(process, __func__, &strike, err);
    if (outcome != OK)
        return outcome;
    if (!process->sim->calendar)
        process->sim->calendar = process;
    *mine = process->sim->calendar == process;
    return session_answer(process, strike, err);
}

static enum outcome session_due(void *context, struct arena *arena, enum due_kind kind, int64_t now_us,
                                const struct row_parked *after, size_t limit, struct row_parked **rows,
                                size_t *count, struct err *err) {
    struct process *process = context;
    enum strike strike;
    enum outcome outcome = session_begin(process, __func__, &strike, err);
    if (outcome != OK)
        return outcome;
    *count = memory_parked_due(&process->sim->memory, arena, kind, now_us, after, limit, rows);
    return session_answer(process, strike, err);
}

const struct register_ops session_ops = {.open = session_open,
                                         .is_open = session_is_open,
                                         .close = session_close,
                                         .claim = session_claim,
                                         .park = session_park,
                                         .lock = session_lock,
                                         .read = session_read,
                                         .unpublished = session_unpublished,
                                         .write = session_write,
                                         .commit = session_commit,
                                         .rollback = session_rollback,
                                         .keep_calendar = session_keep_calendar,
                                         .due = session_due};
