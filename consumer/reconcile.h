/* `kundregister restore reconcile`: after a register or a vault was restored from a backup, what topic, vault
 * and register remember of erasures is brought together, and what is erased is erased again.
 *
 * 1. Nobody else works as the consumer's role; the vault is the register's (its counter may be behind).
 * 2. The three are compared (remember.h).
 * 3. Each cut that the register lacks, of a person that it knows: the act of erasure again, through load,
 *    decide and store like any event, one transaction a portion.
 * 4. Of subjects that it does not know: a tombstone without a person. Whoever turns out to be one, by a
 * replay say, is forgotten from the start.
 * 5. The vault is older than the register: every key that was destroyed in it is doomed again, and what still
 *    waited under keys that it does not have goes.
 * 6. The erasing loop until nothing is doomed; the vault gets the tombstones that it lacks.
 * 7. The three are compared again; the vault's counter passes the register's.
 *
 * It may be ended anywhere and run again: the start of a consumer goes on refusing until 7. Main thread only.
 */
#ifndef KR_CONSUMER_RECONCILE_H
#define KR_CONSUMER_RECONCILE_H

#include "consumer/remember.h"
#include "consumer/worker.h"

struct reconcile_sum {
    struct remember_sum found; /* as it was */
    bool vault_older;
    size_t erased_again; /* cuts of persons that the register knows */
    size_t unknown;      /* cuts of subjects that it does not */
    size_t destroyed;    /* persons whose keys the vault was made to destroy again */
    size_t told;         /* tombstones of unknown subjects that the vault was given */
    size_t let_go;       /* cuts of which something waited under keys that the older vault lost */
    size_t unreadable;   /* cells whose keys were gone already, and that went with them */
    int64_t waiting;     /* persons whose keys could not be destroyed */
    struct remember_sum left;
};

/* OK; RETRY: something is away, run it again; FATAL: refused, with the way out in err.text; POISON: a
 * consumer runs. */
enum outcome reconcile_run(struct worker_shared *shared, const char *reason, struct reconcile_sum *sum,
                           struct err *err) MUST_CHECK;

#endif
