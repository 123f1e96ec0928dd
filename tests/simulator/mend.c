/* `kundregister restore reconcile` in the simulated world: its real steps (consumer/reconcile.c), with the
 * rules of consumer/reconcile_postgres.c's queries. */
#include "consumer/reconcile.h"
#include "core/decide/pack.h"
#include "tests/simulator/sim.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

struct mend {
    struct reconcile reconcile;
    struct reconcile_sum sum;
    bool has_consumer;
};

static enum outcome mend_compare(void *context, struct remember_sum *sum, remember_reader *reader,
                                 void *reader_context, struct err *err) {
    struct process *process = context;
    return remembered_compare(process->sim, process, sum, reader, reader_context, err);
}

static int by_text(const void *a, const void *b) {
    return text_compare(*(const struct text *)a, *(const struct text *)b);
}

/* Each has a guard, or keys. */
static enum outcome mend_persons(void *context, struct arena *arena, const char *after, int most,
                                 struct text **persons, size_t *count, struct err *err) {
    struct process *process = context;
    const struct memory_register *memory = &process->sim->memory;
    const struct memory_vault *vault = &process->sim->vault;
    size_t found = 0;
    enum strike strike;
    enum outcome outcome = session_begin(process, __func__, &strike, err);
    if (outcome != OK)
        return outcome;
    struct text *all = ARENA_ARRAY(arena, struct text, memory->persons.count + vault->ring_count + 1);
    assert(all);
    for (size_t i = 0; i < memory->persons.count; i++)
        if (memory->persons.at[i].generation == GENERATION_FIRST)
            all[found++] = memory->persons.at[i].person;
    for (size_t i = 0; i < vault->ring_count; i++)
        all[found++] = arena_text(arena, vault->rings[i].person);
    qsort(all, found, sizeof *all, by_text);
    *persons = all;
    *count = 0;
    for (size_t i = 0; i < found && *count < (size_t)most; i++)
        if (text_compare(all[i], text_of(after)) > 0 && (!*count || !text_equal(all[*count - 1], all[i])))
            all[(*count)++] = all[i];
    return session_answer(process, strike, err);
}

static struct text category_list(struct sim *sim, unsigned categories) {
    char list[200];
    size_t size = 0;
    for (unsigned bit = 0; bit < CATEGORIES; bit++)
        if (categories & 1u << bit)
            size += (size_t)snprintf(list + size, sizeof list - size, "%s%s", size ? "," : "",
                                     category_names[bit]);
    return sim_keep(sim, (struct text){list, size});
}

static enum outcome mend_orphans(void *context, const struct remembered *cuts, size_t count,
                                 struct err *err) {
    struct process *process = context;
    struct memory_register *memory = &process->sim->memory;
    enum strike strike;
    enum outcome outcome = session_begin(process, __func__, &strike, err);
    for (size_t i = 0; outcome == OK && i < count; i++) {
        char hex[SUBJECT_HEX + 1];
        remember_subject_write(cuts[i].subject, hex);
        bool first = i == 0 || memcmp(cuts[i].subject, cuts[i - 1].subject, SUBJECT_BYTES) != 0;
        struct memory_tombstone *orphan =
            MEMORY_ROW(memory->tombstones, text_is(row->subject, hex) && row->cut.cut_us == cuts[i].cut_us);
        if (!text_present(orphan->subject))
            *orphan = (struct memory_tombstone){
                .subject = sim_keep(process->sim, text_of(hex)),
                .generation = first ? GENERATION_FIRST : cuts[i - 1].cut_us,
                .cut = {.cut_us = cuts[i].cut_us, .complete = true, .completed_us = process->sim->now_us},
                .categories = category_list(process->sim, cuts[i].categories),
                .destroyed = true};
        orphan->cut.cause = cuts[i].by_request ? CUT_REQUEST : CUT_CLOSED;
        orphan->cut.valid = orphan->cut.restored = true;
        orphan->version = ++memory->version;
    }
    return outcome == OK ? session_answer(process, strike, err) : outcome;
}

static int by_waiting(const void *a, const void *b) {
    const struct reconcile_waiting *one = a, *two = b;
    int order = text_compare(one->person, two->person);
    return order ? order : (one->cut_us > two->cut_us) - (one->cut_us < two->cut_us);
}

