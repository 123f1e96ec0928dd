/* decode_record, with a failure at each of its calls that can fail, for a record of every event type: it says
 * RETRY, or just what it says undisturbed; and undisturbed it says that again afterwards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "consumer/contact_hash.h"
#include "tests/failures/failing.h"
#include "tests/failures/failing_sample.h"
#include "tests/unit/consume_sample.h"
#include <stdio.h>
#include <stdlib.h>

static const uint8_t key[32] = {2};
static struct policy *policy;
static struct decoder decoder;
static struct arena arena;

/* What decode made of a record. Texts of two events made in the same arena lie in the same places. */
struct said {
    enum outcome outcome;
    struct event event;
    struct refusal refusal;
    uint32_t unknown_fields;
    char texts[512]; /* of the event, those that hash and normalise */
};

static void decode(const struct record *record, struct said *said) {
    memset(said, 0, sizeof *said);
    arena_reset(&arena);
    said->outcome =
        decode_record(record, &decoder, &arena, &said->event, &said->refusal, &said->unknown_fields);
    if (said->outcome == OK && said->refusal.reason == REASON_NONE)
        said->outcome = contact_hash_event(key, &said->event, &arena);
}

static void texts_write(struct said *said) {
    const struct event *event = &said->event;
    bool customer = event->type == CUSTOMER_REGISTERED || event->type == CUSTOMER_CHANGED;
    if (said->refusal.reason != REASON_NONE)
        return;
    snprintf(said->texts, sizeof said->texts, "%.*s %.*s %.*s %.*s %.*s", TEXT_ARGS(event->version.source),
             TEXT_ARGS(event->version.id), TEXT_ARGS(event->customer_id),
             TEXT_ARGS(customer ? event->as.customer.email_hash : TEXT_ABSENT),
             TEXT_ARGS(customer ? event->as.customer.contact.field[FIRST_NAME] : TEXT_ABSENT));
}

static void expect_same(const struct said *is, const struct said *was, unsigned long at) {
    if (is->outcome != OK || is->refusal.reason != was->refusal.reason ||
        is->unknown_fields != was->unknown_fields || strcmp(is->refusal.detail, was->refusal.detail) != 0 ||
        strcmp(is->texts, was->texts) != 0 || memcmp(&is->event, &was->event, sizeof is->event) != 0)
        fail_msg("%s failed at %lu: outcome %s, reason %s", failing_what(), at, outcome_name(is->outcome),
                 reason_names[is->refusal.reason]);
}

static void any_failure(const struct record *record) {
    struct said undisturbed, said;
    bool reached = true;
    decode(record, &undisturbed);
    texts_write(&undisturbed);
    assert_int_equal(undisturbed.outcome, OK);
    for (unsigned long at = 1; reached; at++) {
        decoder_release(&decoder); /* what has grown once would not ask for memory again */
        assert_int_equal(decoder_init(&decoder, policy, key), OK);
        failing_arm(FAILING_MEMORY, at);
        decode(record, &said);
        reached = failing_disarm();
        if (said.outcome != RETRY || !reached) {
            texts_write(&said);
            expect_same(&said, &undisturbed, at);
        }
        decode(record, &said);
        texts_write(&said);
        expect_same(&said, &undisturbed, at);
    }
}

static int setup(void **state) {
    (void)state;
    policy = world_policy();
    arena_init(&arena, (size_t)1 << 24);
    return decoder_init(&decoder, policy, key) == OK ? 0 : -1;
}
static int teardown(void **state) {
    (void)state;
    decoder_release(&decoder);
    arena_release(&arena);
    policy_free(policy);
    return 0;
}

