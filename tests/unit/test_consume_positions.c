/* The consumer's loop (consumer/consume.c) and its positions: what parks, what does not, what somebody else
 * at the same positions does, and what /readyz says of all that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/consume_sample.h"
#include "tests/unit/consume_world.h"
#include <stdio.h>
#include <stdlib.h>

static struct policy *policy;

static int setup(void **state) {
    (void)state;
    policy = world_policy();
    return 0;
}
static int teardown(void **state) {
    (void)state;
    policy_free(policy);
    return 0;
}

/* Given a position whose last record is another one now, when the partition is claimed, then it parks and
 * nothing is taken in; the other partitions go on. */
static void test_other_record_parks(void **state) {
    struct world *world = calloc(1, sizeof *world);
    struct err err;
    char reason[200];
    (void)state;
    world_empty(world, policy, 0);
    sample_all(&world->memory);
    world_run(world, 100);
    size_t persons = world->memory.persons.count;
    world_stop(world);
    memory_position(&world->memory, "shop.order.v1")->row.fingerprint.hash[0] ^= 1;
    memory_position(&world->memory, "shop.customer.v1")->row.next = 9;
    world_start(world, 100);
    for (int turns = 0; turns < 50; turns++)
        assert_int_equal(consume_turn(&world->consumer, 100, &err), OK);
    assert_string_equal(memory_position(&world->memory, "shop.order.v1")->parked, "fingerprint");
    assert_string_equal(memory_position(&world->memory, "shop.customer.v1")->parked, "out_of_range");
    assert_string_equal(memory_position(&world->memory, "shop.shipment.v1")->parked, "");
    assert_false(consumer_ready(&world->consumer, reason, sizeof reason));
    assert_non_null(strstr(reason, "kundregister consumer position accept"));
    assert_int_equal(world->memory.persons.count, persons);
    world_release(world);
    free(world);
}

/* Given that Kafka's retention has passed a position, when the partition is claimed, then it parks as a gap
 * and what is left is not taken in. */
static void test_gap_parks(void **state) {
    struct world *world = calloc(1, sizeof *world);
    struct err err;
    (void)state;
    world_empty(world, policy, 0);
    sample_all(&world->memory);
    world_run(world, 100);
    world_stop(world);
    struct memory_position *position = memory_position(&world->memory, "shop.order.v1");
    int64_t next = position->row.next;
    size_t orders = world->memory.orders.count;
    position->start = ++position->end; /* one that nobody saw, and one behind it */
    memory_register_publish(&world->memory, "shop.order.v1", "c9", "shop.order.cancelled", "o9",
                            "2026-05-15T10:00:00Z", "{\"order_id\":\"o9\",\"customer_id\":\"c9\"}");
    world_start(world, 100);
    for (int turns = 0; turns < 50; turns++)
        assert_int_equal(consume_turn(&world->consumer, 100, &err), OK);
    position = memory_position(&world->memory, "shop.order.v1");
    assert_string_equal(position->parked, "gap");
    assert_int_equal(position->row.next, next);
    assert_int_equal(world->memory.orders.count, orders);
    assert_string_equal(memory_position(&world->memory, "shop.customer.v1")->parked, "");
    world_release(world);
    free(world);
}

/* Given a machine whose clock was set back while the process was down, then its `now` is not below what the
 * positions have seen. */
static void test_now_never_decreases(void **state) {
    struct world *world = calloc(1, sizeof *world);
    (void)state;
    world_empty(world, policy, 0);
    sample_order_and_shipment(&world->memory);
    world_run(world, 100);
    world_stop(world);
    int64_t decided_us = memory_position(&world->memory, "shop.order.v1")->row.decided_us;
    memory_register_publish(&world->memory, "shop.order.v1", "c9", "shop.order.cancelled", "o9",
                            "2026-05-15T10:00:00Z", "{\"order_id\":\"o9\",\"customer_id\":\"c9\"}");
    world->memory.now_us -= INT64_C(3600) * 1000000;
    world_run(world, 100);
    assert_true(world->consumer.last_now_us >= decided_us);
    world_release(world);
    free(world);
}

/* Given a person whose key ring is gone, when an event needs a stored cell of theirs, then that partition
 * parks. */
static void test_missing_ring_parks(void **state) {
    struct world *world = calloc(1, sizeof *world);
    struct err err;
    (void)state;
    world_empty(world, policy, 0);
    sample_all(&world->memory);
    world_run(world, 100);
    world_stop(world);
    memory_vault_destroy(&world->vault, TEXT("c1"), GENERATION_FIRST);
    memory_register_publish(&world->memory, "shop.customer.v1", "c1", "shop.customer.changed", "r9",
                            "2026-05-15T10:00:00Z",
                            "{\"customer_id\":\"c1\",\"contact\":{\"first_name\":\"Eva\"}}");
    world_start(world, 100);
    for (int turns = 0; turns < 50; turns++)
        assert_int_equal(consume_turn(&world->consumer, 100, &err), OK);
    assert_string_equal(memory_position(&world->memory, "shop.customer.v1")->parked, "missing_key");
    assert_string_equal(memory_position(&world->memory, "shop.order.v1")->parked, "");
    world_release(world);
    free(world);
}

