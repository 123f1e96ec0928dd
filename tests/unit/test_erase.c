/* The erasing loop over a register and a vault in memory: whatever fails or dies between its steps, the
 * doomed keys go, nothing else goes, and it is finished once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/log.h"
#include "core/metrics.h"
#include "tests/unit/erase_world.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

static int set_up(void **state) {
    *state = erase_world_new();
    return 0;
}
static int tear_down(void **state) {
    erase_world_free(*state);
    return 0;
}

static void what_is_doomed_is_destroyed_and_nothing_else(void **state) {
    struct erase_world *fixture = *state;
    fixture->erase.limit = 5; /* grows with success: three portions, then a look that finds none */
    assert_int_equal(erase_world_run(fixture, 10), 0);
    erase_world_expect_all(fixture);
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
    assert_int_equal(erase_world_run(fixture, 5), 0);
    assert_int_equal(fixture->vault.destroys, destroys);
}

/* A register made anew does not know every address that the vault was told of: those stay. */
static void what_the_vault_was_told_stays(void **state) {
    struct erase_world *fixture = *state;
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
        assert_int_equal(erase_world_run(fixture, 10), 0);
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
            struct erase_world *fixture = made;
            int *const faults[] = {&fixture->memory.fail_pending,        &fixture->vault.fail_fetches,
                                   &fixture->vault.fail_destroys_before, &fixture->vault.fail_destroys_after,
                                   &fixture->memory.fail_before,         &fixture->memory.fail_after};
            *faults[seam] = 2;
            assert_int_equal(erase_world_run(fixture, 1), 1);
            assert_int_equal(fixture->erase.vault_away, seam >= 1 && seam <= 3);
            if (restart)
                erase_world_start(fixture);
            assert_int_equal(erase_world_run(fixture, 20), seam != 5); /* the last one's effect was there */
            assert_false(fixture->erase.vault_away);
            erase_world_expect_all(fixture);
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
    struct erase_world *fixture = *state;
    fixture->memory.meanwhile = act_again;
    assert_int_equal(erase_world_run(fixture, 1), 0);
    assert_true(erase_world_waits(&fixture->memory, 3));
    assert_false(fixture->memory.cuts[3].destroyed);
    assert_int_equal(fixture->memory.finished, ERASE_PERSONS - 1);
    fixture->erase.more = true; /* the next look */
    assert_int_equal(erase_world_run(fixture, 5), 0);
    assert_false(erase_world_waits(&fixture->memory, 3));
    assert_int_equal(fixture->memory.finished, ERASE_PERSONS);
    assert_false(erase_world_has(fixture, 3, CATEGORY_DELIVERY, 0));
    assert_non_null(strstr(memory_vault_tombstone(&fixture->vault, text_of("s-09"))->body.at,
                           "\"delivery\",\"cause\":\"request\",\"complete\":true"));
}

/* One ring is damaged: the others go, its person waits and goes once the vault is repaired. */
static void a_damaged_ring_holds_up_no_other(void **state) {
    struct erase_world *fixture = *state;
    struct ring_row *row = memory_vault_ring(&fixture->vault, text_of("c-04"), -1);
    char *byte = (char *)(uintptr_t)row->blob.at + row->blob.size - 1;
    *byte = (char)(*byte ^ 1);
    assert_int_equal(erase_world_run(fixture, 40), 0);
    for (size_t i = 0; i < ERASE_PERSONS; i++)
        if (i != 4)
            erase_world_expect_destroyed(fixture, i);
    assert_true(erase_world_waits(&fixture->memory, 4));
    assert_int_equal(metrics_value(METRIC_ERASURES_PENDING, 0), 1);
    *byte = (char)(*byte ^ 1);
    for (int second = 0; second < 70; second++) {
        fixture->erase.more = true;
        (void)erase_world_run(fixture, 1);
    }
    erase_world_expect_all(fixture);
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
