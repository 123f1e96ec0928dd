/* A worker: a thread with a Kafka client, two connections (register, vault), arena and key cache of its own,
 * turning the loop of consume.h. Shared between workers: what struct worker_shared holds, all of it
 * immutable, a stop flag and atomic counters. */
#ifndef KR_CONSUMER_WORKER_H
#define KR_CONSUMER_WORKER_H

#include "core/config.h"
#include "core/err.h"
#include "core/policy.h"
#include "core/ref.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

struct worker_shared {
    const struct config *config;
    const struct policy *policy;
    struct ref_key ref_key;
    uint8_t digest_key[32], kek[32];
    char vault_id[33];
    char host[65];
    bool orphan_tombstones; /* there are some of subjects that the register does not know (start.h) */
    int64_t restored_us;    /* when the register was restored last; 0: never */
    bool until_caught_up;   /* what is parked in the end is told */
};

struct worker {
    const struct worker_shared *shared;
    unsigned number; /* also its slot in core/ready.h */
    pthread_t thread;
    bool started;
    atomic_bool caught_up;            /* all that was there when it was assigned is committed */
    atomic_uint assigned, partitions; /* held by this worker; of all input topics */
    atomic_bool ended;
    size_t parked;        /* after ended, with until_caught_up: partitions that were parked */
    enum outcome outcome; /* after ended: OK, or FATAL with err */
    struct err err;
};

/* Starts the thread; FATAL when the system has none. */
enum outcome worker_start(struct worker *worker, const struct worker_shared *shared, unsigned number,
                          struct err *err) MUST_CHECK;
void worker_join(struct worker *worker);

#endif