static enum outcome mend_waiting(void *context, struct arena *arena, struct reconcile_waiting **rows,
                                 size_t *count, struct err *err) {
    struct process *process = context;
    const struct memory_register *memory = &process->sim->memory;
    enum strike strike;
    enum outcome outcome = session_begin(process, __func__, &strike, err);
    if (outcome != OK)
        return outcome;
    *rows = ARENA_ARRAY(arena, struct reconcile_waiting, memory->tombstones.count + 1);
    assert(*rows);
    *count = 0;
    for (size_t i = 0; i < memory->tombstones.count; i++) {
        const struct memory_tombstone *row = &memory->tombstones.at[i];
        if (!row->cut.complete && row->cut.valid && row->cut.cause == CUT_REQUEST &&
            text_present(row->person))
            (*rows)[(*count)++] = (struct reconcile_waiting){row->person, row->subject, row->cut.cut_us};
    }
    qsort(*rows, *count, sizeof **rows, by_waiting);
    return session_answer(process, strike, err);
}

/* Of that ring, what was destroyed, again. */
static void redoom_floor(struct memory_register *memory, struct text person, const struct key_floor *floor) {
    struct key_doom *doom =
        MEMORY_ROW(memory->doomed, text_equal(row->person, person) && row->generation == floor->generation &&
                                       row->category == floor->category);
    uint32_t cells = floor->cells > doom->cells ? floor->cells : doom->cells;
    uint32_t transit = floor->transit > doom->transit ? floor->transit : doom->transit;
    *doom = (struct key_doom){person, floor->generation, floor->category, cells, transit};
}

static bool redoom(struct memory_register *memory, struct text person, struct arena *arena) {
    struct person guard = {.person = person};
    struct err err;
    const struct row_person *stored =
        MEMORY_FIND(memory->persons, row->generation == GENERATION_FIRST && text_equal(row->person, person));
    if (stored && text_present(stored->merge) && unpack_person(stored->merge, arena, &guard, &err) != OK)
        return false;
    for (size_t i = 0; i < guard.facts.floors.count; i++)
        redoom_floor(memory, person, &guard.facts.floors.at[i]);
    return true;
}

static enum outcome mend_redoom(void *context, size_t *persons, struct err *err) {
    struct process *process = context;
    struct memory_register *memory = &process->sim->memory;
    enum strike strike;
    *persons = 0;
    enum outcome outcome = session_begin(process, __func__, &strike, err);
    for (size_t i = 0; outcome == OK && i < memory->tombstones.count; i++) {
        struct memory_tombstone *tombstone = &memory->tombstones.at[i];
        if (!text_present(tombstone->person))
            continue;
        ++*persons;
        tombstone->version = tombstone->destroyed ? ++memory->version : tombstone->version;
        tombstone->destroyed = false;
        if (!redoom(memory, tombstone->person, &memory->kept))
            outcome = err_set(err, FATAL, 0, "a guard cannot be read");
    }
    return outcome == OK ? session_answer(process, strike, err) : outcome;
}

static int by_subject(const void *a, const void *b) {
    const struct erase_cut *one = a, *two = b;
    int order = text_compare(one->subject, two->subject);
    return order ? order : (one->cut_us > two->cut_us) - (one->cut_us < two->cut_us);
}

static struct erase_cut *orphan_cuts(const struct memory_register *memory, struct arena *arena,
                                     size_t *count) {
    struct erase_cut *cuts = ARENA_ARRAY(arena, struct erase_cut, memory->tombstones.count + 1);
    assert(cuts);
    for (size_t i = *count = 0; i < memory->tombstones.count; i++) {
        const struct memory_tombstone *row = &memory->tombstones.at[i];
        if (!text_present(row->person))
            cuts[(*count)++] =
                (struct erase_cut){.subject = row->subject,
                                   .cause = row->cut.cause == CUT_REQUEST ? TEXT("request") : TEXT("closed"),
                                   .categories = row->categories,
                                   .cut_us = row->cut.cut_us,
                                   .generation = row->generation,
                                   .valid = true,
                                   .complete = true};
    }
    qsort(cuts, *count, sizeof *cuts, by_subject);
    return cuts;
}

