/* The consumer's loop (consumer/consume.c) over memory: whatever breaks at whichever call of a seam, in the
 * end each event counts once: the dump and the outputs are those of the undisturbed run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/metrics.h"
#include "core/seal.h"
#include "tests/unit/consume_sample.h"
#include "tests/unit/consume_world.h"
#include "tests/unit/memory_dump.h"
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

static void assert_same(struct text is, struct text was, const char *what, enum memory_fault fault,
                        unsigned long at) {
    if (!text_equal(is, was))
        fail_msg("fault %d at call %lu: other %s:\n%.*sthan\n%.*s", (int)fault, at, what, TEXT_ARGS(is),
                 TEXT_ARGS(was));
}

static int by_ring(const void *a, const void *b) {
    const struct key_doom *one = a, *two = b;
    int order = text_compare(one->person, two->person);
    order = order ? order : (one->generation > two->generation) - (one->generation < two->generation);
    return order ? order : (int)one->category - (int)two->category;
}

static bool row_opens(struct world *world, struct arena *arena, const struct row_unpublished *row) {
    struct seal_place place = {"outbox", "body", row->person, row->row_id, row->generation};
    struct key_want want = {.person = row->person, .generation = row->generation};
    struct seal_key key;
    struct text plain;
    struct err err;
    assert_int_equal(keyring_load(world->keyring, arena, &want, 1, 0, &err), OK);
    return keyring_sealed_transit(world->keyring, row->person, row->generation, row->category, row->body,
                                  &key) &&
           open_cell(&key, &place, row->body, arena, &plain, &err) == OK;
}

/* When the vault has destroyed what was doomed, all that the register holds opens still, and of the outbox
 * just what is not erased. */
static void assert_destroyed(struct world *world, struct arena *arena, struct text dump,
                             enum memory_fault fault, unsigned long at) {
    struct memory_register *memory = &world->memory;
    struct err err;
    int64_t counter;
    if (!memory->doomed.count)
        return;
    qsort(memory->doomed.at, memory->doomed.count, sizeof *memory->doomed.at, by_ring);
    assert_int_equal(keyring_destroy(world->keyring, arena, memory->doomed.at, memory->doomed.count, NULL, 0,
                                     &counter, &err),
                     OK);
    assert_same(memory_dump(memory, world->keyring, policy, arena), dump, "dump afterwards", fault, at);
    for (size_t i = 0; i < memory->outbox.count; i++) {
        const struct row_unpublished *row = &memory->outbox.at[i];
        if (row->category == CATEGORY_DELIVERY)
            assert_int_equal(row_opens(world, arena, row), text_is(row->shipment_id, "s3"));
    }
}

static void any_fault_at_any_call(void (*sample)(struct memory_register *), size_t batch_records) {
    struct arena arena;
    struct world *world = calloc(1, sizeof *world);
    arena_init(&arena, (size_t)1 << 28);
    world_empty(world, policy, 0);
    sample(&world->memory);
    world_run(world, batch_records);
    struct world_result undisturbed = world_result(world, &arena);
    world_release(world);
    assert_true(undisturbed.dump.size > 0 && undisturbed.outputs.size > 0);
    for (int fault = FAULT_CRASH_BEFORE; fault < MEMORY_FAULTS; fault++)
        for (unsigned long at = 1; at <= undisturbed.calls; at++) {
            world_empty(world, policy, 0);
            sample(&world->memory);
            world->memory.fault = (enum memory_fault)fault;
            world->memory.fault_at = at;
            world_run(world, batch_records);
            struct world_result disturbed = world_result(world, &arena);
            assert_same(disturbed.dump, undisturbed.dump, "dump", (enum memory_fault)fault, at);
            assert_same(disturbed.outputs, undisturbed.outputs, "outputs", (enum memory_fault)fault, at);
            assert_same(disturbed.dead_letters, undisturbed.dead_letters, "dead letters",
                        (enum memory_fault)fault, at);
            assert_destroyed(world, &arena, undisturbed.dump, (enum memory_fault)fault, at);
            world_release(world);
        }
    arena_release(&arena);
    free(world);
}

