/* The vault as a process meets it: each call is one transaction, and its answer may be lost. */
#include "tests/simulator/sim.h"

#include <assert.h>

static enum outcome away(struct err *err) {
    return err_set(err, RETRY, 0, "the vault is away");
}

static enum outcome begin(struct process *process, const char *name, enum strike *strike, struct err *err) {
    *strike = process_call(process, name);
    return *strike == STRIKE_AWAY || *strike == STRIKE_CONTENDED ? away(err) : OK;
}

static enum outcome answer(struct process *process, enum strike strike, struct err *err) {
    if (strike == STRIKE_DEATH)
        process_die(process);
    return strike == STRIKE_LOST ? away(err) : OK;
}

enum outcome keys_open(void *context, struct err *err) {
    (void)context;
    (void)err;
    return OK;
}

static enum outcome keys_fetch(void *context, struct arena *arena, struct ring_row *rows, size_t count,
                               struct err *err) {
    struct process *process = context;
    enum strike strike;
    enum outcome outcome = begin(process, __func__, &strike, err);
    if (outcome == OK)
        outcome = memory_vault_ops.fetch(&process->sim->vault, arena, rows, count, err);
    return outcome == OK ? answer(process, strike, err) : outcome;
}

static enum outcome keys_put(void *context, struct arena *arena, const struct ring_row *rows, size_t count,
                             bool *done, const struct lookup_row *lookups, size_t lookup_count,
                             struct err *err) {
    struct process *process = context;
    enum strike strike;
    enum outcome outcome = begin(process, __func__, &strike, err);
    if (outcome == OK)
        outcome =
            memory_vault_ops.put(&process->sim->vault, arena, rows, count, done, lookups, lookup_count, err);
    return outcome == OK ? answer(process, strike, err) : outcome;
}

static enum outcome keys_tombstones(void *context, struct arena *arena, struct tombstone_row *rows,
                                    size_t count, struct err *err) {
    struct process *process = context;
    enum strike strike;
    enum outcome outcome = begin(process, __func__, &strike, err);
    if (outcome == OK)
        outcome = memory_vault_ops.tombstones(&process->sim->vault, arena, rows, count, err);
    return outcome == OK ? answer(process, strike, err) : outcome;
}

static void note_destroyed(struct sim *sim, const struct ring_row *rows, size_t count) {
    for (size_t i = 0; i < count; i++)
        *ARENA_PUSH(&sim->memory.kept, &sim->destroyed) =
            (struct sim_destroyed){sim_keep(sim, rows[i].person), rows[i].generation, sim->steps};
}

static enum outcome keys_destroy(void *context, struct arena *arena, const struct ring_row *rows,
                                 size_t count, const struct tombstone_row *tombstones, size_t tombstone_count,
                                 int64_t *counter, bool *missed, struct err *err) {
    struct process *process = context;
    enum strike strike;
    enum outcome outcome = begin(process, __func__, &strike, err);
    if (outcome == OK)
        outcome = memory_vault_ops.destroy(&process->sim->vault, arena, rows, count, tombstones,
                                           tombstone_count, counter, missed, err);
    if (outcome == OK && !*missed)
        note_destroyed(process->sim, rows, count);
    return outcome == OK ? answer(process, strike, err) : outcome;
}

const struct vault_ops keys_ops = {
    .fetch = keys_fetch, .put = keys_put, .tombstones = keys_tombstones, .destroy = keys_destroy};

/* ---- the relay's ---- */

static enum outcome unseal_open(void *context, struct err *err) {
    struct process *process = context;
    enum strike strike;
    enum outcome outcome = begin(process, __func__, &strike, err);
    if (outcome != OK)
        return outcome;
    process->unseal = (struct unseal){.vault_id = SIM_VAULT_ID};
    memcpy(process->unseal.kek, sim_kek, sizeof process->unseal.kek);
    return answer(process, strike, err);
}

static void unseal_close(void *context) {
    (void)context;
}

static enum outcome bodies(void *context, struct arena *arena, struct relay_row **rows, size_t count,
                           struct err *err) {
    struct process *process = context;
    return unseal_bodies(&process->unseal, keys_fetch, process, arena, rows, count, err);
}

const struct unseal_ops keys_unseal_ops = {.open = unseal_open, .close = unseal_close, .bodies = bodies};
