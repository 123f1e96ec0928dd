/* One process of the consumer after the other over one world in memory: register, topics and vault that
 * outlive it, and what they come to in the end. */
#ifndef KR_CONSUME_WORLD_H
#define KR_CONSUME_WORLD_H

#include "consumer/consume.h"
#include "tests/unit/memory_register.h"
#include "tests/unit/memory_vault.h"

struct world {
    struct memory_register memory;
    struct memory_vault vault;
    const struct policy *policy;
    /* What the loop is given instead of memory's own tables. */
    const struct topic_ops *topic_ops;
    const struct register_ops *reg_ops;
    const struct vault_ops *vault_ops;
    struct keyring *keyring;
    struct consumer consumer;
    size_t arena_bytes; /* 0: plenty */
    bool running;
};

/* Once a program: silences the log, starts libsodium, reads the example policy; the caller frees that. */
struct policy *world_policy(void);
void world_empty(struct world *world, const struct policy *policy, size_t arena_bytes);
void world_release(struct world *world);

void world_start(struct world *world, size_t batch_records);
/* The same; RETRY when memory ran out. Stopped all the same. */
enum outcome world_begin(struct world *world, size_t batch_records, struct err *err) MUST_CHECK;
void world_stop(struct world *world);
/* True when all that the topics hold is in. */
bool world_through(const struct world *world);
/* Turns the loop until everything is in and some turns more; the process has started. FATAL: it ended.
 * POISON: it goes on for ever. */
enum outcome world_turn_through(struct world *world, struct err *err) MUST_CHECK;
/* Runs until everything is in, starting anew after each crash. */
void world_run(struct world *world, size_t batch_records);

/* In `arena`. */
struct world_result {
    struct text dump, outputs, dead_letters;
    unsigned long calls;
};
struct world_result world_result(struct world *world, struct arena *arena);

#endif
