/* The erasing loop's world in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/decide/pack.h"
#include "core/metrics.h"
#include "tests/unit/erase_world.h"
#include <stdio.h>
#include <stdlib.h>

#define VAULT_ID "00112233445566778899aabbccddeeff"

static bool now_fails(int *failures, struct err *err) {
    if (!*failures)
        return false;
    --*failures;
    (void)err_set(err, RETRY, 0, "the register is away");
    return true;
}

static struct stored_cut *cut_of(struct memory_erase *memory, struct text person) {
    for (size_t i = 0; i < ERASE_PERSONS; i++)
        if (text_equal(memory->cuts[i].cut.person, person))
            return &memory->cuts[i];
    return NULL;
}

bool erase_world_waits(const struct memory_erase *memory, size_t person) {
    const struct stored_cut *cut = &memory->cuts[person];
    bool doomed = memory->dooms[2 * person].there || memory->dooms[2 * person + 1].there;
    return doomed || (text_present(cut->cut.person) && !cut->destroyed);
}

static enum outcome memory_pending(void *reg, struct arena *arena, struct text after, size_t limit,
                                   struct erase_portion *portion, struct err *err) {
    struct memory_erase *memory = reg;
    if (now_fails(&memory->fail_pending, err))
        return RETRY;
    portion->read_us = ++memory->counter;
    for (size_t i = 0; i < ERASE_PERSONS && portion->persons < limit; i++) {
        if (!erase_world_waits(memory, i) || text_compare(memory->cuts[i].cut.person, after) <= 0)
            continue;
        portion->persons++;
        portion->last = memory->cuts[i].cut.person;
        for (size_t k = 2 * i; k < 2 * i + 2; k++)
            if (memory->dooms[k].there)
                *ARENA_PUSH(arena, &portion->dooms) = memory->dooms[k].doom;
        struct erase_cut *cut = ARENA_PUSH(arena, &portion->cuts);
        *cut = memory->cuts[i].cut;
        cut->row = arena_text(arena, text_of(memory->cuts[i].row));
        *ARENA_PUSH(arena, &portion->guards) =
            (struct erase_guard){memory->cuts[i].cut.person, memory->guards[i]};
    }
    return OK;
}

static enum outcome memory_addresses(void *reg, struct arena *arena, const struct text *hashes, size_t count,
                                     struct erase_address **rows, size_t *row_count, struct err *err) {
    struct memory_erase *memory = reg;
    (void)err;
    assert_int_equal(count, 1);
    assert_true(text_equal(hashes[0], memory->hash));
    *rows = ARENA_NEW(arena, struct erase_address);
    **rows = (struct erase_address){memory->hash, memory->address};
    *row_count = 1;
    return OK;
}

static enum outcome memory_destroyed(void *reg, struct arena *arena, const struct erase_portion *portion,
                                     int64_t counter, struct err *err) {
    struct memory_erase *memory = reg;
    (void)arena;
    assert_true(counter > 0);
    if (memory->meanwhile)
        memory->meanwhile(memory);
    memory->meanwhile = NULL;
    if (now_fails(&memory->fail_before, err))
        return RETRY;
    for (size_t i = 0; i < portion->dooms.count; i++) {
        const struct key_doom *done = &portion->dooms.at[i];
        for (size_t k = 0; k < ERASE_PERSONS * 2; k++) {
            struct stored_doom *stored = &memory->dooms[k];
            if (text_equal(stored->doom.person, done->person) && stored->doom.category == done->category &&
                stored->doom.cells == done->cells && stored->doom.transit == done->transit)
                stored->there = false;
        }
    }
    for (size_t i = 0; i < portion->cuts.count; i++) {
        struct stored_cut *stored = cut_of(memory, portion->cuts.at[i].person);
        size_t person = (size_t)(stored - memory->cuts);
        if (text_is(portion->cuts.at[i].row, stored->row) && !memory->dooms[2 * person].there &&
            !memory->dooms[2 * person + 1].there) {
            memory->finished += !stored->destroyed;
            stored->destroyed = true;
        }
    }
    return now_fails(&memory->fail_after, err) ? RETRY : OK;
}

static enum outcome memory_count(void *reg, int64_t *persons, struct err *err) {
    struct memory_erase *memory = reg;
    (void)err;
    *persons = 0;
    for (size_t i = 0; i < ERASE_PERSONS; i++)
        *persons += erase_world_waits(memory, i);
    return OK;
}

const struct erase_ops memory_erase_ops = {.pending = memory_pending,
                                           .addresses = memory_addresses,
                                           .destroyed = memory_destroyed,
                                           .count = memory_count};

static int64_t fake_monotonic_us(void *clock) {
    return *(int64_t *)clock;
}
static const struct clock_ops fake_clock = {.monotonic_us = fake_monotonic_us};

/* The process starts: nothing in memory is left of the one before. */
void erase_world_start(struct erase_world *world) {
    keyring_free(world->keyring);
    world->keyring = keyring_new(world->vault_ops, &world->vault, world->kek, VAULT_ID, 1000, 60);
    assert_non_null(world->keyring);
    world->erase = (struct erase){.ops = world->erase_ops,
                                  .reg = &world->memory,
                                  .keyring = world->keyring,
                                  .writer = world->writer,
                                  .clock = &fake_clock,
                                  .clock_context = &world->now_us};
    erase_init(&world->erase);
}

