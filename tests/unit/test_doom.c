/* What an erasing transaction does to keys (consumer/doom.c, seal_batch.c), over memory: what is erased opens
 * nowhere once the vault has destroyed what was doomed, what waits opens still, in the register and in the
 * outbox. The decision is made by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "consumer/consume.h"
#include "consumer/store.h"
#include "core/decide/pack.h"
#include "core/log.h"
#include "core/seal.h"
#include "tests/unit/memory_register.h"
#include "tests/unit/memory_vault.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#define CUT_US INT64_C(1778932800000000) /* 2026-05-16T12:00:00Z */

static const uint8_t kek[32] = {1}, digest_key[32] = {2};
static const struct ref_key ref_key = {{3}};
static struct policy *policy;

struct world {
    struct memory_register memory;
    struct memory_vault vault;
    struct keyring *keyring;
    struct sealer *sealer;
    struct json_writer *writer;
    struct arena arena;
    struct work work;
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

static void publish_requested(struct world *world, const char *shipment_id) {
    char data[1024];
    snprintf(
        data, sizeof data,
        "{\"shipment_id\":\"%s\",\"order_id\":\"o1\",\"customer_id\":\"c1\",\"consignee\":{"
        "\"first_name\":\"Aino\",\"last_name\":\"Oja\",\"street\":\"Katu 1\",\"postcode\":\"33700\","
        "\"city\":\"Tampere\",\"country\":\"FI\",\"phone\":\"+358401234567\"},\"direction\":\"outbound\","
        "\"carrier\":\"matkahuolto\",\"service\":\"home\",\"parcels\":1}",
        shipment_id);
    memory_register_publish(&world->memory, "shop.shipment.v1", "c1", "shop.shipment.requested", shipment_id,
                            "2026-05-11T10:00:00Z", data);
}

static void world_empty(struct world *world) {
    *world = (struct world){0};
    memory_register_init(&world->memory);
    memory_vault_init(&world->vault);
    arena_init(&world->arena, (size_t)1 << 26);
    world->keyring = keyring_new(&memory_vault_ops, &world->vault, kek, "vault", 100, 60);
    world->sealer = sealer_new();
    world->writer = json_writer_new();
}

/* What is published is taken in by the real loop. */
static void consume(struct world *world) {
    struct consumer consumer;
    struct err err;
    struct consume_setup given = {.topic_ops = &memory_topic_ops,
                                  .topics = &world->memory,
                                  .reg_ops = &memory_register_ops,
                                  .reg = &world->memory,
                                  .clock = &memory_clock_ops,
                                  .clock_context = &world->memory,
                                  .keyring = world->keyring,
                                  .policy = policy,
                                  .ref_key = &ref_key,
                                  .digest_key = digest_key,
                                  .owner = TEXT("test/0/0"),
                                  .orphan_tombstones = true,
                                  .batch_records = 10,
                                  .batch_bytes = 1 << 20,
                                  .arena_bytes = 1 << 24};
    memory_register_restart(&world->memory);
    assert_int_equal(consumer_init(&consumer, &given, &err), OK);
    for (int turns = 0; turns < 20; turns++)
        assert_int_equal(consume_turn(&consumer, 100, &err), OK);
    consumer_release(&consumer);
}

/* Two shipments. */
static void world_init(struct world *world) {
    world_empty(world);
    publish_requested(world, "s1");
    publish_requested(world, "s2");
    consume(world);
    assert_int_equal(world->memory.outbox.count, 2);
}

static void world_release(struct world *world) {
    keyring_free(world->keyring);
    sealer_free(world->sealer);
    json_writer_free(world->writer);
    arena_release(&world->arena);
    memory_vault_release(&world->vault);
    memory_register_release(&world->memory);
}

/* A transaction that has loaded both shipments, and cuts c1: s2 is erased, s1 waits. */
static void begin_erasure(struct world *world) {
    struct work *work = &world->work;
    struct err err;
    *work = (struct work){.now_us = world->memory.now_us, .state = state_new(&world->arena)};
    work->load = (struct load){.ops = &memory_register_ops,
                               .reg = &world->memory,
                               .keyring = world->keyring,
                               .policy = policy,
                               .ref_key = &ref_key,
                               .arena = &world->arena,
                               .state = work->state};
    work->decision = (struct decision){.policy = policy,
                                       .ref_key = &ref_key,
                                       .arena = &world->arena,
                                       .writer = world->writer,
                                       .state = work->state,
                                       .now_us = work->now_us};
    struct event events[2];
    const struct event *asking[2];
    const struct text ids[2] = {TEXT("s1"), TEXT("s2")};
    for (int i = 0; i < 2; i++) {
        events[i] = (struct event){.type = SHIPMENT_CANCELLED, .customer_id = TEXT("c1")};
        events[i].version = (struct version){.source = TEXT("urn:shop"), .id = ids[i]};
        events[i].as.shipment.shipment_id = ids[i];
        asking[i] = &events[i];
    }
    assert_int_equal(load_batch(&work->load, asking, 2, &err), OK);
    struct person *guard = state_person(work->state, TEXT("c1"), GENERATION_FIRST);
    guard->whole.known = true;
    for (int i = 0; i < 2; i++)
        *ARENA_PUSH(&world->arena, &guard->whole.shipments) = (struct whole_key){TEXT("c1"), ids[i]};
    *ARENA_PUSH(&world->arena, &guard->facts.cuts) =
        (struct cut){.cut_us = CUT_US, .cause = CUT_REQUEST, .valid = true, .completed_us = TIME_NONE};
    guard->facts.cuts_changed = guard->touched = true;
    struct shipment *erased = state_find_shipment(work->state, TEXT("c1"), TEXT("s2"));
    erased->delivery = (struct cell){.until = DATE_NONE, .sealed_until = DATE_NONE};
    erased->touched = true;
    *ARENA_PUSH(&world->arena, &work->decision.dooms) =
        (struct doom){TEXT("c1"), GENERATION_FIRST, CATEGORY_DELIVERY};
}

static enum outcome store(struct world *world, struct err *err) {
    struct seal_batch how = {world->keyring, world->sealer};
    return store_batch(&memory_register_ops, &world->memory, &how, &world->work, &world->arena, err);
}

static void commit(struct world *world) {
    struct err err;
    world->memory.connected = true;
    assert_int_equal(store(world, &err), OK);
    assert_int_equal(store_commit(&memory_register_ops, &world->memory, &err), OK);
}

/* The vault does what was doomed. */
static void destroy(struct world *world) {
    struct err err;
    int64_t counter = 0;
    assert_int_equal(keyring_destroy(world->keyring, &world->arena, world->memory.doomed.at,
                                     world->memory.doomed.count, NULL, 0, &counter, &err),
                     OK);
}

/* Does the body of the nth outbox row open? */
static bool row_opens(struct world *world, size_t nth) {
    const struct row_unpublished *row = &world->memory.outbox.at[nth];
    struct key_want want = {.person = row->person, .generation = row->generation};
    struct seal_key key;
    struct text plain;
    struct err err;
    struct seal_place place = {"outbox", "body", row->person, row->row_id, row->generation};
    assert_int_equal(keyring_load(world->keyring, &world->arena, &want, 1, 0, &err), OK);
    return keyring_sealed_transit(world->keyring, row->person, row->generation, row->category, row->body,
                                  &key) &&
           open_cell(&key, &place, row->body, &world->arena, &plain, &err) == OK;
}

static const struct row_shipment *shipment_row(struct world *world, const char *id) {
    for (size_t i = 0; i < world->memory.shipments.count; i++)
        if (text_is(world->memory.shipments.at[i].shipment_id, id))
            return &world->memory.shipments.at[i];
    return NULL;
}

static bool delivery_opens(struct world *world, struct text sealed, const char *id) {
    struct key_want want = {.person = TEXT("c1"), .generation = GENERATION_FIRST};
    struct seal_key key;
    struct text plain;
    struct err err;
    struct seal_place place = {"shipment", "delivery", TEXT("c1"), text_of(id), -1};
    assert_int_equal(keyring_load(world->keyring, &world->arena, &want, 1, 0, &err), OK);
    return keyring_sealed_key(world->keyring, TEXT("c1"), GENERATION_FIRST, CATEGORY_DELIVERY, sealed,
                              &key) &&
           open_cell(&key, &place, sealed, &world->arena, &plain, &err) == OK;
}

/* Given two disclosed shipments in the outbox, when one is erased and the other waits, then after the vault's
 * act the one opens nowhere, an old copy of it neither, and the other everywhere, with floors in the guard.
 */
static void test_what_waits_is_sealed_anew(void **state) {
    struct world *world = calloc(1, sizeof *world);
    struct person guard = {0};
    struct err err;
    (void)state;
    world_init(world);
    struct text old[2] = {shipment_row(world, "s1")->delivery.sealed,
                          shipment_row(world, "s2")->delivery.sealed};
    struct text row_id = world->memory.outbox.at[0].row_id;
    begin_erasure(world);
    commit(world);
    assert_true(delivery_opens(world, old[1], "s2"));
    assert_int_equal(world->memory.doomed.count, 1);
    assert_int_equal(world->memory.tombstones.count, 1);
    assert_true(text_is(world->memory.tombstones.at[0].categories, "profile,delivery"));
    destroy(world);
    assert_false(delivery_opens(world, old[0], "s1"));
    assert_false(delivery_opens(world, old[1], "s2"));
    assert_true(delivery_opens(world, shipment_row(world, "s1")->delivery.sealed, "s1"));
    assert_int_equal(shipment_row(world, "s2")->delivery.until, DATE_NONE);
    assert_true(text_is(world->memory.outbox.at[0].shipment_id, "s1"));
    assert_true(text_equal(world->memory.outbox.at[0].row_id, row_id));
    assert_true(row_opens(world, 0));
    assert_false(row_opens(world, 1));
    assert_int_equal(unpack_person(world->memory.persons.at[0].merge, &world->arena, &guard, &err), OK);
    assert_int_equal(guard.facts.floors.count, 1);
    assert_int_equal(guard.facts.floors.at[0].cells, world->memory.doomed.at[0].cells);
    assert_true(guard.facts.floors.at[0].cells > 0 && guard.facts.floors.at[0].transit > 0);
    world_release(world);
    free(world);
}

/* Given an erasure that dooms what it has not loaded wholly, then nothing is stored: it would be lost. */
static void test_whole_must_be_loaded(void **state) {
    struct world *world = calloc(1, sizeof *world);
    struct err err;
    (void)state;
    world_init(world);
    begin_erasure(world);
    state_find_guard(world->work.state, TEXT("c1"))->whole.known = false;
    assert_int_equal(store(world, &err), FATAL);
    assert_int_equal(world->memory.doomed.count, 0);
    world_release(world);
    free(world);
}

/* Given disclosures decided in the transaction that erases one of them, then that one can never be opened. */
static void test_disclosed_and_erased_at_once(void **state) {
    struct world *world = calloc(1, sizeof *world);
    (void)state;
    world_init(world);
    begin_erasure(world);
    const char *const ids[2] = {"s1", "s2"};
    for (int i = 0; i < 2; i++) {
        struct output *output = ARENA_PUSH(&world->arena, &world->work.decision.outputs);
        *output = (struct output){.type = "register.disclosure.corrected",
                                  .topic = TEXT("disclosure.matkahuolto.v1"),
                                  .key = TEXT("k"),
                                  .id = {{(uint8_t)(i + 1)}},
                                  .body = TEXT("{}"),
                                  .person = TEXT("c1"),
                                  .generation = GENERATION_FIRST,
                                  .category = CATEGORY_DELIVERY,
                                  .subject = TEXT("c1"),
                                  .customer_id = TEXT("c1"),
                                  .shipment_id = text_of(ids[i])};
        *ARENA_PUSH(&world->arena, &world->work.decided_us) = world->work.now_us;
    }
    commit(world);
    assert_int_equal(world->memory.outbox.count, 4);
    assert_true(row_opens(world, 2));
    assert_false(row_opens(world, 3));
    destroy(world);
    assert_true(row_opens(world, 2));
    assert_false(row_opens(world, 3));
    world_release(world);
    free(world);
}

/* Given published rows, then they are left as they are. */
static void test_published_rows_stay_as_they_are(void **state) {
    struct world *world = calloc(1, sizeof *world);
    (void)state;
    world_init(world);
    world->memory.published = 2;
    struct text body = world->memory.outbox.at[0].body;
    begin_erasure(world);
    commit(world);
    assert_true(text_equal(world->memory.outbox.at[0].body, body));
    world_release(world);
    free(world);
}

static void publish_erasure(struct world *world, const char *id, const char *time) {
    char data[512];
    snprintf(data, sizeof data,
             "{\"request_id\":\"%s\",\"kind\":\"erasure\",\"subject\":{\"customer_id\":\"c1\"},"
             "\"channel\":\"account\",\"identity\":\"account\"}",
             id);
    memory_register_publish(&world->memory, "privacy.request.v1", id, "privacy.request.received", id, time,
                            data);
}

/* Given a shipment that a cut before it has moved to another generation, when it is erased there, then what
 * the ring of the former one had sealed opens no more either: the row of the outbox, old copies of the cell.
 */
static void test_what_has_moved_goes_from_every_ring(void **state) {
    struct world *world = calloc(1, sizeof *world);
    (void)state;
    world_empty(world);
    publish_requested(world, "s1");
    consume(world);
    struct text old = shipment_row(world, "s1")->delivery.sealed;
    assert_true(row_opens(world, 0) && delivery_opens(world, old, "s1"));
    publish_erasure(world, "q1", "2026-05-10T10:00:00Z");
    consume(world);
    assert_int_equal(world->memory.outbox.count, 2); /* disclosed anew, in its new generation */
    assert_true(world->memory.outbox.at[1].generation != GENERATION_FIRST);
    destroy(world);
    memory_register_publish(&world->memory, "shop.shipment.v1", "c1", "shop.shipment.cancelled", "s1-",
                            "2026-05-12T10:00:00Z",
                            "{\"shipment_id\":\"s1\",\"order_id\":\"o1\",\"customer_id\":\"c1\"}");
    publish_erasure(world, "q2", "2026-05-13T10:00:00Z");
    consume(world);
    assert_int_equal(shipment_row(world, "s1")->delivery.until, DATE_NONE);
    destroy(world);
    for (size_t i = 0; i < world->memory.outbox.count; i++)
        assert_false(row_opens(world, i));
    assert_false(delivery_opens(world, old, "s1"));
    world_release(world);
    free(world);
}

/* Given a tombstone whose person the register does not know, when a fact names him, then he takes it over:
 * the fact belongs to the generation after the cut. */
static void test_orphan_is_taken_over(void **state) {
    struct world *world = calloc(1, sizeof *world);
    struct person guard = {0};
    struct err err;
    char subject[SUBJECT_CHARS + 1];
    (void)state;
    world_empty(world);
    ref_subject(&ref_key, TEXT("c1"), subject);
    for (int i = 0; i < 2; i++) {
        struct memory_tombstone *orphan = ARENA_PUSH(&world->memory.kept, &world->memory.tombstones);
        *orphan = (struct memory_tombstone){.subject = memory_keep(&world->memory, text_of(subject)),
                                            .generation = GENERATION_FIRST,
                                            .cut = {.cut_us = CUT_US - i * INT64_C(86400000000),
                                                    .cause = CUT_REQUEST,
                                                    .valid = true,
                                                    .complete = true,
                                                    .completed_us = CUT_US}};
    }
    memory_register_publish(
        &world->memory, "shop.order.v1", "c1", "shop.order.placed", "p1", "2026-05-17T10:00:00Z",
        "{\"order_id\":\"o1\",\"customer_id\":\"c1\",\"guest\":false,\"currency\":\"EUR\",\"total\":1000,"
        "\"lines\":[{\"sku\":\"a\",\"quantity\":1,\"price\":1000}]}");
    consume(world);
    assert_int_equal(world->memory.tombstones.count, 2);
    for (int i = 0; i < 2; i++)
        assert_true(text_is(world->memory.tombstones.at[i].person, "c1"));
    assert_int_equal(world->memory.tombstones.at[0].generation, CUT_US - INT64_C(86400000000));
    bool found = false;
    for (size_t i = 0; i < world->memory.persons.count; i++) {
        const struct row_person *row = &world->memory.persons.at[i];
        found |= row->generation == CUT_US;
        if (row->generation != GENERATION_FIRST)
            continue;
        assert_int_equal(unpack_person(row->merge, &world->arena, &guard, &err), OK);
        assert_int_equal(guard.facts.cuts.count, 2);
        assert_true(guard.facts.cuts.at[0].cut_us < guard.facts.cuts.at[1].cut_us);
        assert_true(guard.facts.cuts.at[1].restored);
    }
    assert_true(found);
    world_release(world);
    free(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_what_waits_is_sealed_anew),
                                       cmocka_unit_test(test_whole_must_be_loaded),
                                       cmocka_unit_test(test_disclosed_and_erased_at_once),
                                       cmocka_unit_test(test_orphan_is_taken_over),
                                       cmocka_unit_test(test_published_rows_stay_as_they_are),
                                       cmocka_unit_test(test_what_has_moved_goes_from_every_ring)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
