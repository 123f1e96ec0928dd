/* The consumer's loop (consumer/consume.c) over memory, with a failure at each of its calls that can fail:
 * in the end everything is in as if nothing had been, and no record was made a dead letter or parked for want
 * of memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/failures/failing.h"
#include "tests/failures/failing_sample.h"
#include "tests/failures/failing_seams.h"
#include "tests/unit/consume_sample.h"
#include "tests/unit/consume_world.h"
#include "tests/unit/memory_dump.h"
#include <stdio.h>
#include <stdlib.h>

static struct policy *policy;

static int setup(void **state) {
    (void)state;
    policy = world_policy();
    failing_behind = (struct failing_behind){
        .topics = &memory_topic_ops, .reg = &memory_register_ops, .vault = &memory_vault_ops};
    return 0;
}
static int teardown(void **state) {
    (void)state;
    policy_free(policy);
    return 0;
}

/* What is in before the failure, and what comes in with it. */
struct story {
    const char *area;
    void (*before)(struct memory_register *);
    void (*sample)(struct memory_register *);
    void (*sample_running)(struct world *);
    size_t batch_records;
    int64_t later_us;           /* after what is before */
    unsigned long times, steps; /* so many calls fail in a row, and only every steps-th call is tried */
};

static void world_make(struct world *world, const struct story *story) {
    world_empty(world, policy, 0);
    world->topic_ops = &failing_topics;
    world->reg_ops = &failing_register;
    world->vault_ops = &failing_vault;
    if (story->before) {
        story->before(&world->memory);
        world_run(world, 100);
    }
    if (story->sample)
        story->sample(&world->memory);
    if (story->sample_running)
        story->sample_running(world);
    world_stop(world);
    world->memory.now_us += story->later_us;
}

/* The loop goes on from here, the process being started. */
static void go_on(struct world *world, const struct story *story) {
    struct err err;
    world_stop(world);
    world_start(world, story->batch_records);
    if (world_turn_through(world, &err) != OK)
        fail_msg("%s failed at %lu; afterwards: %s", failing_what(), failing_calls(), err.text);
}

/* The loop once through, with a failure at a call; where that ends the process, its supervisor starts it
 * again. */
static bool run_failing(struct world *world, const struct story *story, unsigned long at) {
    struct err err;
    world_start(world, story->batch_records);
    failing_arm_for(FAILING_MEMORY, at, story->times ? story->times : 1);
    enum outcome outcome = world_turn_through(world, &err);
    bool reached = failing_disarm();
    if (outcome != OK && (!reached || outcome != FATAL))
        fail_msg("%s failed at %lu: %s", failing_what(), at, err.text);
    if (outcome != OK) {
        failing_ended();
        go_on(world, story);
    }
    return reached;
}

/* Every output as it was written: of records taken in one by one these are the same, whatever failed, for no
 * transaction is cut otherwise than undisturbed. */
static struct text exact_of(const struct world *world, const struct story *story, struct arena *arena) {
    const struct memory_register *memory = &world->memory;
    return story->batch_records == 1 ? memory_sorted(arena, memory->outputs.at, memory->outputs.count)
                                     : TEXT("");
}

static struct world_result run_undisturbed(struct world *world, const struct story *story,
                                           struct arena *arena, struct text *exact) {
    world_make(world, story);
    run_failing(world, story, 0);
    struct world_result result = world_result(world, arena);
    *exact = arena_text(arena, exact_of(world, story, arena));
    world_release(world);
    return result;
}

static void expect_same(struct text is, struct text was, const char *what, unsigned long at) {
    if (!text_equal(is, was))
        fail_msg("%s failed at %lu: other %s:\n%.*sthan\n%.*s", failing_what(), at, what, TEXT_ARGS(is),
                 TEXT_ARGS(was));
}

static void expect_results(struct world *world, struct arena *arena, const struct world_result *undisturbed,
                           unsigned long at) {
    struct world_result result = world_result(world, arena);
    expect_same(result.dump, undisturbed->dump, "dump", at);
    expect_same(result.outputs, undisturbed->outputs, "outputs", at);
    expect_same(result.dead_letters, undisturbed->dead_letters, "dead letters", at);
}

