/* The erasing loop over a register and a vault in memory: whatever fails or dies between its steps, the
 * doomed keys go, nothing else goes, and it is finished once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "consumer/erase.h"
#include "core/decide/pack.h"
#include "core/log.h"
#include "core/metrics.h"
#include "memory_vault.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#define VAULT_ID "00112233445566778899aabbccddeeff"
#define PERSONS 12
#define CUT_US INT64_C(1000000)
#define PERIOD 200

struct stored_doom {
    struct key_doom doom;
    bool there;
};
struct stored_cut {
    struct erase_cut cut;
    char row[24], person[16], subject[16];
    int version;
    bool destroyed;
};

/* What consumer/register_erase.c reads and writes, in memory. */
struct memory_erase {
    struct stored_doom dooms[PERSONS * 2];
    struct stored_cut cuts[PERSONS];
    struct text guards[PERSONS], address; /* packed; every person's hash is the same one */
    struct text hash;
    int64_t counter;
    int fail_pending, fail_before, fail_after, finished;
    void (*meanwhile)(struct memory_erase *memory); /* between what was read and that it is done */
};

struct fixture {
    struct arena kept, arena;
    struct memory_vault vault;
    struct memory_erase memory;
    struct keyring *keyring;
    struct json_writer *writer;
    uint8_t kek[32];
    int64_t now_us;
    struct erase erase;
    struct err err;
};

static bool now_fails(int *failures, struct err *err) {
    if (!*failures)
        return false;
    --*failures;
    (void)err_set(err, RETRY, 0, "the register is away");
    return true;
}

static struct stored_cut *cut_of(struct memory_erase *memory, struct text person) {
    for (size_t i = 0; i < PERSONS; i++)
        if (text_equal(memory->cuts[i].cut.person, person))
            return &memory->cuts[i];
    return NULL;
}

