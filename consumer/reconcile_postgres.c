/* `restore reconcile` over PostgreSQL and Kafka: what the steps stand on, and who may run them. */
#include "consumer/reconcile.h"

#include "consumer/reconcile_rows.h"
#include "consumer/register_postgres.h"
#include "consumer/start.h"
#include "core/vault.h"
#include "queries.h"
#include <stdlib.h>

#define APPLICATION "kundregister-consumer reconcile"
#define ACTS_PORTION 100

struct world {
    struct worker_shared *shared;
    struct start start;
    struct db *vault;
    struct register_postgres reg;
    struct keyring *keyring;
    int policy;
    struct reconcile reconcile;
    bool has_consumer;
};

static enum outcome no_memory(struct err *err) {
    return err_set(err, RETRY, 0, "no memory to reconcile");
}

/* ---- what the steps ask for ---- */

static enum outcome world_compare(void *context, struct remember_sum *sum, remember_reader *reader,
                                  void *reader_context, struct err *err) {
    struct world *world = context;
    return remember_compare(world->shared->config, world->vault, world->start.reg, sum, reader,
                            reader_context, err);
}

static enum outcome world_persons(void *context, struct arena *arena, const char *after, int most,
                                  struct text **persons, size_t *count, struct err *err) {
    struct world *world = context;
    return reconcile_persons(world->start.reg, world->vault, arena, after, most, persons, count, err);
}

static enum outcome world_orphans(void *context, const struct remembered *cuts, size_t count,
                                  struct err *err) {
    struct world *world = context;
    return reconcile_orphans(world->start.reg, cuts, count, world->policy, err);
}

static enum outcome world_waiting(void *context, struct arena *arena, struct reconcile_waiting **rows,
                                  size_t *count, struct err *err) {
    struct world *world = context;
    struct db_result *result = NULL;
    enum outcome outcome = db_run(world->start.reg, &query_reconcile_waiting, NULL, &result, err);
    *count = outcome == OK ? db_rows(result) : 0;
    *rows = ARENA_ARRAY(arena, struct reconcile_waiting, *count + 1);
    for (size_t row = 0; outcome == OK && row < *count; row++) {
        struct text person = *rows ? arena_text(arena, db_text(result, row, 0)) : TEXT_ABSENT;
        struct text subject = *rows ? arena_text(arena, db_text(result, row, 1)) : TEXT_ABSENT;
        if (text_present(person) && text_present(subject))
            (*rows)[row] = (struct reconcile_waiting){person, subject, db_time(result, row, 2)};
        else
            outcome = no_memory(err);
    }
    db_result_release(result);
    return outcome;
}

static enum outcome world_redoom(void *context, size_t *persons, struct err *err) {
    return reconcile_redoom(((struct world *)context)->start.reg, persons, err);
}

static enum outcome world_tell(void *context, struct json_writer *writer, size_t *told, struct err *err) {
    struct world *world = context;
    return reconcile_tell(world->start.reg, world->vault, writer, told, err);
}

static const struct reconcile_ops reconcile_postgres = {.compare = world_compare,
                                                        .persons = world_persons,
                                                        .orphans = world_orphans,
                                                        .waiting = world_waiting,
                                                        .redoom = world_redoom,
                                                        .tell = world_tell};

/* ---- the whole ---- */

static enum outcome open_parts(struct world *world, struct err *err) {
    const struct worker_shared *shared = world->shared;
    const struct config *config = shared->config;
    register_postgres_init(&world->reg, config->register_as.consumer, APPLICATION,
                           config->consumer.lock_timeout_ms);
    world->keyring = keyring_new(&vault_postgres, world->vault, shared->kek, shared->vault_id,
                                 (size_t)config->consumer.cache_rings, (int)config->consumer.cache_seconds);
    if (!world->keyring)
        return no_memory(err);
    struct consume_setup setup = {.reg_ops = &register_postgres,
                                  .reg = &world->reg,
                                  .erase_ops = &erase_postgres,
                                  .clock = &clock_system,
                                  .keyring = world->keyring,
                                  .policy = shared->policy,
                                  .ref_key = &shared->ref_key,
                                  .digest_key = shared->digest_key,
                                  .owner = TEXT("reconcile"),
                                  .orphan_tombstones = true,
                                  .restored_us = world->shared->restored_us,
                                  .batch_records = ACTS_PORTION,
                                  .batch_bytes = (size_t)config->consumer.batch_bytes,
                                  .arena_bytes = (size_t)config->consumer.arena_bytes};
    world->has_consumer = true;
    enum outcome outcome = consumer_init(&world->reconcile.consumer, &setup, err);
    return outcome == OK ? register_postgres.open(&world->reg, err) : outcome;
}

static void release(struct world *world) {
    if (world->has_consumer)
        consumer_release(&world->reconcile.consumer);
    reconcile_release(&world->reconcile);
    register_postgres.close(&world->reg);
    keyring_free(world->keyring);
    db_close(world->vault);
    start_release(&world->start);
}

static enum outcome prepare(struct world *world, const char *reason, struct err *err) {
    struct reconcile_sum *sum = world->reconcile.sum;
    enum outcome outcome = start_mend(&world->start, &world->vault, &sum->vault_older, err);
    if (outcome == OK)
        outcome = reconcile_alone(world->start.reg, err);
    if (outcome == OK)
        outcome = reconcile_policy(world->start.reg, world->shared->policy->digest, &world->policy, err);
    if (outcome == OK)
        outcome = reconcile_look(&world->reconcile, err);
    if (outcome == OK)
        outcome = reconcile_audit(world->start.reg, reason, &sum->found, err);
    if (outcome == OK)
        outcome = reconcile_restored(world->start.reg, &world->shared->restored_us, err);
    return outcome == OK ? open_parts(world, err) : outcome;
}

enum outcome reconcile_run(struct worker_shared *shared, const char *reason, struct reconcile_sum *sum,
                           struct err *err) {
    struct world *world = calloc(1, sizeof *world);
    if (!world)
        return no_memory(err);
    *sum = (struct reconcile_sum){.waiting = 0};
    world->shared = world->start.shared = shared;
    world->reconcile.ops = &reconcile_postgres;
    world->reconcile.world = world;
    world->reconcile.sum = sum;
    enum outcome outcome = prepare(world, reason, err);
    if (outcome == OK)
        outcome = reconcile_mend(&world->reconcile, err);
    if (outcome == OK && sum->vault_older)
        outcome = vault_overtake(world->vault, world->start.reg, err);
    release(world);
    free(world);
    return outcome;
}