static void test_any_fault_in_one_batch(void **state) {
    (void)state;
    any_fault_at_any_call(sample_all, 100);
}
static void test_any_fault_in_small_batches(void **state) {
    (void)state;
    any_fault_at_any_call(sample_all, 2);
}
static void test_any_fault_among_erasures(void **state) {
    (void)state;
    any_fault_at_any_call(sample_erasures, 100);
    any_fault_at_any_call(sample_erasures, 2);
}
static void test_any_fault_among_consents(void **state) {
    (void)state;
    any_fault_at_any_call(sample_consents, 100);
    any_fault_at_any_call(sample_consents, 2);
}

/* Given a record that the database refuses among good ones, when the batch is taken in, then it alone becomes
 * a dead letter with its SQLSTATE and the others are stored. */
static void test_poison_is_bisected(void **state) {
    struct arena arena;
    struct world *world = calloc(1, sizeof *world);
    (void)state;
    arena_init(&arena, (size_t)1 << 26);
    world_empty(world, policy, 0);
    sample_all(&world->memory);
    world->memory.poison = "o2";
    world_run(world, 100);
    struct world_result result = world_result(world, &arena);
    assert_non_null(strstr(result.dead_letters.at, "shop.order.v1/0/3 refused_by_database 22P05"));
    assert_int_equal(world->memory.dead_letters.count, 2);
    assert_int_equal(world->memory.orders.count, 1);
    assert_int_equal(world->memory.shipments.count, 2);
    world_release(world);
    arena_release(&arena);
    free(world);
}

/* Given a parked status whose ref nobody learns, when 30 days have passed, then the calendar makes it a dead
 * letter, once. */
static void test_parked_expires_once(void **state) {
    struct world *world = calloc(1, sizeof *world);
    struct err err;
    (void)state;
    world_empty(world, policy, 0);
    sample_status(&world->memory, "t1", "2026-05-12T10:00:00Z", "in_transit");
    world_run(world, 100);
    assert_int_equal(world->memory.parked.count, 1);
    world->memory.now_us += INT64_C(31) * 86400 * 1000000;
    for (int turns = 0; turns < 50; turns++)
        assert_int_equal(consume_turn(&world->consumer, 100, &err), OK);
    assert_int_equal(world->memory.parked.count, 0);
    assert_int_equal(world->memory.dead_letters.count, 1);
    assert_non_null(strstr(world->memory.dead_letters.at[0].at, "unknown_ref"));
    world_release(world);
    free(world);
}

/* ---- many under one ref ---- */

enum { MANY = 5000, SMALL_ARENA = 4 << 20 };

static void publish_many(struct world *world, int count) {
    static const char *const statuses[] = {"pre_transit", "in_transit", "out_for_delivery", "delivered"};
    struct ref ref = ref_shipment(&sample_ref_key, TEXT("matkahuolto"), TEXT("c1"), TEXT("s1"));
    for (int i = 0; i < count; i++) {
        char data[256], id[16], time[32];
        snprintf(id, sizeof id, "t%d", i);
        snprintf(time, sizeof time, "2026-05-12T10:%02d:%02dZ", i / 60 % 60, i % 60);
        snprintf(data, sizeof data, "{\"shipment_ref\":\"%s\",\"parcel\":%d,\"status\":\"%s\"}", ref.chars,
                 1 + i % 7, statuses[i % 4]);
        memory_register_publish(&world->memory, "carrier.matkahuolto.v1", ref.chars,
                                "carrier.delivery.status", id, time, data);
    }
}

static void turn_until_unparked(struct world *world, size_t rest) {
    struct err err;
    for (int turns = 0; world->memory.parked.count > rest; turns++) {
        assert_int_equal(consume_turn(&world->consumer, 100, &err), OK);
        assert_true(turns < 200);
    }
}

/* Given thousands of statuses under one ref that nobody knows, when the shipment comes, then all of them take
 * effect, portion by portion and in little memory, and the dump is that of the ordered run. */
