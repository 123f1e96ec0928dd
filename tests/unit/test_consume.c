/* The consumer's loop (consumer/consume.c) over memory: whatever breaks at whichever call of a seam, in the
 * end each event counts once: the dump and the outputs are those of the undisturbed run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "consumer/consume.h"
#include "core/log.h"
#include "core/metrics.h"
#include "core/seal.h"
#include "tests/unit/consume_sample.h"
#include "tests/unit/memory_dump.h"
#include "tests/unit/memory_register.h"
#include "tests/unit/memory_vault.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

static const uint8_t kek[32] = {1}, digest_key[32] = {2};
static struct policy *policy;

/* One process after the other over one world. */
struct world {
    struct memory_register memory;
    struct memory_vault vault;
    struct keyring *keyring;
    struct consumer consumer;
    size_t arena_bytes; /* 0: plenty */
    bool running;
};

static void complain(void *context, const char *path, const char *message) {
    (void)context;
    fail_msg("policy: %s: %s", path, message);
}

static int setup(void **state) {
    struct err err;
    (void)state;
    log_to(open("/dev/null", O_WRONLY | O_CLOEXEC));
    assert_int_equal(seal_start(&err), OK);
    policy = policy_read(SOURCE_DIR "/schema/policy/jerone.json", complain, NULL, &err);
    assert_non_null(policy);
    return 0;
}
static int teardown(void **state) {
    (void)state;
    policy_free(policy);
    return 0;
}

static void start(struct world *world, size_t batch_records) {
    struct err err;
    world->keyring = keyring_new(&memory_vault_ops, &world->vault, kek, "vault", 100, 60);
    struct consume_setup given = {.topic_ops = &memory_topic_ops,
                                  .topics = &world->memory,
                                  .reg_ops = &memory_register_ops,
                                  .reg = &world->memory,
                                  .clock = &memory_clock_ops,
                                  .clock_context = &world->memory,
                                  .keyring = world->keyring,
                                  .policy = policy,
                                  .ref_key = &sample_ref_key,
                                  .digest_key = digest_key,
                                  .owner = TEXT("test/0/0"),
                                  .batch_records = batch_records,
                                  .batch_bytes = 1 << 20,
                                  .arena_bytes = world->arena_bytes ? world->arena_bytes : 1 << 26};
    memory_register_restart(&world->memory);
    assert_int_equal(consumer_init(&world->consumer, &given, &err), OK);
    world->running = true;
}
static void stop(struct world *world) {
    if (world->running)
        consumer_release(&world->consumer);
    keyring_free(world->keyring);
    world->keyring = NULL;
    world->running = false;
}

static bool through(struct world *world) {
    for (size_t i = 1; i < world->memory.positions.count; i++)
        if (world->memory.positions.at[i].row.next < world->memory.positions.at[i].end)
            return false;
    return true;
}

/* Runs until everything is in, starting anew after each crash. */
static void run(struct world *world, size_t batch_records) {
    struct err err;
    start(world, batch_records);
    if (setjmp(world->memory.crashed)) {
        stop(world);
        start(world, batch_records);
    }
    for (volatile int turns = 0; !through(world) || turns < 10; turns++) {
        if (turns == 2000)
            fail_msg("fault %d at call %lu: never through", (int)world->memory.fault, world->memory.fault_at);
        enum outcome outcome = consume_turn(&world->consumer, 100, &err);
        if (outcome != OK)
            fail_msg("the loop ended: %s", err.text);
    }
}

static void world_empty(struct world *world, size_t arena_bytes) {
    *world = (struct world){.arena_bytes = arena_bytes};
    memory_register_init(&world->memory);
    memory_vault_init(&world->vault);
}

static void world_release(struct world *world) {
    stop(world);
    memory_vault_release(&world->vault);
    memory_register_release(&world->memory);
}

