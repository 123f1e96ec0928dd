/* The relay's loop through every crash point, lost reply and refusal, over memory; and the parts that it
 * stands on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/log.h"
#include "core/outbox_headers.h"
#include "core/ready.h"
#include "producer/position.h"
#include "tests/unit/memory_outbox.h"
#include <fcntl.h>
#include <stdlib.h>

#define RUNS_MAX 40 /* sessions are renewed within a run; only a crash ends one */

static enum outcome run_once(struct world *world, int32_t batch_outputs) {
    struct relay relay = world_relay(world);
    struct err err;
    return world_relay_run(&relay, batch_outputs, &err);
}

/* Starts again after every crash, as a supervisor does. */
static void run_to_end(struct world *world, int32_t batch_outputs) {
    for (int runs = 0; runs < RUNS_MAX; runs++) {
        if (run_once(world, batch_outputs) == OK)
            return;
        assert_true(world->dead);
        world->dead = false;
        world->crash_before = world->crash_after = 0;
    }
    fail_msg("the relay does not come to an end");
}

static void expect_whole(const struct world *world, const char *fault, long call) {
    const char *wrong = world_check(world);
    if (wrong)
        fail_msg("%s at call %ld: %s", fault, call, wrong);
}

static long calls_needed(void (*make)(struct world *), int32_t batch_outputs) {
    static struct world world;
    make(&world);
    run_to_end(&world, batch_outputs);
    expect_whole(&world, "no fault", 0);
    return world.calls;
}

static void try_faults(void (*make)(struct world *), int32_t batch_outputs, long call) {
    static struct world world;
    make(&world);
    world.crash_before = call;
    run_to_end(&world, batch_outputs);
    expect_whole(&world, "crash before the effect", call);
    make(&world);
    world.crash_after = call;
    run_to_end(&world, batch_outputs);
    expect_whole(&world, "crash after the effect", call);
    make(&world);
    world.fail_before = call;
    run_to_end(&world, batch_outputs);
    expect_whole(&world, "failure", call);
    make(&world);
    world.fail_after = call;
    run_to_end(&world, batch_outputs);
    expect_whole(&world, "lost reply", call);
}

static void every_crash_point_keeps_each_row_once(void **state) {
    (void)state;
    for (int32_t batch_outputs = 1; batch_outputs <= 16; batch_outputs = batch_outputs * 3 + 1) {
        long calls = calls_needed(world_plain, batch_outputs);
        assert_true(calls > 10);
        for (long call = 1; call <= calls; call++)
            try_faults(world_plain, batch_outputs, call);
    }
}

static void every_crash_point_with_refusals_keeps_each_row_once(void **state) {
    (void)state;
    for (int32_t batch_outputs = 1; batch_outputs <= 16; batch_outputs = batch_outputs * 3 + 1) {
        long calls = calls_needed(world_hard, batch_outputs);
        for (long call = 1; call <= calls; call++)
            try_faults(world_hard, batch_outputs, call);
    }
}

static void two_faults_keep_each_row_once(void **state) {
    (void)state;
    static struct world world;
    long calls = calls_needed(world_hard, 4);
    for (long first = 1; first <= calls; first += 2)
        for (long second = first + 1; second <= first + 25; second += 3) {
            world_hard(&world);
            world.crash_after = first;
            world.fail_after = second;
            run_to_end(&world, 4);
            expect_whole(&world, "crash, then lost reply", first * 1000 + second);
        }
}

/* Its key goes while what was sent of it is aborted: the next transaction asks the vault again. */
static void an_erasure_between_two_transactions_withholds(void **state) {
    (void)state;
    static struct world world;
    world_hard(&world);
    run_to_end(&world, 16);
    expect_whole(&world, "no fault", 0);
    assert_true(world.rows[7].keyless);
    assert_string_equal(world.rows[7].recorded, "withheld");
    assert_string_equal(world.rows[2].recorded, "withheld");
    assert_null(world.rows[8].recorded);
}

static void rows_added_meanwhile_come_through(void **state) {
    (void)state;
    static struct world world;
    world_plain(&world);
    run_to_end(&world, 4);
    for (int i = 0; i < 5; i++)
        world_add(&world, "disclosure.a.v1", "x");
    run_to_end(&world, 4);
    expect_whole(&world, "second run", 0);
    assert_int_equal(world.floor, world.last_value);
}

/* Asked to end when all is through, a standby ends with what the other relay settled, and not before. */
static void a_standby_sees_the_end(void **state) {
    (void)state;
    static struct world world;
    world_plain(&world);
    run_to_end(&world, 4);
    world.elsewhere = true;
    assert_int_equal(run_once(&world, 4), OK);
    world_add(&world, "disclosure.a.v1", "x");
    world.crash_before = world.calls + 50; /* it looks again and again */
    assert_int_not_equal(run_once(&world, 4), OK);
    assert_true(world.dead);
}