static void any_failure(const struct story *story) {
    struct arena kept, arena;
    struct world *world = calloc(1, sizeof *world);
    bool reached = true;
    arena_init(&kept, (size_t)1 << 26);
    arena_init(&arena, (size_t)1 << 26);
    struct text exact;
    struct world_result undisturbed = run_undisturbed(world, story, &kept, &exact);
    for (unsigned long at = 1; reached; at += story->steps ? story->steps : 1) {
        world_make(world, story);
        reached = run_failing(world, story, at);
        expect_results(world, &arena, &undisturbed, at);
        expect_same(exact_of(world, story, &arena), exact, "exact outputs", at);
        world_release(world);
        arena_reset(&arena);
    }
    arena_release(&arena);
    arena_release(&kept);
    free(world);
    failing_tell(story->area);
    assert_false(failing_leaked());
}

/* ---- memory ---- */

static void test_beginning(void **state) {
    struct world *world = calloc(1, sizeof *world);
    bool reached = true;
    (void)state;
    world_empty(world, policy, 0);
    for (unsigned long at = 1; reached; at++) {
        struct err err;
        failing_arm(FAILING_MEMORY, at);
        enum outcome outcome = world_begin(world, 100, &err);
        reached = failing_disarm();
        assert_int_equal(outcome, reached ? RETRY : OK);
        world_stop(world);
    }
    world_release(world);
    free(world);
    failing_tell("loop, beginning");
    assert_false(failing_leaked());
}

static void test_in_one_batch(void **state) {
    (void)state;
    any_failure(&(struct story){.area = "loop, one batch", .sample = sample_all, .batch_records = 100});
}
static void test_in_single_records(void **state) {
    (void)state;
    any_failure(&(struct story){.area = "loop, single records", .sample = sample_all, .batch_records = 1});
}
static void test_among_consents(void **state) {
    (void)state;
    any_failure(&(struct story){.area = "loop, consents", .sample = sample_consents, .batch_records = 100});
    any_failure(
        &(struct story){.area = "loop, consents one by one", .sample = sample_consents, .batch_records = 1});
}
static void test_among_erasures(void **state) {
    (void)state;
    any_failure(&(struct story){.area = "loop, erasures", .sample = sample_erasures, .batch_records = 100});
    any_failure(&(struct story){.area = "loop, erasures one by one",
                                .before = sample_consents,
                                .sample = sample_erasures,
                                .batch_records = 1});
}

static const struct story every_type = {
    .area = "loop, every type", .before = sample_all, .sample_running = sample_every, .batch_records = 100};
static const struct story every_type_alone = {.area = "loop, every type by itself",
                                              .before = sample_all,
                                              .sample_running = sample_every,
                                              .batch_records = 1};

static void test_with_every_type(void **state) {
    (void)state;
    any_failure(&every_type);
    any_failure(&every_type_alone);
}

/* Memory stays short for a while. */
static void test_for_a_while(void **state) {
    struct story story = every_type;
    (void)state;
    story.area = "loop, every type, a while";
    story.times = 40;
    story.steps = 3;
    any_failure(&story);
}

/* ---- the calendar ---- */

static void sample_parked(struct memory_register *memory) {
    char id[16], time[32];
    for (int i = 0; i < 205; i++) { /* some more than one event brings along */
        snprintf(id, sizeof id, "t%d", i);
        snprintf(time, sizeof time, "2026-05-12T10:%02d:%02dZ", i / 60, i % 60);
        sample_status(memory, id, time, "in_transit");
    }
}

static void test_what_is_left_over(void **state) {
    (void)state;
    any_failure(&(struct story){.area = "calendar, left over",
                                .before = sample_parked,
                                .sample = sample_order_and_shipment,
                                .batch_records = 100,
                                .steps = 29});
}

static void sample_one_parked(struct memory_register *memory) {
    sample_status(memory, "t1", "2026-05-12T10:00:00Z", "in_transit");
    sample_status(memory, "t2", "2026-05-13T10:00:00Z", "delivered");
}

static void test_what_expires(void **state) {
    (void)state;
    any_failure(&(struct story){.area = "calendar, expired",
                                .before = sample_one_parked,
                                .batch_records = 100,
                                .later_us = INT64_C(31) * 86400 * 1000000});
}

/* ---- what does not open, what does not fit ---- */