/* Given a register from before the last of an erased person's keys went, when what closes his parcel is read
 * again, then what the vault has destroyed is empty and nothing parks. */
static void test_destroyed_since_parks_nothing(void **state) {
    struct world *world = calloc(1, sizeof *world);
    struct err err;
    (void)state;
    world_empty(world, policy, 0);
    sample_erasures(&world->memory);
    world_run(world, 100);
    world_stop(world);
    memory_vault_destroy(&world->vault, TEXT("recipient:r1"), GENERATION_FIRST);
    memory_register_publish(&world->memory, "shop.shipment.v1", "c1", "shop.shipment.cancelled", "x9",
                            "2026-05-17T10:00:00Z",
                            "{\"shipment_id\":\"s3\",\"order_id\":\"o1\",\"customer_id\":\"c1\"}");
    world_start(world, 100);
    assert_int_equal(world_turn_through(world, &err), OK);
    assert_string_equal(memory_position(&world->memory, "shop.shipment.v1")->parked, "");
    world_release(world);
    free(world);
}

/* The vault as a worker meets it whose rows are of before an erasure: it lacks their keys, and what it is
 * asked for after that, once the rows are read anew, it has. */
static int fetches_too_late;
static enum outcome late_fetch(void *vault, struct arena *arena, struct ring_row *rows, size_t count,
                               struct err *err) {
    enum outcome outcome = memory_vault_ops.fetch(vault, arena, rows, count, err);
    for (size_t i = 0; fetches_too_late > 0 && i < count; i++)
        rows[i] = (struct ring_row){.person = rows[i].person, .generation = rows[i].generation};
    fetches_too_late -= fetches_too_late > 0;
    return outcome;
}

/* Given a worker that stood still between its load and the keys while another erased the person, when it goes
 * on, then it looks once more and nothing parks. */
static void test_a_late_look_parks_nothing(void **state) {
    struct world *world = calloc(1, sizeof *world);
    struct vault_ops ops = memory_vault_ops;
    struct err err;
    (void)state;
    ops.fetch = late_fetch;
    world_empty(world, policy, 0);
    world->vault_ops = &ops;
    sample_all(&world->memory);
    world_run(world, 100);
    world_stop(world);
    memory_register_publish(&world->memory, "shop.customer.v1", "c1", "shop.customer.changed", "r9",
                            "2026-05-15T10:00:00Z",
                            "{\"customer_id\":\"c1\",\"contact\":{\"first_name\":\"Eva\"}}");
    world_start(world, 100);
    fetches_too_late = 2; /* the ring, and once more for the key that it lacks */
    assert_int_equal(world_turn_through(world, &err), OK);
    assert_int_equal(fetches_too_late, 0);
    assert_string_equal(memory_position(&world->memory, "shop.customer.v1")->parked, "");
    world_release(world);
    free(world);
}

/* Given a record that was fetched before the last assign, when the fingerprint is awaited, then it is not
 * taken for the fingerprint's. */
static void test_stale_record_parks_nothing(void **state) {
    struct world *world = calloc(1, sizeof *world);
    struct err err;
    (void)state;
    world_empty(world, policy, 0);
    sample_all(&world->memory);
    world_run(world, 100);
    world_stop(world);
    world_start(world, 100);
    world->memory.stale = "shop.order.v1";
    for (int turns = 0; turns < 50; turns++)
        assert_int_equal(consume_turn(&world->consumer, 100, &err), OK);
    assert_null(world->memory.stale);
    assert_string_equal(memory_position(&world->memory, "shop.order.v1")->parked, "");
    assert_true(consumer_caught_up(&world->consumer));
    world_release(world);
    free(world);
}

/* ---- somebody else at the same positions ---- */

/* Another worker takes all partitions over and brings in what there is. */
static void other_worker(void *context) {
    struct world *world = context;
    struct consumer mine = world->consumer;
    struct keyring *keyring = world->keyring;
    struct memory_register *snapshot = world->memory.snapshot;
    struct err err;
    world_start(world, 100);
    assert_int_equal(world_turn_through(world, &err), OK);
    world_stop(world);
    world->memory.snapshot = snapshot;
    world->consumer = mine;
    world->keyring = keyring;
    world->running = true;
}

static void publish_and_take_in(void *context) {
    struct world *world = context;
    sample_status(&world->memory, "t8", "2026-05-15T10:00:00Z", "in_transit");
    other_worker(context);
}

/* Given a worker that has looked where a log ends, when another one reads on before the partition is claimed,
 * then it is not taken for out of range. */
