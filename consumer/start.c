/* What must hold before a worker starts. */
#include "consumer/start.h"
#include "consumer/command.h"
#include "consumer/remember.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/schema.h"
#include "core/stop.h"
#include "core/vault.h"
#include "queries.h"
#include <stdio.h>

#define APPLICATION "kundregister-consumer instance"
#define LOCK_PATIENCE_MS 3000 /* a killed predecessor's backend is gone within moments */

static enum outcome refuse(struct start *start, enum outcome outcome) {
    start->refused = outcome == FATAL;
    return outcome;
}

static enum outcome check_policy(struct start *start, struct arena *arena, struct err *err) {
    struct db_result *result = NULL;
    struct db_params *params = db_params_new(arena, 1);
    if (!params)
        return err_set(err, RETRY, 0, "no memory to check the policy");
    db_param_text(params, text_of(start->shared->policy->digest));
    enum outcome outcome = db_run(start->reg, &query_consumer_policy, params, &result, err);
    if (outcome == OK && db_rows(result) == 0)
        outcome = err_set(
            err, FATAL, 0,
            "the policy file is not the active policy: run `kundregister policy activate`, or take the "
            "active one's file");
    db_result_release(result);
    return outcome;
}

static enum outcome take_instance(struct start *start, struct arena *arena, int64_t patience_ms,
                                  struct err *err) {
    char instance[120];
    snprintf(instance, sizeof instance, "%s/%lld", start->shared->host,
             (long long)start->shared->config->consumer.instance);
    for (;;) {
        struct db_result *result = NULL;
        struct db_params *params = db_params_new(arena, 1);
        if (!params)
            return err_set(err, RETRY, 0, "no memory to take the instance's lock");
        db_param_text(params, text_of(instance));
        enum outcome outcome = db_run(start->reg, &query_consumer_instance_lock, params, &result, err);
        bool mine = outcome == OK && db_bool(result, 0, 0);
        db_result_release(result);
        if (outcome != OK || mine)
            return outcome;
        if (patience_ms <= 0)
            return err_set(err, FATAL, 0,
                           "another process runs as instance %s: give each its own with --instance",
                           instance);
        patience_ms -= 100;
        (void)stop_sleep_ms(100);
    }
}

static enum outcome provide_commands(struct start *start, struct db *vault, struct arena *arena,
                                     struct err *err) {
    struct keyring *keyring =
        keyring_new(&vault_postgres, vault, start->shared->kek, start->shared->vault_id, 16, 60);
    if (!keyring)
        return err_set(err, RETRY, 0, "no memory for a key ring");
    enum outcome outcome = command_provide(keyring, arena, clock_system.monotonic_us(NULL) / 1000000, err);
    keyring_free(keyring);
    return outcome;
}

/* Before a partition opens, and once: what happens later happens through this register. */
static enum outcome check_erasures(struct start *start, struct db *vault, struct err *err) {
    struct remember_sum sum;
    int64_t began_us = clock_system.monotonic_us(NULL);
    enum outcome outcome = remember_compare(start->shared->config, vault, start->reg, &sum, NULL, NULL, err);
    if (outcome == OK)
        outcome = remember_orphans(start->reg, &start->shared->orphan_tombstones, err);
    if (outcome == OK)
        log_write(LOG_INFO, "erasures_compared", "What is remembered of erasures was compared.",
                  LOG_INT("topic", sum.topic), LOG_INT("vault", sum.vault),
                  LOG_INT("register", sum.registered), LOG_INT("register_lacks", remember_lacking(&sum)),
                  LOG_INT("ms", (clock_system.monotonic_us(NULL) - began_us) / 1000));
    return outcome == OK ? remember_judge(&sum, err) : outcome;
}

static enum outcome read_restored(struct start *start, struct err *err) {
    struct db_result *result = NULL;
    enum outcome outcome = db_run(start->reg, &query_consumer_restored, NULL, &result, err);
    if (outcome == OK)
        start->shared->restored_us = db_rows(result) ? db_int(result, 0, 0) : 0;
    db_result_release(result);
    return outcome;
}

static enum outcome open_both(struct start *start, struct db **vault, struct arena *arena, struct err *err) {
    const struct config *config = start->shared->config;
    enum outcome outcome = db_open(&start->reg, config->register_as.consumer, APPLICATION, err);
    if (outcome == OK)
        outcome = db_open(vault, config->vault_as.consumer, APPLICATION, err);
    if (outcome == OK)
        outcome = schema_check(start->reg, "register", register_migrations, err);
    if (outcome == OK)
        outcome = schema_check(*vault, "vault", vault_migrations, err);
    return outcome == OK ? check_policy(start, arena, err) : outcome;
}

static enum outcome check_with(struct start *start, struct db *vault, struct arena *arena, struct err *err) {
    struct worker_shared *shared = start->shared;
    enum outcome outcome = vault_check(vault, start->reg, shared->kek, shared->vault_id, err);
    if (outcome == OK)
        outcome = take_instance(start, arena, LOCK_PATIENCE_MS, err);
    if (outcome == OK)
        outcome = check_erasures(start, vault, err);
    if (outcome == OK)
        outcome = read_restored(start, err);
    if (outcome == OK)
        outcome = vault_count(vault, start->reg, err);
    if (outcome == OK)
        outcome = provide_commands(start, vault, arena, err);
    return outcome;
}

enum outcome start_check(struct start *start, struct err *err) {
    struct arena arena;
    struct db *vault = NULL;
    arena_init(&arena, 1 << 20);
    start_release(start);
    enum outcome outcome = open_both(start, &vault, &arena, err);
    if (outcome == OK)
        outcome = check_with(start, vault, &arena, err);
    db_close(vault);
    arena_release(&arena);
    if (outcome != OK)
        start_release(start);
    return refuse(start, outcome);
}

enum outcome start_mend(struct start *start, struct db **vault, bool *vault_older, struct err *err) {
    struct worker_shared *shared = start->shared;
    struct arena arena;
    int64_t behind = 0;
    arena_init(&arena, 1 << 20);
    *vault = NULL;
    enum outcome outcome = open_both(start, vault, &arena, err);
    if (outcome == OK)
        outcome = vault_belongs(*vault, start->reg, shared->kek, shared->vault_id, &behind, err);
    *vault_older = behind > 0;
    arena_release(&arena);
    return refuse(start, outcome);
}

enum outcome start_keep(struct start *start, struct err *err) {
    struct arena arena;
    enum outcome outcome = OK;
    arena_init(&arena, 1 << 16);
    if (start->reg && db_run(start->reg, &query_consumer_alive, NULL, NULL, err) != OK)
        start_release(start);
    if (!start->reg) {
        outcome = db_open(&start->reg, start->shared->config->register_as.consumer, APPLICATION, err);
        if (outcome == OK)
            outcome = take_instance(start, &arena, LOCK_PATIENCE_MS, err);
    }
    if (outcome == OK)
        outcome = check_policy(start, &arena, err);
    arena_release(&arena);
    if (outcome != OK)
        start_release(start);
    return refuse(start, outcome);
}

void start_release(struct start *start) {
    db_close(start->reg);
    start->reg = NULL;
}