static void test_many_under_one_ref(void **state) {
    struct world *world = calloc(1, sizeof *world);
    struct arena arena;
    struct text dumps[2];
    (void)state;
    arena_init(&arena, (size_t)1 << 26);
    for (int parked_first = 0; parked_first < 2; parked_first++) {
        world_empty(world, policy, SMALL_ARENA);
        if (!parked_first)
            sample_order_and_shipment(&world->memory);
        publish_many(world, MANY);
        world_run(world, 500);
        assert_int_equal(world->memory.parked.count, parked_first ? MANY : 0);
        if (parked_first) {
            world_stop(world);
            sample_order_and_shipment(&world->memory);
            world_run(world, 500);
            turn_until_unparked(world, 0);
        }
        assert_int_equal(world->memory.dead_letters.count, 0);
        dumps[parked_first] = memory_dump(&world->memory, world->keyring, policy, &arena);
        world_release(world);
    }
    assert_same(dumps[1], dumps[0], "dump", FAULT_NONE, 0);
    arena_release(&arena);
    free(world);
}

/* Given thousands under one ref that nobody learns, when 30 days have passed, then each is a dead letter, in
 * portions between which the loop polls. */
static void test_many_expire(void **state) {
    struct world *world = calloc(1, sizeof *world);
    struct err err;
    (void)state;
    world_empty(world, policy, SMALL_ARENA);
    publish_many(world, MANY);
    world_run(world, 500);
    world->memory.now_us += INT64_C(31) * 86400 * 1000000;
    assert_int_equal(consume_turn(&world->consumer, 100, &err), OK);
    assert_in_range(world->memory.parked.count, MANY / 2, MANY - 1);
    assert_false(consumer_caught_up(&world->consumer));
    turn_until_unparked(world, 0);
    assert_int_equal(world->memory.dead_letters.count, MANY);
    world_release(world);
    free(world);
}

/* Given one left over event that cannot be opened, when the calendar comes to it, then it is passed over and
 * all others take effect; put right, it does so too. */
static void test_bad_act_holds_up_no_other(void **state) {
    struct world *world = calloc(1, sizeof *world);
    (void)state;
    world_empty(world, policy, 0);
    publish_many(world, 1500);
    world_run(world, 500);
    struct row_parked *bad = &world->memory.parked.at[700];
    int64_t offset = bad->offset;
    char *byte = (char *)(uintptr_t)bad->body.at + bad->body.size - 1;
    *byte ^= 1;
    world_stop(world);
    sample_order_and_shipment(&world->memory);
    world_run(world, 500);
    turn_until_unparked(world, 1);
    assert_int_equal(world->memory.parked.at[0].offset, offset);
    *byte ^= 1;
    world->memory.now_us += INT64_C(120) * 1000000;
    turn_until_unparked(world, 0);
    assert_int_equal(world->memory.dead_letters.count, 0);
    world_release(world);
    free(world);
}

/* ---- answers before their notices ---- */

static void publish_cancelled_shipment(struct world *world) {
    sample_order_and_shipment(&world->memory);
    memory_register_publish(&world->memory, "shop.shipment.v1", "c1", "shop.shipment.cancelled", "q9",
                            "2026-05-13T10:00:00Z",
                            "{\"shipment_id\":\"s1\",\"order_id\":\"o1\",\"customer_id\":\"c1\"}");
}

static void publish_answer(struct world *world, struct text notice_ref) {
    char data[128], id[REF_CHARS + 2];
    snprintf(id, sizeof id, "a%.*s", TEXT_ARGS(notice_ref));
    snprintf(data, sizeof data, "{\"notice_ref\":\"%.*s\",\"outcome\":\"erased\"}", TEXT_ARGS(notice_ref));
    memory_register_publish(&world->memory, "carrier.matkahuolto.v1", id + 1, "carrier.notice.acknowledged",
                            id, "2026-05-14T10:00:00Z", data);
}

/* Given answers to notices that a register from before them does not know, when what causes the notices comes
 * in, all in one batch, then it does come in, and the answers take effect. */
static void test_answers_before_their_notices(void **state) {
    struct world *world = calloc(1, sizeof *world);
    struct arena arena;
    struct text refs[2];
    (void)state;
    arena_init(&arena, 1 << 16);
    world_empty(world, policy, 0);
    publish_cancelled_shipment(world);
    world_run(world, 100);
    assert_int_equal(world->memory.notices.count, 2);
    for (size_t i = 0; i < 2; i++)
        refs[i] = arena_text(&arena, world->memory.notices.at[i].notice_ref);
    world_release(world);
    world_empty(world, policy, 0);
    for (size_t i = 0; i < 2; i++)
        publish_answer(world, refs[i]);
    world_run(world, 100);
    assert_int_equal(world->memory.parked.count, 2);
    world_stop(world);
    publish_cancelled_shipment(world);
    world_run(world, 100);
    turn_until_unparked(world, 0);
    assert_int_equal(world->memory.dead_letters.count, 0);
    assert_int_equal(world->memory.notices.count, 2);
    world_release(world);
    arena_release(&arena);
    free(world);
}