static void a_topic_that_stays_stalled_ends_it(void **state) {
    (void)state;
    static struct world world;
    world_plain(&world);
    world.denied = "disclosure.a.v1";
    world.denials = 1000000;
    assert_int_equal(run_once(&world, 4), FATAL);
    assert_false(world.dead);
}

static void the_judge_sees_duplicates(void **state) {
    (void)state;
    static struct world world;
    world_plain(&world);
    run_to_end(&world, 4);
    world.forgets_positions = true;
    world.mirror_count = 0;
    world.floor = 0;
    assert_int_equal(run_once(&world, 4), OK);
    assert_string_equal(world_check(&world), "a row is published twice");
}

/* ---- refusals ---- */

static void a_diverged_register_is_refused(void **state) {
    (void)state;
    static struct world world;
    world_plain(&world);
    run_to_end(&world, 4);
    memcpy(world.rows[9].row.row_id, "another one!", 12);
    assert_int_equal(run_once(&world, 4), FATAL);
    assert_int_equal(world.log_count, 10);
}

static void a_lost_position_is_refused(void **state) {
    (void)state;
    static struct world world;
    world_plain(&world);
    run_to_end(&world, 4);
    world.positions[0].seq = 1;
    memcpy(world.positions[0].row_id, world.rows[0].row.row_id, ROW_ID_BYTES);
    assert_int_equal(run_once(&world, 4), FATAL);
    world.position_count = 0;
    world.no_position_topic = true;
    assert_int_equal(run_once(&world, 4), FATAL);
}

/* ---- parts ---- */

static void positions_are_written_and_read(void **state) {
    (void)state;
    struct arena arena;
    struct err err;
    struct relay_marks marks = {NULL, 0, 0};
    struct relay_mark mark = {.topic = TEXT("t"), .seq = 17}, back = {.seq = 0};
    char value[POSITION_VALUE_BYTES];
    arena_init(&arena, 1 << 20);
    memset(mark.row_id, 0xAB, ROW_ID_BYTES);
    struct text written = position_write(&mark, value);
    assert_true(text_is(written, "{\"row_id\":\"abababababababababababababababab\",\"seq\":17}"));
    assert_int_equal(position_read(mark.topic, written, &arena, &back), OK);
    assert_int_equal(back.seq, 17);
    assert_memory_equal(back.row_id, mark.row_id, ROW_ID_BYTES);
    assert_int_equal(position_read(mark.topic, TEXT("{\"seq\":17}"), &arena, &back), POISON);
    assert_int_equal(position_read(mark.topic, TEXT("{\"row_id\":\"zz\",\"seq\":17}"), &arena, &back),
                     POISON);
    assert_int_equal(position_merge(&marks, mark.topic, written, &arena, &err), OK);
    assert_int_equal(position_merge(&marks, mark.topic, written, &arena, &err), OK);
    assert_int_equal(marks.count, 1);
    assert_int_equal(position_merge(&marks, TEXT("u"), TEXT("rubbish"), &arena, &err), FATAL);
    assert_int_equal(position_merge(&marks, mark.topic, TEXT_ABSENT, &arena, &err), OK);
    assert_int_equal(marks.count, 0);
    arena_release(&arena);
}

static void headers_are_packed_and_unpacked(void **state) {
    (void)state;
    struct arena arena;
    struct record_header headers[OUTBOX_HEADERS_MAX];
    arena_init(&arena, 1 << 20);
    struct text packed = outbox_headers_dead_letter(&arena, TEXT("shop.order.v1"), 2, 0x0102030405060708, 1);
    assert_int_equal(outbox_headers_unpack(packed, headers), 4);
    assert_true(text_is(headers[0].name, "kafka_dlt-original-topic"));
    assert_true(text_is(headers[0].value, "shop.order.v1"));
    assert_memory_equal(headers[1].value.at, "\0\0\0\2", 4);
    assert_memory_equal(headers[2].value.at, "\1\2\3\4\5\6\7\10", 8);
    for (size_t size = 0; size < packed.size; size++)
        assert_int_equal(outbox_headers_unpack((struct text){packed.at, size}, headers), -1);
    arena_release(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_crash_point_keeps_each_row_once),
        cmocka_unit_test(every_crash_point_with_refusals_keeps_each_row_once),
        cmocka_unit_test(two_faults_keep_each_row_once),
        cmocka_unit_test(an_erasure_between_two_transactions_withholds),
        cmocka_unit_test(rows_added_meanwhile_come_through),
        cmocka_unit_test(a_standby_sees_the_end),
        cmocka_unit_test(a_topic_that_stays_stalled_ends_it),
        cmocka_unit_test(the_judge_sees_duplicates),
        cmocka_unit_test(a_diverged_register_is_refused),
        cmocka_unit_test(a_lost_position_is_refused),
        cmocka_unit_test(positions_are_written_and_read),
        cmocka_unit_test(headers_are_packed_and_unpacked),
    };
    log_to(open("/dev/null", O_WRONLY | O_CLOEXEC));
    metrics_init(METRICS_PRODUCER, "test");
    ready_init(1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