static void test_every_type(void **state) {
    struct world *world = calloc(1, sizeof *world);
    (void)state;
    world_empty(world, policy, 0);
    sample_all(&world->memory);
    world_start(world, 100);
    sample_every(world);
    bool seen[EVENT_INPUT_TYPES] = {false};
    for (size_t i = 0; i < world->memory.records.count; i++) {
        struct record record;
        struct said said;
        assert_int_equal(memory_topic_ops.view(&world->memory, &world->memory.records.at[i], &arena, &record),
                         OK);
        any_failure(&record);
        decode(&record, &said);
        seen[said.event.type] |= said.refusal.reason == REASON_NONE;
    }
    for (int type = 0; type < EVENT_INPUT_TYPES; type++)
        if (event_infos[type].built)
            assert_true(seen[type]);
    world_release(world);
    free(world);
    failing_tell("decode");
    assert_false(failing_leaked());
}

/* Binary mode, with so many headers that their names are sorted. */
static void test_many_headers(void **state) {
    enum { MANY = 40 };
    struct record_header headers[MANY] = {{TEXT("ce_specversion"), TEXT("1.0")},
                                          {TEXT("ce_id"), TEXT("e\u0301")},
                                          {TEXT("ce_source"), TEXT("urn:shop")},
                                          {TEXT("ce_type"), TEXT("shop.customer.seen.v1")},
                                          {TEXT("ce_time"), TEXT("2026-05-01T12:00:00Z")}};
    static char names[MANY][20];
    (void)state;
    for (int i = 5; i < MANY; i++) {
        snprintf(names[i], sizeof names[i], "ce_more%d", i);
        headers[i] = (struct record_header){text_of(names[i]), TEXT("x")};
    }
    const struct record record = {.topic = TEXT("shop.customer.v1"),
                                  .timestamp_ms = INT64_C(1793534400000),
                                  .key = TEXT("C1"),
                                  .value = TEXT("{\"customer_id\":\"C1\"}"),
                                  .headers = headers,
                                  .header_count = MANY};
    any_failure(&record);
    headers[7].name = headers[6].name;
    any_failure(&record); /* refused: a header is there twice */
    failing_tell("decode, many headers");
    assert_false(failing_leaked());
}

/* An order of many lines: arrays that grow, a canonical text past its first buffer. */
static void test_large_order(void **state) {
    enum { LINES = 120 };
    static char value[LINES * 100 + 500];
    const struct record_header content_type = {TEXT("content-type"), TEXT("application/cloudevents+json")};
    size_t size = (size_t)snprintf(
        value, sizeof value,
        "{\"specversion\":\"1.0\",\"id\":\"e1\",\"source\":\"urn:shop\",\"type\":\"shop.order.placed.v1\","
        "\"time\":\"2026-05-01T12:00:00Z\",\"data\":{\"order_id\":\"O1\",\"customer_id\":\"C1\",\"guest\":"
        "false,\"currency\":\"EUR\",\"total\":100,\"lines\":[");
    (void)state;
    for (int i = 0; i < LINES; i++)
        size += (size_t)snprintf(value + size, sizeof value - size,
                                 "%s{\"sku\":\"s%d\",\"quantity\":1,\"price\":100,\"name\":\"Ma\u0308rke\"}",
                                 i ? "," : "", i);
    size += (size_t)snprintf(value + size, sizeof value - size, "]}}");
    const struct record record = {.topic = TEXT("shop.order.v1"),
                                  .timestamp_ms = INT64_C(1793534400000),
                                  .key = TEXT("C1"),
                                  .value = {value, size},
                                  .headers = &content_type,
                                  .header_count = 1};
    any_failure(&record);
    failing_tell("decode, many lines");
    assert_false(failing_leaked());
}

/* The decoder itself, and the sealer and writer beside it. */
static void test_beginning(void **state) {
    bool reached = true;
    (void)state;
    for (unsigned long at = 1; reached; at++) {
        struct decoder made;
        failing_arm(FAILING_MEMORY, at);
        enum outcome outcome = decoder_init(&made, policy, key);
        reached = failing_disarm();
        assert_int_equal(outcome, reached ? RETRY : OK);
        decoder_release(&made);
    }
    failing_tell("decode, beginning");
    assert_false(failing_leaked());
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_type),
        cmocka_unit_test(test_many_headers),
        cmocka_unit_test(test_large_order),
        cmocka_unit_test(test_beginning),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
