/* The register as the erasing loop meets it: what is doomed, and that it was destroyed. */
#include "tests/simulator/sim.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static int by_text(const void *a, const void *b) {
    return text_compare(*(const struct text *)a, *(const struct text *)b);
}

static bool waits(const struct memory_tombstone *row) {
    return !row->destroyed && text_present(row->person);
}

/* Everybody who has something doomed or a tombstone that is not destroyed, in order. */
static size_t waiting(const struct memory_register *memory, struct arena *arena, struct text **persons) {
    struct text *all = ARENA_ARRAY(arena, struct text, memory->doomed.count + memory->tombstones.count + 1);
    size_t count = 0, kept = 0;
    assert(all);
    for (size_t i = 0; i < memory->doomed.count; i++)
        all[count++] = memory->doomed.at[i].person;
    for (size_t i = 0; i < memory->tombstones.count; i++)
        if (waits(&memory->tombstones.at[i]))
            all[count++] = memory->tombstones.at[i].person;
    qsort(all, count, sizeof *all, by_text);
    for (size_t i = 0; i < count; i++)
        if (!kept || !text_equal(all[kept - 1], all[i]))
            all[kept++] = all[i];
    *persons = all;
    return kept;
}

static int by_ring(const void *a, const void *b) {
    const struct key_doom *one = a, *two = b;
    int order = text_compare(one->person, two->person);
    order = order ? order : (one->generation > two->generation) - (one->generation < two->generation);
    return order ? order : (int)one->category - (int)two->category;
}

static int by_cut(const void *a, const void *b) {
    const struct erase_cut *one = a, *two = b;
    int order = text_compare(one->person, two->person);
    return order ? order : (one->cut_us > two->cut_us) - (one->cut_us < two->cut_us);
}

static void take_person(const struct memory_register *memory, struct arena *arena, struct text person,
                        struct erase_portion *portion) {
    for (size_t i = 0; i < memory->doomed.count; i++)
        if (text_equal(memory->doomed.at[i].person, person))
            *ARENA_PUSH(arena, &portion->dooms) = memory->doomed.at[i];
    for (size_t i = 0; i < memory->tombstones.count; i++) {
        const struct memory_tombstone *row = &memory->tombstones.at[i];
        char version[24];
        if (!text_present(row->person) || !text_equal(row->person, person))
            continue;
        snprintf(version, sizeof version, "%lld", (long long)row->version);
        *ARENA_PUSH(arena, &portion->cuts) =
            (struct erase_cut){.person = row->person,
                               .subject = row->subject,
                               .cause = row->cut.cause == CUT_REQUEST ? TEXT("request") : TEXT("closed"),
                               .categories = row->categories,
                               .cut_us = row->cut.cut_us,
                               .generation = row->generation,
                               .valid = row->cut.valid,
                               .complete = row->cut.complete,
                               .row = arena_text(arena, text_of(version))};
    }
    for (size_t i = 0; i < memory->persons.count; i++)
        if (text_equal(memory->persons.at[i].person, person) &&
            memory->persons.at[i].generation == GENERATION_FIRST)
            *ARENA_PUSH(arena, &portion->guards) = (struct erase_guard){person, memory->persons.at[i].merge};
}

static enum outcome erasures_pending(void *context, struct arena *arena, struct text after, size_t limit,
                                     struct erase_portion *portion, struct err *err) {
    struct process *process = context;
    struct text *persons;
    enum strike strike;
    enum outcome outcome = session_begin(process, __func__, &strike, err);
    if (outcome != OK)
        return outcome;
    size_t count = waiting(&process->sim->memory, arena, &persons);
    portion->read_us = process->sim->now_us += 1;
    for (size_t i = 0; i < count && portion->persons < limit; i++) {
        if (text_compare(persons[i], after) <= 0)
            continue;
        portion->persons++;
        portion->last = persons[i];
        take_person(&process->sim->memory, arena, persons[i], portion);
    }
    for (size_t i = 0; i < portion->dooms.count; i++) {
        const struct key_doom *doom = &portion->dooms.at[i];
        sim_tell(process->sim, "  doomed: %.*s %lld %s below %u, %u", TEXT_ARGS(doom->person),
                 (long long)doom->generation, category_names[doom->category], doom->cells, doom->transit);
    }
    if (portion->dooms.count)
        qsort(portion->dooms.at, portion->dooms.count, sizeof *portion->dooms.at, by_ring);
    if (portion->cuts.count)
        qsort(portion->cuts.at, portion->cuts.count, sizeof *portion->cuts.at, by_cut);
    return session_answer(process, strike, err);
}