static void test_read_on_before_a_claim(void **state) {
    struct world *world = calloc(1, sizeof *world);
    struct err err;
    (void)state;
    world_empty(world, policy, 0);
    sample_all(&world->memory);
    world_run(world, 100);
    world_stop(world);
    world->memory.meanwhile = publish_and_take_in;
    world->memory.meanwhile_context = world;
    world->memory.meanwhile_in = MEANWHILE_WATERMARKS;
    world_start(world, 100);
    assert_int_equal(world_turn_through(world, &err), OK);
    assert_null(world->memory.meanwhile);
    for (size_t i = 0; i < world->memory.positions.count; i++)
        assert_string_equal(world->memory.positions.at[i].parked, "");
    world_release(world);
    free(world);
}

/* Given a batch that has read a person, when another worker commits a consent of his before his consents are
 * read, then it does not see that, and is done again because of its guard. */
static void test_consent_between_two_reads(void **state) {
    struct arena arena;
    struct text dumps[2];
    (void)state;
    arena_init(&arena, (size_t)1 << 26);
    for (int disturbed = 0; disturbed < 2; disturbed++) {
        struct world *world = calloc(1, sizeof *world);
        struct err err;
        world_empty(world, policy, 0);
        sample_consents(&world->memory);
        world_run(world, 100);
        world_stop(world);
        memory_register_publish(&world->memory, "shop.customer.v1", "c1", "shop.customer.changed", "r9",
                                "2026-05-15T10:00:00Z",
                                "{\"customer_id\":\"c1\",\"contact\":{\"email\":\"eva@example.fi\"}}");
        memory_register_publish(&world->memory, "shop.consent.v1", "c1", "shop.consent.objected", "o9",
                                "2026-05-16T10:00:00Z",
                                "{\"customer_id\":\"c1\",\"method\":\"customer_service\"}");
        world->memory.meanwhile = disturbed ? other_worker : NULL;
        world->memory.meanwhile_context = world;
        world->memory.meanwhile_in = MEANWHILE_READ;
        world_start(world, 1);
        assert_int_equal(world_turn_through(world, &err), OK);
        assert_null(world->memory.meanwhile);
        dumps[disturbed] = world_result(world, &arena).dump;
        world_release(world);
        free(world);
    }
    assert_true(text_equal(dumps[0], dumps[1]));
    arena_release(&arena);
}

/* ---- what /readyz says ---- */

static void expect_reason(struct world *world, const char *code) {
    struct err err;
    char reason[200];
    for (int turns = 0; turns < 200; turns++) {
        assert_int_equal(consume_turn(&world->consumer, 100, &err), OK);
        assert_false(consumer_ready(&world->consumer, reason, sizeof reason));
        if (turns > 100 && strncmp(reason, code, strlen(code)) != 0)
            fail_msg("turn %d: %s", turns, reason);
    }
}

/* Given that the register, or Kafka, is away, then /readyz says so all the time, in the backoffs too; and no
 * longer once it is back. */
static void test_reason_of_an_outage(void **state) {
    struct world *world = calloc(1, sizeof *world);
    struct err err;
    char reason[200];
    (void)state;
    world_empty(world, policy, 0);
    sample_all(&world->memory);
    world->memory.register_away = true;
    world_start(world, 100);
    expect_reason(world, "register_away");
    world->memory.register_away = false;
    world->memory.broker_away = true;
    expect_reason(world, "broker_away");
    world->memory.broker_away = false;
    for (int turns = 0; turns < 100; turns++)
        assert_int_equal(consume_turn(&world->consumer, 100, &err), OK);
    assert_true(consumer_ready(&world->consumer, reason, sizeof reason));
    world_release(world);
    free(world);
}

/* Given a worker that the group gives nothing, when the register was away and is back, then it is ready:
 * nothing that it does would tell it so. */
static void test_idle_worker_is_ready_again(void **state) {
    struct world *world = calloc(1, sizeof *world);
    struct err err;
    char reason[200];
    (void)state;
    world_empty(world, policy, 0);
    sample_all(&world->memory);
    world->memory.register_away = true;
    world_start(world, 100);
    expect_reason(world, "register_away");
    world->memory.idle = world->memory.reassigned = true;
    expect_reason(world, "register_away");
    world->memory.register_away = false;
    for (int turns = 0; turns < 100; turns++)
        assert_int_equal(consume_turn(&world->consumer, 100, &err), OK);
    if (!consumer_ready(&world->consumer, reason, sizeof reason))
        fail_msg("%s", reason);
    world_release(world);
    free(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_other_record_parks),
        cmocka_unit_test(test_gap_parks),
        cmocka_unit_test(test_now_never_decreases),
        cmocka_unit_test(test_missing_ring_parks),
        cmocka_unit_test(test_a_late_look_parks_nothing),
        cmocka_unit_test(test_destroyed_since_parks_nothing),
        cmocka_unit_test(test_stale_record_parks_nothing),
        cmocka_unit_test(test_read_on_before_a_claim),
        cmocka_unit_test(test_consent_between_two_reads),
        cmocka_unit_test(test_reason_of_an_outage),
        cmocka_unit_test(test_idle_worker_is_ready_again),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
