/* What must hold before a worker starts, and the one connection that stands for the process: it keeps the
 * advisory lock of this instance, so that a second process with the same number refuses. Main thread only. */
#ifndef KR_CONSUMER_START_H
#define KR_CONSUMER_START_H

#include "consumer/worker.h"
#include "core/db.h"

struct start {
    struct worker_shared *shared;
    struct db *reg; /* holds the instance's lock; NULL while the register is away */
    bool refused;   /* of FATAL: the configuration or the state of things is wrong (exit 78) */
};

/* Once: register and vault can be reached, their schemas are ours, our policy is the active one, the vault is
 * the register's and the key-encryption key its own, nobody runs under our number, and the register lacks no
 * erasure that topic or vault remember. Fills shared->vault_id.
 * RETRY: something is away. FATAL with refused: does not help to try again. */
enum outcome start_check(struct start *start, struct err *err) MUST_CHECK;
/* The same for `restore reconcile`, which mends what else is refused: the vault may be older than the
 * register, nothing is compared and nothing counted. The vault's connection is the caller's. */
enum outcome start_mend(struct start *start, struct db **vault, bool *vault_older,
                        struct err *err) MUST_CHECK;
/* Now and then: the lock is still ours, taken again after the register was away, and our policy still the
 * active one. FATAL when another process has the lock or another policy is active. */
enum outcome start_keep(struct start *start, struct err *err) MUST_CHECK;
void start_release(struct start *start);

#endif