static struct text packed_guard(struct erase_world *world) {
    struct person person = {.generation = GENERATION_FIRST};
    struct address_fact *fact = ARENA_PUSH(&world->kept, &person.facts.addresses);
    *fact = (struct address_fact){.hash = world->memory.hash, .field = EMAIL};
    *ARENA_PUSH(&world->kept, &fact->times) = ERASE_CUT_US - 7;
    *ARENA_PUSH(&world->kept, &fact->times) = ERASE_CUT_US;
    *ARENA_PUSH(&world->kept, &fact->times) = ERASE_CUT_US + 1;
    return pack_person(&person, &world->kept);
}

/* Twelve persons, each with keys of three categories and a lookup; the profile's and the delivery's are
 * doomed, but a delivery's cell waits under a fresh key. */
static void make_world(struct erase_world *world) {
    struct memory_erase *memory = &world->memory;
    struct address address = {.hash = TEXT("")};
    memory->hash = arena_text(&world->kept, TEXT("00000000000000000000000000000000"
                                                 "000000000000000000000000000000aa"));
    struct address_entry *entry = ARENA_PUSH(&world->kept, &address.entries);
    *entry = (struct address_entry){.person = TEXT("c-00"),
                                    .matched_us = ERASE_CUT_US,
                                    .objected_first_us = ERASE_CUT_US - 1,
                                    .objected_last_us = ERASE_CUT_US + 5,
                                    .withdrawn_us = TIME_NONE};
    memory->address = pack_address(&address, &world->kept);
    erase_world_start(world);
    for (size_t i = 0; i < ERASE_PERSONS; i++) {
        struct stored_cut *stored = &memory->cuts[i];
        (void)snprintf(stored->person, sizeof stored->person, "c-%02zu", i);
        (void)snprintf(stored->subject, sizeof stored->subject, "s-%02zu", ERASE_PERSONS - i);
        struct text person = text_of(stored->person);
        stored->cut = (struct erase_cut){.person = person,
                                         .subject = text_of(stored->subject),
                                         .cause = TEXT("request"),
                                         .categories = TEXT("profile,delivery"),
                                         .cut_us = ERASE_CUT_US,
                                         .generation = GENERATION_FIRST,
                                         .valid = true};
        memory->guards[i] = packed_guard(world);
        struct key_want wants[] = {
            {.person = person, .generation = -1, .category = CATEGORY_PROFILE, .period = ERASE_PERIOD},
            {.person = person, .generation = -1, .category = CATEGORY_DELIVERY, .period = ERASE_PERIOD},
            {.person = person, .generation = -1, .category = CATEGORY_VOUCHER, .period = ERASE_PERIOD}};
        struct lookup_row lookup = {.hash = {(uint8_t)i},
                                    .person = person,
                                    .generation = -1,
                                    .kind = "email",
                                    .time_us = ERASE_CUT_US};
        assert_int_equal(keyring_provide(world->keyring, &world->arena, wants, 3, &lookup, 1, 0, &world->err),
                         OK);
        struct key_doom dooms[] = {{.person = person, .generation = -1, .category = CATEGORY_PROFILE},
                                   {.person = person, .generation = -1, .category = CATEGORY_DELIVERY}};
        assert_int_equal(keyring_floors(world->keyring, &world->arena, dooms, 2, 0, &world->err), OK);
        wants[1].floor = dooms[1].cells;
        assert_int_equal(
            keyring_provide(world->keyring, &world->arena, &wants[1], 1, NULL, 0, 0, &world->err), OK);
        memory->dooms[2 * i] = (struct stored_doom){dooms[0], true};
        memory->dooms[2 * i + 1] = (struct stored_doom){dooms[1], true};
    }
}