/* What parked partitions give as their reason, each of these; they are accepted, as an operator does. */
static size_t accept_parked(struct world *world, const char *const *reasons) {
    size_t parked = 0;
    for (size_t i = 0; i < world->memory.positions.count; i++) {
        struct memory_position *position = &world->memory.positions.at[i];
        bool known = !position->parked[0];
        for (const char *const *reason = reasons; *reason; reason++)
            known |= strcmp(position->parked, *reason) == 0;
        if (!known)
            fail_msg("%s failed at %lu: parked for %s", failing_what(), failing_calls(), position->parked);
        parked += position->parked[0] != '\0';
        position->parked[0] = '\0';
    }
    return parked;
}

static void turn_some(struct world *world, int turns) {
    struct err err;
    for (int turn = 0; turn < turns && !world_through(world); turn++)
        if (consume_turn(&world->consumer, 100, &err) != OK)
            fail_msg("%s failed at %lu: %s", failing_what(), failing_calls(), err.text);
}

/* Given a cell or a ring that looks damaged once, then no record is lost for it and nothing parks: it is
 * looked at once more. */
static void any_opening(const struct story *story, const char *area) {
    static const char *const reasons[] = {"damaged_row", "damaged_ring", "missing_key", NULL};
    struct arena kept, arena;
    struct world *world = calloc(1, sizeof *world);
    arena_init(&kept, (size_t)1 << 26);
    arena_init(&arena, (size_t)1 << 26);
    struct text exact;
    struct world_result undisturbed = run_undisturbed(world, story, &kept, &exact);
    bool reached = true;
    for (unsigned long at = 1; reached; at++) {
        world_make(world, story);
        world_start(world, story->batch_records);
        failing_arm(FAILING_OPENS, at);
        turn_some(world, 150);
        reached = failing_disarm();
        assert_int_equal(accept_parked(world, reasons), 0);
        go_on(world, story);
        expect_results(world, &arena, &undisturbed, at);
        world_release(world);
        arena_reset(&arena);
    }
    arena_release(&arena);
    arena_release(&kept);
    free(world);
    failing_tell(area);
    assert_false(failing_leaked());
}

static void test_openings(void **state) {
    struct story story = {.before = sample_all, .sample = sample_erasures, .batch_records = 1};
    (void)state;
    any_opening(&story, "loop, what does not open, one by one");
    story.batch_records = 100;
    any_opening(&story, "loop, what does not open");
}

/* Given an arena of any size, then a record that does not fit parks its partition, and nothing else happens;
 * with more memory everything is as it would have been. */
static void test_any_limit(void **state) {
    static const char *const reasons[] = {"too_large_for_memory", NULL};
    const struct story *story = &every_type;
    struct arena kept, arena, room;
    struct world *world = calloc(1, sizeof *world);
    size_t limits = 0, parked_at = 0;
    bool fits = false;
    (void)state;
    arena_init(&kept, (size_t)1 << 26);
    arena_init(&arena, (size_t)1 << 26);
    arena_init(&room, (size_t)1 << 26);
    failing_behind.room = &room;
    struct text exact;
    struct world_result undisturbed = run_undisturbed(world, story, &kept, &exact);
    for (size_t limit = 500; !fits; limit += limit / 10, limits++) {
        world_make(world, story);
        world->arena_bytes = limit;
        world_start(world, story->batch_records);
        turn_some(world, 150);
        size_t parked = accept_parked(world, reasons);
        parked_at += parked > 0;
        fits = parked == 0 && world_through(world);
        world->arena_bytes = 0;
        go_on(world, story);
        expect_results(world, &arena, &undisturbed, limit);
        world_release(world);
        arena_reset(&arena);
        arena_reset(&room);
    }
    assert_true(parked_at > 5);
    failing_behind.room = NULL;
    arena_release(&room);
    arena_release(&arena);
    arena_release(&kept);
    free(world);
    printf("# loop, full arenas: %zu limits\n", limits);
    assert_false(failing_leaked());
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_beginning),         cmocka_unit_test(test_in_one_batch),
        cmocka_unit_test(test_in_single_records), cmocka_unit_test(test_among_consents),
        cmocka_unit_test(test_among_erasures),    cmocka_unit_test(test_with_every_type),
        cmocka_unit_test(test_for_a_while),       cmocka_unit_test(test_what_is_left_over),
        cmocka_unit_test(test_what_expires),      cmocka_unit_test(test_openings),
        cmocka_unit_test(test_any_limit),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