/* The undisturbed run's results, in `arena`. */
struct result {
    struct text dump, outputs, dead_letters;
    unsigned long calls;
};
static struct result result_of(struct world *world, struct arena *arena) {
    const struct memory_register *memory = &world->memory;
    struct text *told = ARENA_ARRAY(arena, struct text, memory->told.count + 1);
    for (size_t i = 0; i < memory->told.count; i++)
        told[i] = memory->told.at[i].line;
    return (struct result){memory_dump(&world->memory, world->keyring, policy, arena),
                           memory_sorted(arena, told, memory->told.count),
                           memory_sorted(arena, memory->dead_letters.at, memory->dead_letters.count),
                           memory->calls};
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
    world_empty(world, 0);
    sample(&world->memory);
    run(world, batch_records);
    struct result undisturbed = result_of(world, &arena);
    world_release(world);
    assert_true(undisturbed.dump.size > 0 && undisturbed.outputs.size > 0);
    for (int fault = FAULT_CRASH_BEFORE; fault < MEMORY_FAULTS; fault++)
        for (unsigned long at = 1; at <= undisturbed.calls; at++) {
            world_empty(world, 0);
            sample(&world->memory);
            world->memory.fault = (enum memory_fault)fault;
            world->memory.fault_at = at;
            run(world, batch_records);
            struct result disturbed = result_of(world, &arena);
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
    world_empty(world, 0);
    sample_all(&world->memory);
    world->memory.poison = "o2";
    run(world, 100);
    struct result result = result_of(world, &arena);
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
    world_empty(world, 0);
    sample_status(&world->memory, "t1", "2026-05-12T10:00:00Z", "in_transit");
    run(world, 100);
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
        world_empty(world, SMALL_ARENA);
        if (!parked_first)
            sample_order_and_shipment(&world->memory);
        publish_many(world, MANY);
        run(world, 500);
        assert_int_equal(world->memory.parked.count, parked_first ? MANY : 0);
        if (parked_first) {
            stop(world);
            sample_order_and_shipment(&world->memory);
            run(world, 500);
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
    world_empty(world, SMALL_ARENA);
    publish_many(world, MANY);
    run(world, 500);
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
    world_empty(world, 0);
    publish_many(world, 1500);
    run(world, 500);
    struct row_parked *bad = &world->memory.parked.at[700];
    int64_t offset = bad->offset;
    char *byte = (char *)(uintptr_t)bad->body.at + bad->body.size - 1;
    *byte ^= 1;
    stop(world);
    sample_order_and_shipment(&world->memory);
    run(world, 500);
    turn_until_unparked(world, 1);
    assert_int_equal(world->memory.parked.at[0].offset, offset);
    *byte ^= 1;
    world->memory.now_us += INT64_C(120) * 1000000;
    turn_until_unparked(world, 0);
    assert_int_equal(world->memory.dead_letters.count, 0);
    world_release(world);
    free(world);
}

/* Given a record that alone does not fit the memory, then its partition parks: it is no dead letter. */
static void test_too_large_for_memory_parks(void **state) {
    struct world *world = calloc(1, sizeof *world);
    struct err err;
    (void)state;
    world_empty(world, 8000);
    sample_order_and_shipment(&world->memory);
    start(world, 100);
    for (int turns = 0; turns < 100; turns++)
        assert_int_equal(consume_turn(&world->consumer, 100, &err), OK);
    assert_string_equal(memory_position(&world->memory, "shop.order.v1")->parked, "too_large_for_memory");
    assert_int_equal(world->memory.dead_letters.count, 0);
    world_release(world);
    free(world);
}

/* Given a position whose last record is another one now, when the partition is claimed, then it parks and
 * nothing is taken in; the other partitions go on. */
static void test_other_record_parks(void **state) {
    struct world *world = calloc(1, sizeof *world);
    struct err err;
    char reason[200];
    (void)state;
    world_empty(world, 0);
    sample_all(&world->memory);
    run(world, 100);
    size_t persons = world->memory.persons.count;
    stop(world);
    memory_position(&world->memory, "shop.order.v1")->row.fingerprint.hash[0] ^= 1;
    memory_position(&world->memory, "shop.customer.v1")->row.next = 9;
    start(world, 100);
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

/* Given a person whose key ring is gone, when an event needs a stored cell of theirs, then that partition
 * parks. */
static void test_missing_ring_parks(void **state) {
    struct world *world = calloc(1, sizeof *world);
    struct err err;
    (void)state;
    world_empty(world, 0);
    sample_all(&world->memory);
    run(world, 100);
    stop(world);
    memory_vault_destroy(&world->vault, TEXT("c1"), GENERATION_FIRST);
    memory_register_publish(&world->memory, "shop.customer.v1", "c1", "shop.customer.changed", "r9",
                            "2026-05-15T10:00:00Z",
                            "{\"customer_id\":\"c1\",\"contact\":{\"first_name\":\"Eva\"}}");
    start(world, 100);
    for (int turns = 0; turns < 50; turns++)
        assert_int_equal(consume_turn(&world->consumer, 100, &err), OK);
    assert_string_equal(memory_position(&world->memory, "shop.customer.v1")->parked, "missing_key");
    assert_string_equal(memory_position(&world->memory, "shop.order.v1")->parked, "");
    world_release(world);
    free(world);
}

/* Given a record that was fetched before the last assign, when the fingerprint is awaited, then it is not
 * taken for the fingerprint's. */
static void test_stale_record_parks_nothing(void **state) {
    struct world *world = calloc(1, sizeof *world);
    struct err err;
    (void)state;
    world_empty(world, 0);
    sample_all(&world->memory);
    run(world, 100);
    stop(world);
    start(world, 100);
    world->memory.stale = "shop.order.v1";
    for (int turns = 0; turns < 50; turns++)
        assert_int_equal(consume_turn(&world->consumer, 100, &err), OK);
    assert_null(world->memory.stale);
    assert_string_equal(memory_position(&world->memory, "shop.order.v1")->parked, "");
    assert_true(consumer_caught_up(&world->consumer));
    world_release(world);
    free(world);
}

/* ---- a rival between two reads ---- */

static struct row_person rivals_row;

static struct row_person *guard_row(struct memory_register *memory, const char *person) {
    for (size_t i = 0; i < memory->persons.count; i++)
        if (text_is(memory->persons.at[i].person, person) &&
            memory->persons.at[i].generation == GENERATION_FIRST)
            return &memory->persons.at[i];
    fail_msg("no row of %s", person);
    return NULL;
}

static void rival_has_committed(struct memory_register *memory) {
    *guard_row(memory, "c1") = rivals_row;
    memory->between_reads = NULL;
}

static void object(struct world *world, const char *id) {
    memory_register_publish(&world->memory, "shop.consent.v1", "c1", "shop.consent.objected", id,
                            "2026-05-06T10:00:00Z",
                            "{\"customer_id\":\"c1\",\"method\":\"customer_service\"}");
}

/* Given that another worker stores a consent after this one has read the person and before it reads his
 * consents, then the batch is done again, and no consent is lost. */
static void test_consents_change_between_reads(void **state) {
    struct world *world = calloc(1, sizeof *world);
    struct err err;
    (void)state;
    world_empty(world, 0);
    object(world, "o1");
    run(world, 1);
    struct row_person before = *guard_row(&world->memory, "c1");
    object(world, "o2");
    for (int turns = 0; turns < 20; turns++)
        assert_int_equal(consume_turn(&world->consumer, 100, &err), OK);
    assert_int_equal(world->memory.consents.count, 2);
    rivals_row = *guard_row(&world->memory, "c1");
    *guard_row(&world->memory, "c1") = before;
    world->memory.between_reads = rival_has_committed;
    object(world, "o3");
    for (int turns = 0; turns < 20; turns++)
        assert_int_equal(consume_turn(&world->consumer, 100, &err), OK);
    assert_null(world->memory.between_reads);
    assert_int_equal(world->memory.consents.count, 3);
    assert_true(through(world));
    world_release(world);
    free(world);
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
    world_empty(world, 0);
    say(world, "shop.customer.registered", "c1", "r1", "2026-05-01T10:00:00Z", REGISTERED);
    object(world, "o1");
    say(world, "shop.order.placed", "c2", "p1", "2026-05-01T10:00:00Z",
        "\"order_id\":\"o1\",\"guest\":false,\"currency\":\"EUR\",\"total\":1,\"lines\":[{\"sku\":\"a\","
        "\"quantity\":1,\"price\":1}]");
    run(world, 10);
    int64_t redone = metrics_value(METRIC_REDONE_BATCHES, 0);
    say(world, "shop.customer.registered", "c2", "r2", "2026-05-02T10:00:00Z", REGISTERED);
    say(world, "shop.consent.objected", "c2", "o2", "2026-05-03T10:00:00Z", "\"method\":\"one_click\"");
    for (int turns = 0; turns < 20; turns++)
        assert_int_equal(consume_turn(&world->consumer, 100, &err), OK);
    assert_int_equal(metrics_value(METRIC_REDONE_BATCHES, 0), redone);
    assert_true(through(world));
    world_release(world);
    free(world);
}

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
    world_empty(world, 0);
    sample_all(&world->memory);
    world->memory.register_away = true;
    start(world, 100);
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_fault_in_one_batch),
        cmocka_unit_test(test_any_fault_in_small_batches),
        cmocka_unit_test(test_any_fault_among_consents),
        cmocka_unit_test(test_any_fault_among_erasures),
        cmocka_unit_test(test_poison_is_bisected),
        cmocka_unit_test(test_parked_expires_once),
        cmocka_unit_test(test_other_record_parks),
        cmocka_unit_test(test_missing_ring_parks),
        cmocka_unit_test(test_stale_record_parks_nothing),
        cmocka_unit_test(test_reason_of_an_outage),
        cmocka_unit_test(test_many_under_one_ref),
        cmocka_unit_test(test_many_expire),
        cmocka_unit_test(test_bad_act_holds_up_no_other),
        cmocka_unit_test(test_too_large_for_memory_parks),
        cmocka_unit_test(test_consents_change_between_reads),
        cmocka_unit_test(test_later_event_concerns_whom_an_earlier_names),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
