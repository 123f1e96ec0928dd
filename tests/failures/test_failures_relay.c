/* The relay's loop over memory, with a failure at each of its calls that can fail: every row goes out once,
 * in order, and no row is set aside, and no relay refuses to start again, for want of memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/log.h"
#include "core/metrics.h"
#include "core/ready.h"
#include "tests/failures/failing.h"
#include "tests/failures/failing_seams.h"
#include "tests/unit/memory_outbox.h"
#include <fcntl.h>

static struct world world;

static enum outcome run(struct err *err, bool *refused) {
    struct relay relay = world_relay(&world);
    relay.outbox_ops = &failing_outbox;
    relay.unseal_ops = &failing_unseal;
    relay.publish_ops = &failing_publish;
    enum outcome outcome = world_relay_run(&relay, 4, err);
    *refused = relay.refused;
    return outcome;
}

static bool run_failing(void (*make)(struct world *), unsigned kinds, unsigned long at) {
    struct err err;
    bool refused;
    make(&world);
    failing_arm(kinds, at);
    enum outcome outcome = run(&err, &refused);
    bool reached = failing_disarm();
    if (outcome != OK) { /* its supervisor starts it again, unless it says that an operator must look */
        if (!reached || outcome != FATAL || refused)
            fail_msg("%s failed at %lu: %s%s", failing_what(), at, err.text, refused ? " (refused)" : "");
        failing_ended();
        assert_int_equal(run(&err, &refused), OK);
    }
    const char *wrong = world_check(&world);
    if (wrong)
        fail_msg("%s failed at %lu: %s", failing_what(), at, wrong);
    return reached;
}

static void any_failure(void (*make)(struct world *), const char *area) {
    unsigned long at = 1;
    while (run_failing(make, FAILING_MEMORY, at))
        at++;
    assert_true(at > 10);
    failing_tell(area);
    assert_false(failing_leaked());
}

static void test_plain(void **state) {
    (void)state;
    any_failure(world_plain, "relay");
}
static void test_hard(void **state) {
    (void)state;
    any_failure(world_hard, "relay, with everything in the way");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_hard),
    };
    failing_behind = (struct failing_behind){
        .outbox = &memory_outbox, .unseal = &memory_unseal, .publish = &memory_publish};
    log_to(open("/dev/null", O_WRONLY | O_CLOEXEC));
    metrics_init(METRICS_PRODUCER, "test");
    ready_init(1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
