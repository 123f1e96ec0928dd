/* The erasing loop over memory, with a failure at each of its calls that can fail: it is tried again, and in
 * the end what is doomed is destroyed and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/log.h"
#include "core/metrics.h"
#include "tests/failures/failing.h"
#include "tests/failures/failing_seams.h"
#include "tests/unit/erase_world.h"
#include <fcntl.h>
#include <stdio.h>

/* The vault is told the same as without a failure. */
static void expect_told(const struct erase_world *world) {
    static char undisturbed[1 << 16];
    char told[sizeof undisturbed];
    size_t size = 0;
    for (size_t i = 0; i < ERASE_PERSONS; i++) { /* in the order of persons, whoever came first */
        struct memory_vault *vault = (struct memory_vault *)(uintptr_t)&world->vault;
        const struct tombstone_row *row = memory_vault_tombstone(vault, world->memory.cuts[i].cut.subject);
        size += (size_t)snprintf(told + size, sizeof told - size, "%.*s\n", TEXT_ARGS(row->body));
        assert_true(size < sizeof told);
    }
    if (!undisturbed[0])
        memcpy(undisturbed, told, size + 1);
    assert_string_equal(told, undisturbed);
}

static bool run_failing(unsigned kinds, unsigned long at, size_t limit) {
    struct erase_world *world = erase_world_new();
    world->erase_ops = &failing_erase;
    world->vault_ops = &failing_vault;
    erase_world_start(world);
    world->erase.limit = limit;
    failing_arm(kinds, at);
    (void)erase_world_run(world, 10);
    bool reached = failing_disarm();
    for (int second = 0; second < 70; second++) { /* who was passed over is tried again after half a minute */
        world->erase.more = true;
        (void)erase_world_run(world, 1);
    }
    erase_world_expect_all(world);
    expect_told(world);
    erase_world_free(world);
    return reached;
}

static void any_failure(unsigned kinds, size_t limit, const char *area) {
    unsigned long at = 1;
    (void)run_failing(0, 0, limit);
    while (run_failing(kinds, at, limit))
        at++;
    assert_true(at > 10);
    failing_tell(area);
    assert_false(failing_leaked());
}

static void test_all_at_once(void **state) {
    (void)state;
    any_failure(FAILING_MEMORY, 500, "erasing, one portion");
}
static void test_one_by_one(void **state) {
    (void)state;
    any_failure(FAILING_MEMORY, 1, "erasing, one by one");
}
static void test_openings(void **state) {
    (void)state;
    any_failure(FAILING_OPENS, 4, "erasing, rings that do not open once");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_at_once),
        cmocka_unit_test(test_one_by_one),
        cmocka_unit_test(test_openings),
    };
    failing_behind = (struct failing_behind){.erase = &memory_erase_ops, .vault = &memory_vault_ops};
    metrics_init(METRICS_CONSUMER, "test");
    log_to(open("/dev/null", O_WRONLY | O_CLOEXEC));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
