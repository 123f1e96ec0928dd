/* The topics over a real broker: assignments that follow one another faster than the client lets go of what
 * it read. Stands on a stack: $KUNDREGISTER_CONFIG; skipped without. Joins the consumers' group for a while.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "consumer/topic_kafka.h"
#include <stdio.h>
#include <stdlib.h>

#define ROUNDS 100
#define POLL_MS 20
#define JOIN_TURNS 1500

struct fixture {
    struct config config;
    struct policy *policy;
    struct topic_kafka *topics;
    struct arena arena;
    struct err err;
};

static int set_up(void **state) {
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    *state = fixture;
    if (!fixture || !getenv("KUNDREGISTER_CONFIG"))
        return fixture ? 0 : -1;
    arena_init(&fixture->arena, (size_t)1 << 20);
    struct config_options options = {.programs = CONFIG_CONSUMER};
    if (config_read(&fixture->config, &options, &fixture->err) != OK)
        return -1;
    fixture->policy = policy_read(fixture->config.policy_file, NULL, NULL, &fixture->err);
    return fixture->policy && topic_kafka_new(&fixture->topics, &fixture->config, fixture->policy,
                                              "topic-test", &fixture->err) == OK
               ? 0
               : -1;
}

static int tear_down(void **state) {
    struct fixture *fixture = *state;
    topic_kafka_free(fixture->topics);
    policy_free(fixture->policy);
    config_release(&fixture->config);
    arena_release(&fixture->arena);
    free(fixture);
    return 0;
}

/* One piece of news; records are let go at once. */
static enum topic_news poll_once(struct fixture *fixture) {
    struct topic_polled polled;
    assert_int_equal(topic_kafka_ops.poll(fixture->topics, POLL_MS, &polled, &fixture->err), OK);
    if (polled.news == TOPIC_RECORD)
        topic_kafka_ops.release(fixture->topics, polled.message);
    return polled.news;
}

static void await_partitions(struct fixture *fixture, struct topic_place **places, size_t *count) {
    *count = 0;
    for (int turns = 0; turns < JOIN_TURNS && !*count; turns++)
        if (poll_once(fixture) == TOPIC_REASSIGNED)
            assert_int_equal(
                topic_kafka_ops.assigned(fixture->topics, &fixture->arena, places, count, &fixture->err), OK);
    assert_true(*count > 0);
    for (size_t i = 0; i < *count; i++)
        (*places)[i].offset = 0;
}

/* Given partitions that are read, when the assignment changes again and again without a pause, as it does
 * when the register and the broker go at once, then the client lives (librdkafka's issue 5573: what is
 * removed twice before it has stopped ends the process). */
static void assignments_follow_at_once(void **state) {
    struct fixture *fixture = *state;
    struct topic_place *places;
    size_t count;
    if (!fixture->topics)
        skip();
    await_partitions(fixture, &places, &count);
    for (int round = 0; round < ROUNDS; round++) {
        assert_int_equal(topic_kafka_ops.assign(fixture->topics, places, count, &fixture->err), OK);
        for (int polls = 0; polls < round % 3; polls++)
            (void)poll_once(fixture);
        assert_int_equal(topic_kafka_ops.assign(fixture->topics, places, 0, &fixture->err), OK);
        assert_int_equal(topic_kafka_ops.assign(fixture->topics, places, count / 2, &fixture->err), OK);
        assert_int_equal(topic_kafka_ops.assign(fixture->topics, places, count, &fixture->err), OK);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(assignments_follow_at_once)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