struct erase_world *erase_world_new(void) {
    struct erase_world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    assert_int_equal(seal_start(NULL), OK);
    world->erase_ops = &memory_erase_ops;
    world->vault_ops = &memory_vault_ops;
    arena_init(&world->kept, (size_t)8 << 20);
    arena_init(&world->arena, (size_t)8 << 20);
    memory_vault_init(&world->vault);
    world->writer = json_writer_new();
    world->now_us = 1;
    make_world(world);
    return world;
}

void erase_world_free(struct erase_world *world) {
    keyring_free(world->keyring);
    json_writer_free(world->writer);
    memory_vault_release(&world->vault);
    arena_release(&world->arena);
    arena_release(&world->kept);
    free(world);
}

/* Turns, seconds apart, until nothing waits; how many failed. */
int erase_world_run(struct erase_world *world, int turns_most) {
    int failed = 0;
    for (int turn = 0; turn < turns_most && erase_busy(&world->erase); turn++) {
        enum outcome outcome = erase_turn(&world->erase, &world->arena, &world->err);
        assert_true(outcome == OK || outcome == RETRY);
        failed += outcome == RETRY;
        world->now_us += 1000000;
    }
    return failed;
}

bool erase_world_has(struct erase_world *world, size_t i, enum category category, uint16_t floor) {
    struct seal_key key;
    struct key_want wanted = {.person = world->memory.cuts[i].cut.person, .generation = -1};
    assert_int_equal(
        keyring_load(world->keyring, &world->arena, &wanted, 1, world->now_us / 1000000, &world->err), OK);
    return keyring_cell_key(world->keyring, wanted.person, -1, category, ERASE_PERIOD, floor, &key);
}

void erase_world_expect_destroyed(struct erase_world *world, size_t i) {
    struct memory_erase *memory = &world->memory;
    assert_false(erase_world_waits(memory, i));
    assert_true(memory->cuts[i].destroyed);
    assert_false(erase_world_has(world, i, CATEGORY_PROFILE, 0));
    assert_true(erase_world_has(world, i, CATEGORY_VOUCHER, 0));
    assert_true(erase_world_has(world, i, CATEGORY_DELIVERY, memory->dooms[2 * i + 1].doom.cells));
    struct seal_key key;
    assert_false(
        keyring_transit_key(world->keyring, memory->cuts[i].cut.person, -1, CATEGORY_PROFILE, 0, &key));
    assert_non_null(memory_vault_tombstone(&world->vault, memory->cuts[i].cut.subject));
}

void erase_world_expect_all(struct erase_world *world) {
    for (size_t i = 0; i < ERASE_PERSONS; i++)
        erase_world_expect_destroyed(world, i);
    assert_int_equal(world->vault.lookup_count, 0);
    assert_int_equal(world->vault.tombstone_count, ERASE_PERSONS);
    assert_int_equal(world->memory.finished, ERASE_PERSONS);
    assert_int_equal(metrics_value(METRIC_ERASURES_PENDING, 0), 0);
}