static enum outcome erasures_addresses(void *context, struct arena *arena, const struct text *hashes,
                                       size_t count, struct erase_address **rows, size_t *row_count,
                                       struct err *err) {
    struct process *process = context;
    const struct memory_register *memory = &process->sim->memory;
    enum strike strike;
    enum outcome outcome = session_begin(process, __func__, &strike, err);
    if (outcome != OK)
        return outcome;
    *rows = ARENA_ARRAY(arena, struct erase_address, memory->addresses.count + 1);
    assert(*rows);
    *row_count = 0;
    for (size_t i = 0; i < memory->addresses.count; i++)
        for (size_t k = 0; k < count; k++)
            if (text_equal(memory->addresses.at[i].key, hashes[k])) {
                (*rows)[(*row_count)++] =
                    (struct erase_address){memory->addresses.at[i].key, memory->addresses.at[i].merge};
                break;
            }
    qsort(*rows, *row_count, sizeof **rows, by_text); /* a row begins with its hash */
    return session_answer(process, strike, err);
}
_Static_assert(offsetof(struct erase_address, hash) == 0, "sorted by its hash");

static bool has_doomed(const struct memory_register *memory, struct text person) {
    for (size_t i = 0; i < memory->doomed.count; i++)
        if (text_equal(memory->doomed.at[i].person, person))
            return true;
    return false;
}

static void mark_destroyed(struct memory_register *memory, const struct erase_portion *portion) {
    for (size_t i = 0; i < portion->dooms.count; i++) {
        const struct key_doom *done = &portion->dooms.at[i];
        for (size_t k = 0; k < memory->doomed.count; k++) {
            const struct key_doom *row = &memory->doomed.at[k];
            if (by_ring(row, done) == 0 && row->cells == done->cells && row->transit == done->transit)
                memory->doomed.at[k--] = memory->doomed.at[--memory->doomed.count];
        }
    }
    for (size_t i = 0; i < portion->cuts.count; i++) {
        const struct erase_cut *cut = &portion->cuts.at[i];
        struct memory_tombstone *marked = MEMORY_FIND(
            memory->tombstones, text_equal(row->subject, cut->subject) && row->cut.cut_us == cut->cut_us);
        char version[24];
        assert(marked);
        snprintf(version, sizeof version, "%lld", (long long)marked->version);
        if (text_is(cut->row, version) && !has_doomed(memory, cut->person))
            marked->destroyed = true;
    }
}

/* A transaction of its own, which changes no row that another one has changed since. */
static enum outcome erasures_destroyed(void *context, struct arena *arena,
                                       const struct erase_portion *portion, int64_t counter,
                                       struct err *err) {
    struct process *process = context;
    enum strike strike;
    (void)arena;
    enum outcome outcome = session_begin(process, __func__, &strike, err);
    while (outcome == OK && process->sim->doubt.open) {
        process_sleep(process, 1000);
        outcome = process->session.connected ? OK : err_set(err, RETRY, 0, "the register is not connected");
    }
    if (outcome != OK)
        return outcome;
    mark_destroyed(&process->sim->memory, portion);
    if (counter > process->sim->counter)
        process->sim->counter = counter;
    return session_answer(process, strike, err);
}

static enum outcome erasures_count(void *context, int64_t *persons, struct err *err) {
    struct process *process = context;
    struct text *list;
    enum strike strike;
    enum outcome outcome = session_begin(process, __func__, &strike, err);
    if (outcome != OK)
        return outcome;
    *persons = (int64_t)waiting(&process->sim->memory, &process->sim->memory.kept, &list);
    return session_answer(process, strike, err);
}

const struct erase_ops session_erase_ops = {.pending = erasures_pending,
                                            .addresses = erasures_addresses,
                                            .destroyed = erasures_destroyed,
                                            .count = erasures_count};

/* Nothing waits to be taken in late, destroyed or settled. */
bool session_idle(const struct sim *sim) {
    for (size_t i = 0; i < sim->memory.tombstones.count; i++)
        if (waits(&sim->memory.tombstones.at[i]))
            return false;
    for (unsigned slot = 0; slot < SIM_SLOTS; slot++)
        if (sim->at[slot] && (sim->at[slot]->session.pending || sim->at[slot]->thaw_us > sim->now_us))
            return false;
    for (size_t i = 0; i < sim->memory.parked.count && !sim->lost_keys;
         i++) /* or it does not open any more */
        for (size_t k = 0; k < sim->memory.refs.count; k++)
            if (text_equal(sim->memory.refs.at[k].ref, sim->memory.parked.at[i].ref) &&
                text_present(sim->memory.refs.at[k].recipient))
                return false; /* left over under a ref that is known */
    return !sim->memory.doomed.count && !sim->doubt.open;
}
