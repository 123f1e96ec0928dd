/* What is remembered of erasures by topic, vault and register of the simulated world. */
#include "tests/simulator/sim.h"

#include <stdio.h>
#include <stdlib.h>

#define AWAY "a server is away"

enum { OF_TOPIC, OF_VAULT, OF_REGISTER };

void remembered_release(struct process *process) {
    for (int i = 0; i < 3; i++)
        remember_release(&process->remembered[i]);
}

static bool take_topic(const struct sim *sim, struct remember_list *list, struct arena *scratch) {
    bool fine = true;
    for (size_t i = 0; i < sim->log.count; i++) {
        const struct remembered from = {.record = (uint32_t)i};
        if (text_is(sim->log.at[i].topic, ERASURE_TOPIC))
            fine &= remember_record(list, sim->log.at[i].body, &from, scratch) == OK;
    }
    remember_last(list);
    return fine;
}

static bool take_vault(const struct sim *sim, struct remember_list *list, struct arena *scratch) {
    bool fine = true;
    for (size_t i = 0; i < sim->vault.tombstone_count; i++) {
        const struct remembered from = {.record = (uint32_t)i};
        fine &= remember_record(list, sim->vault.tombstones[i].body, &from, scratch) == OK;
    }
    return fine;
}

static bool take_register(const struct sim *sim, struct remember_list *list) {
    bool fine = true;
    for (size_t i = 0; i < sim->memory.tombstones.count; i++) {
        const struct memory_tombstone *row = &sim->memory.tombstones.at[i];
        struct remembered cut = {.cut_us = row->cut.cut_us,
                                 .by_request = row->cut.cause == CUT_REQUEST,
                                 .void_cut = !row->cut.valid};
        fine &= remember_subject_read(row->subject, cut.subject) && remember_add(list, &cut);
    }
    return fine;
}

static enum outcome take(struct sim *sim, struct process *process, int which, struct remember_list *list,
                         struct err *err) {
    static struct arena scratch; /* remember_record resets it */
    if (!scratch.limit_bytes)
        arena_init(&scratch, 1 << 20);
    enum strike struck = process ? process_call(process, "remember") : STRIKE_NONE;
    if (struck == STRIKE_DEATH)
        process_die(process);
    if (struck != STRIKE_NONE)
        return err_set(err, RETRY, 0, AWAY);
    list->count = 0;
    bool fine = which == OF_TOPIC   ? take_topic(sim, list, &scratch)
                : which == OF_VAULT ? take_vault(sim, list, &scratch)
                                    : take_register(sim, list);
    if (list->count)
        qsort(list->at, list->count, sizeof *list->at, remember_order);
    return fine ? OK : err_set(err, FATAL, 0, "a record of erasures is none");
}

/* In this order, that an erasure which goes on meanwhile never looks lost (remember.h). */
enum outcome remembered_compare(struct sim *sim, struct process *process, struct remember_sum *sum,
                                remember_reader *reader, void *context, struct err *err) {
    struct remember_list own[3] = {{0}, {0}, {0}}, *lists = process ? process->remembered : own;
    enum outcome outcome = OK;
    *sum = (struct remember_sum){0};
    for (int which = OF_TOPIC; which <= OF_REGISTER && outcome == OK; which++)
        outcome = take(sim, process, which, &lists[which], err);
    if (outcome == OK)
        outcome = remember_merge(lists, sum, reader, context, err);
    for (int i = 0; i < 3; i++)
        remember_release(&own[i]);
    return outcome;
}

/* Each start raises the vault's counter, and the register follows: an older vault is one that is behind. */
static enum outcome start_once(struct process *process, struct err *err) {
    struct sim *sim = process->sim;
    struct remember_sum sum;
    if (sim->counter > sim->vault.counter)
        return err_set(err, FATAL, 0, "an older vault was restored");
    enum outcome outcome = remembered_compare(sim, process, &sum, NULL, NULL, err);
    if (outcome == OK)
        outcome = remember_judge(&sum, err);
    if (outcome == OK)
        sim->counter = ++sim->vault.counter;
    return outcome;
}

void remembered_start(struct process *process) {
    enum outcome outcome;
    while ((outcome = start_once(process, &process->err)) == RETRY)
        process_sleep(process, 100000);
    if (outcome == OK)
        return;
    sim_wrong(process->sim, "%s refuses to start: %s", process->owner, process->err.text);
    process_end(process);
}