/* Given a record that alone does not fit the memory, then its partition parks: it is no dead letter. */
static void test_too_large_for_memory_parks(void **state) {
    struct world *world = calloc(1, sizeof *world);
    struct err err;
    (void)state;
    world_empty(world, policy, 4000);
    sample_order_and_shipment(&world->memory);
    world_start(world, 100);
    for (int turns = 0; turns < 100; turns++)
        assert_int_equal(consume_turn(&world->consumer, 100, &err), OK);
    assert_string_equal(memory_position(&world->memory, "shop.order.v1")->parked, "too_large_for_memory");
    assert_int_equal(world->memory.dead_letters.count, 0);
    world_release(world);
    free(world);
}

/* ---- word for other events of the batch ---- */

static void object(struct world *world, const char *id) {
    memory_register_publish(&world->memory, "shop.consent.v1", "c1", "shop.consent.objected", id,
                            "2026-05-06T10:00:00Z",
                            "{\"customer_id\":\"c1\",\"method\":\"customer_service\"}");
}

static void say(struct world *world, const char *type, const char *customer, const char *id, const char *time,
                const char *rest) {
    char topic[32], data[512];
    snprintf(topic, sizeof topic, "%.*s.v1", (int)(strrchr(type, '.') - type), type);
    snprintf(data, sizeof data, "{\"customer_id\":\"%s\",%s}", customer, rest);
    memory_register_publish(&world->memory, topic, customer, type, id, time, data);
}
#define REGISTERED                                                                                           \
    "\"kind\":\"account\",\"contact\":{\"email\":\"one@example.fi\"},\"notice\":{\"id\":\"n1\","             \
    "\"sha256\":\"abababababababababababababababababababababababababababababababab\",\"language\":\"fi\"}"

/* Given c2, of whom all is loaded at once, when one batch brings that he has the address of c1 and that he
 * objects, then the first of the two asks for c1 too, though it is the second that concerns him. */
static void test_later_event_concerns_whom_an_earlier_names(void **state) {
    struct world *world = calloc(1, sizeof *world);
    struct err err;
    (void)state;
    world_empty(world, policy, 0);
    say(world, "shop.customer.registered", "c1", "r1", "2026-05-01T10:00:00Z", REGISTERED);
    object(world, "o1");
    say(world, "shop.order.placed", "c2", "p1", "2026-05-01T10:00:00Z",
        "\"order_id\":\"o1\",\"guest\":false,\"currency\":\"EUR\",\"total\":1,\"lines\":[{\"sku\":\"a\","
        "\"quantity\":1,\"price\":1}]");
    world_run(world, 10);
    int64_t redone = metrics_value(METRIC_REDONE_BATCHES, 0);
    say(world, "shop.customer.registered", "c2", "r2", "2026-05-02T10:00:00Z", REGISTERED);
    say(world, "shop.consent.objected", "c2", "o2", "2026-05-03T10:00:00Z", "\"method\":\"one_click\"");
    for (int turns = 0; turns < 20; turns++)
        assert_int_equal(consume_turn(&world->consumer, 100, &err), OK);
    assert_int_equal(metrics_value(METRIC_REDONE_BATCHES, 0), redone);
    assert_true(world_through(world));
    world_release(world);
    free(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_fault_in_one_batch),
        cmocka_unit_test(test_any_fault_in_small_batches),
        cmocka_unit_test(test_any_fault_among_consents),
        cmocka_unit_test(test_any_fault_among_erasures),
        cmocka_unit_test(test_poison_is_bisected),
        cmocka_unit_test(test_parked_expires_once),
        cmocka_unit_test(test_many_under_one_ref),
        cmocka_unit_test(test_many_expire),
        cmocka_unit_test(test_bad_act_holds_up_no_other),
        cmocka_unit_test(test_too_large_for_memory_parks),
        cmocka_unit_test(test_answers_before_their_notices),
        cmocka_unit_test(test_later_event_concerns_whom_an_earlier_names),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
