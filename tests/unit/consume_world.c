/* One process of the consumer after the other over one world in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/log.h"
#include "core/seal.h"
#include "tests/unit/consume_sample.h"
#include "tests/unit/consume_world.h"
#include "tests/unit/memory_dump.h"
#include <fcntl.h>

static const uint8_t kek[32] = {1}, digest_key[32] = {2};

static void complain(void *context, const char *path, const char *message) {
    (void)context;
    fail_msg("policy: %s: %s", path, message);
}

struct policy *world_policy(void) {
    struct err err;
    log_to(open("/dev/null", O_WRONLY | O_CLOEXEC));
    assert_int_equal(seal_start(&err), OK);
    struct policy *policy = policy_read(SOURCE_DIR "/schema/policy/jerone.json", complain, NULL, &err);
    assert_non_null(policy);
    return policy;
}

void world_empty(struct world *world, const struct policy *policy, size_t arena_bytes) {
    *world = (struct world){.policy = policy,
                            .topic_ops = &memory_topic_ops,
                            .reg_ops = &memory_register_ops,
                            .vault_ops = &memory_vault_ops,
                            .arena_bytes = arena_bytes};
    memory_register_init(&world->memory);
    memory_vault_init(&world->vault);
}

void world_release(struct world *world) {
    world_stop(world);
    memory_vault_release(&world->vault);
    memory_register_release(&world->memory);
}

enum outcome world_begin(struct world *world, size_t batch_records, struct err *err) {
    world->keyring = keyring_new(world->vault_ops, &world->vault, kek, "vault", 100, 60);
    if (!world->keyring)
        return err_set(err, RETRY, 0, "no memory for a key cache");
    struct consume_setup given = {.topic_ops = world->topic_ops,
                                  .topics = &world->memory,
                                  .reg_ops = world->reg_ops,
                                  .reg = &world->memory,
                                  .clock = &memory_clock_ops,
                                  .clock_context = &world->memory,
                                  .keyring = world->keyring,
                                  .policy = world->policy,
                                  .ref_key = &sample_ref_key,
                                  .digest_key = digest_key,
                                  .owner = TEXT("test/0/0"),
                                  .batch_records = batch_records,
                                  .batch_bytes = 1 << 20,
                                  .arena_bytes = world->arena_bytes ? world->arena_bytes : 1 << 26};
    memory_register_restart(&world->memory);
    world->running = true;
    return consumer_init(&world->consumer, &given, err);
}

void world_start(struct world *world, size_t batch_records) {
    struct err err;
    assert_int_equal(world_begin(world, batch_records, &err), OK);
}

void world_stop(struct world *world) {
    if (world->running)
        consumer_release(&world->consumer);
    keyring_free(world->keyring);
    world->keyring = NULL;
    world->running = false;
}

bool world_through(const struct world *world) {
    for (size_t i = 1; i < world->memory.positions.count; i++)
        if (world->memory.positions.at[i].row.next < world->memory.positions.at[i].end)
            return false;
    return true;
}

enum outcome world_turn_through(struct world *world, struct err *err) {
    enum outcome outcome = OK;
    for (int turns = 0; outcome == OK && (!world_through(world) || turns < 10); turns++) {
        if (turns == 2000)
            return err_set(err, POISON, 0, "never through");
        outcome = consume_turn(&world->consumer, 100, err);
    }
    return outcome;
}

void world_run(struct world *world, size_t batch_records) {
    struct err err;
    world_start(world, batch_records);
    if (setjmp(world->memory.crashed)) {
        world_stop(world);
        world_start(world, batch_records);
    }
    if (world_turn_through(world, &err) != OK)
        fail_msg("fault %d at call %lu: the loop ended: %s", (int)world->memory.fault, world->memory.fault_at,
                 err.text);
}

struct world_result world_result(struct world *world, struct arena *arena) {
    const struct memory_register *memory = &world->memory;
    struct text *told = ARENA_ARRAY(arena, struct text, memory->told.count + 1);
    for (size_t i = 0; i < memory->told.count; i++)
        told[i] = memory->told.at[i].line;
    return (struct world_result){memory_dump(&world->memory, world->keyring, world->policy, arena),
                                 memory_sorted(arena, told, memory->told.count),
                                 memory_sorted(arena, memory->dead_letters.at, memory->dead_letters.count),
                                 memory->calls};
}
