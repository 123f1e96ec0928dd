/* What the register is asked to hold while events are parked, over memory: the result does not show it, only
 * two workers at once would. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "consumer/consume.h"
#include "core/log.h"
#include "core/seal.h"
#include "tests/unit/memory_register.h"
#include "tests/unit/memory_vault.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

static const uint8_t kek[32] = {1}, digest_key[32] = {2};
static const struct ref_key ref_key = {{3}};
static struct policy *policy;
static size_t made,
    locked; /* refs of the writes so far: new ones; those that mean nothing still and are locked */

static enum outcome watched_write(void *reg, struct arena *arena, struct write *write, struct err *err) {
    made += write->refs_new.count;
    for (size_t i = 0; i < write->refs_parked.count; i++)
        locked += write->refs_parked.at[i]->now == REF_PARKED;
    return memory_register_ops.write(reg, arena, write, err);
}

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

/* A status under a ref that nobody has learnt yet. */
static void publish_status(struct memory_register *memory, const char *id) {
    struct ref ref = ref_shipment(&ref_key, TEXT("matkahuolto"), TEXT("c1"), TEXT("s1"));
    char data[128];
    snprintf(data, sizeof data, "{\"shipment_ref\":\"%s\",\"status\":\"in_transit\"}", ref.chars);
    memory_register_publish(memory, "carrier.matkahuolto.v1", ref.chars, "carrier.delivery.status", id,
                            "2026-05-12T10:00:00Z", data);
}

static void turn(struct consumer *consumer) {
    struct err err;
    for (int turns = 0; turns < 20; turns++)
        assert_int_equal(consume_turn(consumer, 100, &err), OK);
}

/* Given a ref under which somebody waits, when another event comes under it, then its transaction locks the
 * ref, so that it comes wholly before or wholly after whoever learns the ref (consumer/store.c, refs, step
 * 3). */
static void who_parks_beside_others_locks_the_ref(void **state) {
    struct memory_register *memory = calloc(1, sizeof *memory);
    struct memory_vault vault;
    struct consumer consumer;
    struct register_ops watched = memory_register_ops;
    struct err err;
    (void)state;
    watched.write = watched_write;
    memory_register_init(memory);
    memory_vault_init(&vault);
    struct keyring *keyring = keyring_new(&memory_vault_ops, &vault, kek, "vault", 100, 60);
    struct consume_setup given = {.topic_ops = &memory_topic_ops,
                                  .topics = memory,
                                  .reg_ops = &watched,
                                  .reg = memory,
                                  .clock = &memory_clock_ops,
                                  .clock_context = memory,
                                  .keyring = keyring,
                                  .policy = policy,
                                  .ref_key = &ref_key,
                                  .digest_key = digest_key,
                                  .owner = TEXT("test/0/0"),
                                  .batch_records = 10,
                                  .batch_bytes = 1 << 20,
                                  .arena_bytes = 1 << 24};
    memory_register_restart(memory);
    assert_int_equal(consumer_init(&consumer, &given, &err), OK);
    publish_status(memory, "t1");
    turn(&consumer);
    assert_int_equal(memory->parked.count, 1);
    assert_true(made == 1 && locked == 0);
    publish_status(memory, "t2");
    turn(&consumer);
    assert_int_equal(memory->parked.count, 2);
    assert_true(made == 1 && locked == 1);
    consumer_release(&consumer);
    keyring_free(keyring);
    memory_vault_release(&vault);
    memory_register_release(memory);
    free(memory);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(who_parks_beside_others_locks_the_ref)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