/* What the vault has of a subject stays. */
static enum outcome mend_tell(void *context, struct json_writer *writer, size_t *told, struct err *err) {
    struct process *process = context;
    struct sim *sim = process->sim;
    struct arena *arena = &sim->memory.kept;
    enum strike strike;
    size_t count;
    *told = 0;
    enum outcome outcome = session_begin(process, __func__, &strike, err);
    if (outcome != OK)
        return outcome;
    const struct erase_cut *cuts = orphan_cuts(&sim->memory, arena, &count);
    for (size_t from = 0, to; outcome == OK && from < count; from = to) {
        struct tombstone_row row = {.person = TEXT("")};
        int64_t counter;
        bool missed;
        for (to = from + 1; to < count && text_equal(cuts[to].subject, cuts[from].subject); to++)
            ;
        outcome = erase_body(writer, arena, cuts + from, to - from, TEXT_ABSENT, NULL, 0, &row, err);
        if (outcome != OK || memory_vault_tombstone(&sim->vault, cuts[from].subject))
            continue;
        row.person = TEXT("");
        outcome = memory_vault_ops.destroy(&sim->vault, arena, NULL, 0, &row, 1, &counter, &missed, err);
        ++*told;
    }
    return outcome == OK ? session_answer(process, strike, err) : outcome;
}

static const struct reconcile_ops mend_ops = {.compare = mend_compare,
                                              .persons = mend_persons,
                                              .orphans = mend_orphans,
                                              .waiting = mend_waiting,
                                              .redoom = mend_redoom,
                                              .tell = mend_tell};

/* ---- the program ---- */

static enum outcome open_parts(struct process *process, struct mend *mend, struct err *err) {
    struct sim *sim = process->sim;
    process->keyring = keyring_new(&keys_ops, process, sim_kek, SIM_VAULT_ID, sim->cache_rings, 60);
    assert(process->keyring);
    struct consume_setup setup = {.reg_ops = &session_ops,
                                  .reg = process,
                                  .erase_ops = &session_erase_ops,
                                  .clock = &process_clock,
                                  .clock_context = process,
                                  .keyring = process->keyring,
                                  .vault_open = keys_open,
                                  .vault = process,
                                  .policy = sim->policy,
                                  .ref_key = &sim_ref_key,
                                  .digest_key = sim_digest_key,
                                  .owner = TEXT("reconcile"),
                                  .orphan_tombstones = true,
                                  .restored_us = sim->restored_us,
                                  .batch_records = sim->batch_records,
                                  .batch_bytes = 1 << 20,
                                  .arena_bytes = 1 << 24};
    mend->has_consumer = true;
    enum outcome outcome = consumer_init(&mend->reconcile.consumer, &setup, err);
    return outcome == OK ? session_ops.open(process, err) : outcome;
}

static enum outcome mend_once(struct process *process, struct mend *mend, struct err *err) {
    struct sim *sim = process->sim;
    mend->sum.vault_older = sim->counter > sim->vault.counter;
    enum outcome outcome = reconcile_look(&mend->reconcile, err);
    if (outcome == OK)
        sim->restored_us = sim->now_us;
    if (outcome == OK)
        outcome = open_parts(process, mend, err);
    if (outcome == OK)
        outcome = reconcile_mend(&mend->reconcile, err);
    if (outcome == OK && mend->sum.vault_older) {
        if (sim->vault.counter < sim->counter)
            sim->vault.counter = sim->counter;
        sim->counter = ++sim->vault.counter;
    }
    return outcome;
}

void mend_run(struct process *process) {
    struct sim *sim = process->sim;
    struct mend *mend = calloc(1, sizeof *mend);
    assert(mend);
    process->mend = mend;
    mend->reconcile.ops = &mend_ops;
    mend->reconcile.world = process;
    mend->reconcile.sum = &mend->sum;
    enum outcome outcome = mend_once(process, mend, &process->err);
    sim_tell(sim, "restore reconcile: %s", outcome == OK ? "done" : process->err.text);
    if (outcome == OK)
        sim->mending = false;
    else if (outcome == RETRY)
        process_start_later(sim, process->slot, 1000); /* the operator runs it again */
    else
        sim_wrong(sim, "restore reconcile: %s", process->err.text);
    process_end(process);
}

void mend_release(struct process *process) {
    if (process->mend->has_consumer)
        consumer_release(&process->mend->reconcile.consumer);
    reconcile_release(&process->mend->reconcile);
    free(process->mend);
}