static bool waits(const struct memory_erase *memory, size_t person) {
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
    for (size_t i = 0; i < PERSONS && portion->persons < limit; i++) {
        if (!waits(memory, i) || text_compare(memory->cuts[i].cut.person, after) <= 0)
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
        for (size_t k = 0; k < PERSONS * 2; k++) {
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
    for (size_t i = 0; i < PERSONS; i++)
        *persons += waits(memory, i);
    return OK;
}

static const struct erase_ops memory_erase_ops = {.pending = memory_pending,
                                                  .addresses = memory_addresses,
                                                  .destroyed = memory_destroyed,
                                                  .count = memory_count};

static int64_t fake_monotonic_us(void *clock) {
    return *(int64_t *)clock;
}
static const struct clock_ops fake_clock = {.monotonic_us = fake_monotonic_us};

/* The process starts: nothing in memory is left of the one before. */
static void start(struct fixture *fixture) {
    keyring_free(fixture->keyring);
    fixture->keyring = keyring_new(&memory_vault_ops, &fixture->vault, fixture->kek, VAULT_ID, 1000, 60);
    assert_non_null(fixture->keyring);
    fixture->erase = (struct erase){.ops = &memory_erase_ops,
                                    .reg = &fixture->memory,
                                    .keyring = fixture->keyring,
                                    .writer = fixture->writer,
                                    .clock = &fake_clock,
                                    .clock_context = &fixture->now_us};
    erase_init(&fixture->erase);
}

static struct text packed_guard(struct fixture *fixture) {
    struct person person = {.generation = GENERATION_FIRST};
    struct address_fact *fact = ARENA_PUSH(&fixture->kept, &person.facts.addresses);
    *fact = (struct address_fact){.hash = fixture->memory.hash, .field = EMAIL};
    *ARENA_PUSH(&fixture->kept, &fact->times) = CUT_US - 7;
    *ARENA_PUSH(&fixture->kept, &fact->times) = CUT_US;
    *ARENA_PUSH(&fixture->kept, &fact->times) = CUT_US + 1;
    return pack_person(&person, &fixture->kept);
}

/* Twelve persons, each with keys of three categories and a lookup; the profile's and the delivery's are
 * doomed, but a delivery's cell waits under a fresh key. */
static void make_world(struct fixture *fixture) {
    struct memory_erase *memory = &fixture->memory;
    struct address address = {.hash = TEXT("")};
    memory->hash = arena_text(&fixture->kept, TEXT("00000000000000000000000000000000"
                                                   "000000000000000000000000000000aa"));
    struct address_entry *entry = ARENA_PUSH(&fixture->kept, &address.entries);
    *entry = (struct address_entry){.person = TEXT("c-00"),
                                    .matched_us = CUT_US,
                                    .objected_first_us = CUT_US - 1,
                                    .objected_last_us = CUT_US + 5,
                                    .withdrawn_us = TIME_NONE};
    memory->address = pack_address(&address, &fixture->kept);
    start(fixture);
    for (size_t i = 0; i < PERSONS; i++) {
        struct stored_cut *stored = &memory->cuts[i];
        (void)snprintf(stored->person, sizeof stored->person, "c-%02zu", i);
        (void)snprintf(stored->subject, sizeof stored->subject, "s-%02zu", PERSONS - i);
        struct text person = text_of(stored->person);
        stored->cut = (struct erase_cut){.person = person,
                                         .subject = text_of(stored->subject),
                                         .cause = TEXT("request"),
                                         .categories = TEXT("profile,delivery"),
                                         .cut_us = CUT_US,
                                         .generation = GENERATION_FIRST,
                                         .valid = true};
        memory->guards[i] = packed_guard(fixture);
        struct key_want wants[] = {
            {.person = person, .generation = -1, .category = CATEGORY_PROFILE, .period = PERIOD},
            {.person = person, .generation = -1, .category = CATEGORY_DELIVERY, .period = PERIOD},
            {.person = person, .generation = -1, .category = CATEGORY_VOUCHER, .period = PERIOD}};
        struct lookup_row lookup = {
            .hash = {(uint8_t)i}, .person = person, .generation = -1, .kind = "email", .time_us = CUT_US};
        assert_int_equal(
            keyring_provide(fixture->keyring, &fixture->arena, wants, 3, &lookup, 1, 0, &fixture->err), OK);
        struct key_doom dooms[] = {{.person = person, .generation = -1, .category = CATEGORY_PROFILE},
                                   {.person = person, .generation = -1, .category = CATEGORY_DELIVERY}};
        assert_int_equal(keyring_floors(fixture->keyring, &fixture->arena, dooms, 2, 0, &fixture->err), OK);
        wants[1].floor = dooms[1].cells;
        assert_int_equal(
            keyring_provide(fixture->keyring, &fixture->arena, &wants[1], 1, NULL, 0, 0, &fixture->err), OK);
        memory->dooms[2 * i] = (struct stored_doom){dooms[0], true};
        memory->dooms[2 * i + 1] = (struct stored_doom){dooms[1], true};
    }
}

static int set_up(void **state) {
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    *state = fixture;
    if (!fixture || seal_start(NULL) != OK)
        return -1;
    arena_init(&fixture->kept, (size_t)8 << 20);
    arena_init(&fixture->arena, (size_t)8 << 20);
    memory_vault_init(&fixture->vault);
    fixture->writer = json_writer_new();
    fixture->now_us = 1;
    make_world(fixture);
    return 0;
}
static int tear_down(void **state) {
    struct fixture *fixture = *state;
    keyring_free(fixture->keyring);
    json_writer_free(fixture->writer);
    memory_vault_release(&fixture->vault);
    arena_release(&fixture->arena);
    arena_release(&fixture->kept);
    free(fixture);
    return 0;
}

/* Turns, seconds apart, until nothing waits; how many failed. */
static int run(struct fixture *fixture, int turns_most) {
    int failed = 0;
    for (int turn = 0; turn < turns_most && erase_busy(&fixture->erase); turn++) {
        enum outcome outcome = erase_turn(&fixture->erase, &fixture->arena, &fixture->err);
        assert_true(outcome == OK || outcome == RETRY);
        failed += outcome == RETRY;
        fixture->now_us += 1000000;
    }
    return failed;
}

static bool has(struct fixture *fixture, size_t i, enum category category, uint16_t floor) {
    struct seal_key key;
    struct key_want wanted = {.person = fixture->memory.cuts[i].cut.person, .generation = -1};
    assert_int_equal(
        keyring_load(fixture->keyring, &fixture->arena, &wanted, 1, fixture->now_us / 1000000, &fixture->err),
        OK);
    return keyring_cell_key(fixture->keyring, wanted.person, -1, category, PERIOD, floor, &key);
}

static void expect_destroyed(struct fixture *fixture, size_t i) {
    struct memory_erase *memory = &fixture->memory;
    assert_false(waits(memory, i));
    assert_true(memory->cuts[i].destroyed);
    assert_false(has(fixture, i, CATEGORY_PROFILE, 0));
    assert_true(has(fixture, i, CATEGORY_VOUCHER, 0));
    assert_true(has(fixture, i, CATEGORY_DELIVERY, memory->dooms[2 * i + 1].doom.cells));
    struct seal_key key;
    assert_false(
        keyring_transit_key(fixture->keyring, memory->cuts[i].cut.person, -1, CATEGORY_PROFILE, 0, &key));
    assert_non_null(memory_vault_tombstone(&fixture->vault, memory->cuts[i].cut.subject));
}

static void expect_all(struct fixture *fixture) {
    for (size_t i = 0; i < PERSONS; i++)
        expect_destroyed(fixture, i);
    assert_int_equal(fixture->vault.lookup_count, 0);
    assert_int_equal(fixture->vault.tombstone_count, PERSONS);
    assert_int_equal(fixture->memory.finished, PERSONS);
    assert_int_equal(metrics_value(METRIC_ERASURES_PENDING, 0), 0);
}

static void what_is_doomed_is_destroyed_and_nothing_else(void **state) {
    struct fixture *fixture = *state;
    fixture->erase.limit = 5; /* grows with success: three portions, then a look that finds none */
    assert_int_equal(run(fixture, 10), 0);
    expect_all(fixture);
    assert_in_range(fixture->vault.destroys, 2, 3);
    assert_true(text_is(memory_vault_tombstone(&fixture->vault, TEXT("s-12"))->body,
                        "{\"erasures\":["
                        "{\"category\":\"profile\",\"cause\":\"request\",\"complete\":true,"
                        "\"cut\":\"1970-01-01T00:00:01.000000Z\"},"
                        "{\"category\":\"delivery\",\"cause\":\"request\",\"complete\":false,"
                        "\"cut\":\"1970-01-01T00:00:01.000000Z\"}],\"subject\":\"s-12\",\"suppression\":["
                        "{\"hash\":\"00000000000000000000000000000000000000000000000000000000000000aa\","
                        "\"kind\":\"email\",\"objected\":[\"1970-01-01T00:00:00.999999Z\","
                        "\"1970-01-01T00:00:01.000005Z\"],\"times\":[\"1970-01-01T00:00:00.999993Z\","
                        "\"1970-01-01T00:00:01.000000Z\"]}]}"));
    size_t destroys = fixture->vault.destroys;
    erase_wake(&fixture->erase);
    assert_int_equal(run(fixture, 5), 0);
    assert_int_equal(fixture->vault.destroys, destroys);
}

/* A register made anew does not know every address that the vault was told of: those stay. */
static void what_the_vault_was_told_stays(void **state) {
    struct fixture *fixture = *state;
    struct tombstone_row before = {
        .person = TEXT("c-00"),
        .subject = TEXT("s-12"),
        .body = TEXT("{\"erasures\":[],\"subject\":\"s-12\",\"suppression\":[{\"hash\":\"bb\",\"kind\":"
                     "\"phone\",\"times\":[\"1970-01-01T00:00:00.000003Z\"],\"withdrawn\":\"1970-01-01T00:00:"
                     "00.000004Z\"}]}"),
        .erased_us = TIME_NONE};
    int64_t counter;
    assert_int_equal(
        keyring_destroy(fixture->keyring, &fixture->arena, NULL, 0, &before, 1, &counter, &fixture->err), OK);
    for (int times = 0; times < 2; times++) {
        assert_int_equal(run(fixture, 10), 0);
        const char *body = memory_vault_tombstone(&fixture->vault, TEXT("s-12"))->body.at;
        const char *kept =
            strstr(body, ",{\"hash\":\"bb\",\"kind\":\"phone\",\"times\":[\"1970-01-01T00:00:00."
                         "000003Z\"],\"withdrawn\":\"1970-01-01T00:00:00.000004Z\"}]}");
        assert_non_null(kept);
        assert_null(strstr(kept + 20, "\"bb\""));
        assert_non_null(strstr(body, "aa\",\"kind\":\"email\""));
        fixture->memory.cuts[0].destroyed = false; /* told once more */
        erase_wake(&fixture->erase);
    }
}

/* Each seam fails or loses its answer; with a restart the same. */
static void whatever_fails_it_is_finished_once(void **state) {
    (void)state;
    for (int restart = 0; restart < 2; restart++)
        for (int seam = 0; seam < 6; seam++) {
            void *made;
            assert_int_equal(set_up(&made), 0);
            struct fixture *fixture = made;
            int *const faults[] = {&fixture->memory.fail_pending,        &fixture->vault.fail_fetches,
                                   &fixture->vault.fail_destroys_before, &fixture->vault.fail_destroys_after,
                                   &fixture->memory.fail_before,         &fixture->memory.fail_after};
            *faults[seam] = 2;
            assert_int_equal(run(fixture, 1), 1);
            assert_int_equal(fixture->erase.vault_away, seam >= 1 && seam <= 3);
            if (restart)
                start(fixture);
            assert_int_equal(run(fixture, 20), seam != 5); /* the last one's effect was there */
            assert_false(fixture->erase.vault_away);
            expect_all(fixture);
            (void)tear_down(&made);
        }
}

/* Another act of the same person while the vault is at it: its floors are higher. */
static void act_again(struct memory_erase *memory) {
    struct stored_cut *stored = &memory->cuts[3];
    memory->dooms[7].doom.cells++;
    stored->cut.complete = true;
    (void)snprintf(stored->row, sizeof stored->row, "%d", ++stored->version);
}

static void what_was_doomed_meanwhile_waits_its_turn(void **state) {
    struct fixture *fixture = *state;
    fixture->memory.meanwhile = act_again;
    assert_int_equal(run(fixture, 1), 0);
    assert_true(waits(&fixture->memory, 3));
    assert_false(fixture->memory.cuts[3].destroyed);
    assert_int_equal(fixture->memory.finished, PERSONS - 1);
    fixture->erase.more = true; /* the next look */
    assert_int_equal(run(fixture, 5), 0);
    assert_false(waits(&fixture->memory, 3));
    assert_int_equal(fixture->memory.finished, PERSONS);
    assert_false(has(fixture, 3, CATEGORY_DELIVERY, 0));
    assert_non_null(strstr(memory_vault_tombstone(&fixture->vault, text_of("s-09"))->body.at,
                           "\"delivery\",\"cause\":\"request\",\"complete\":true"));
}

/* One ring is damaged: the others go, its person waits and goes once the vault is repaired. */
static void a_damaged_ring_holds_up_no_other(void **state) {
    struct fixture *fixture = *state;
    struct ring_row *row = memory_vault_ring(&fixture->vault, text_of("c-04"), -1);
    char *byte = (char *)(uintptr_t)row->blob.at + row->blob.size - 1;
    *byte = (char)(*byte ^ 1);
    assert_int_equal(run(fixture, 40), 0);
    for (size_t i = 0; i < PERSONS; i++)
        if (i != 4)
            expect_destroyed(fixture, i);
    assert_true(waits(&fixture->memory, 4));
    assert_int_equal(metrics_value(METRIC_ERASURES_PENDING, 0), 1);
    *byte = (char)(*byte ^ 1);
    for (int second = 0; second < 70; second++) {
        fixture->erase.more = true;
        (void)run(fixture, 1);
    }
    expect_all(fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_doomed_is_destroyed_and_nothing_else, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_the_vault_was_told_stays, set_up, tear_down),
        cmocka_unit_test(whatever_fails_it_is_finished_once),
        cmocka_unit_test_setup_teardown(what_was_doomed_meanwhile_waits_its_turn, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_damaged_ring_holds_up_no_other, set_up, tear_down),
    };
    metrics_init(METRICS_CONSUMER, "test");
    log_to(open("/dev/null", O_WRONLY | O_CLOEXEC));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
