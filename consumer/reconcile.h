/* `kundregister restore reconcile`: after a register or a vault was restored from a backup, what topic, vault
 * and register remember of erasures is brought together, and what is erased is erased again.
 *
 * 1. Nobody else works as the consumer's role; the vault is the register's (its counter may be behind).
 * 2. The three are compared (remember.h).
 * 3. Each cut that the register lacks, of a person that it knows or the vault has keys of: the act of erasure
 *    again, through load, decide and store like any event, one transaction a portion. Every key that the cut
 *    would have destroyed goes, for what the register lost may have been sealed under it.
 * 4. Of other subjects: a tombstone without a person. Whoever turns out to be one, by a
 * replay say, is forgotten from the start.
 * 5. The vault is older than the register: every key that was destroyed in it is doomed again, and what still
 *    waited under keys that it does not have goes.
 * 6. The erasing loop until nothing is doomed; the vault gets the tombstones that it lacks.
 * 7. Each customer's permission is told again, under an id that a register from before never gave: the topic
 * may hold a later one, of a future that is no more.
 * 8. The three are compared again; the vault's counter passes the register's.
 *
 * It may be ended anywhere and run again: the start of a consumer goes on refusing until 8. Main thread only.
 */
#ifndef KR_CONSUMER_RECONCILE_H
#define KR_CONSUMER_RECONCILE_H

#include "consumer/consume.h"
#include "consumer/remember.h"
#include "consumer/worker.h"

struct reconcile_sum {
    struct remember_sum found; /* as it was */
    bool vault_older;
    size_t erased_again; /* cuts of persons that register or vault knows */
    size_t unknown;      /* cuts of other subjects */
    size_t destroyed;    /* persons whose keys the vault was made to destroy again */
    size_t told;         /* tombstones of unknown subjects that the vault was given */
    size_t let_go;       /* cuts of which something waited under keys that the older vault lost */
    size_t unreadable;   /* cells whose keys were gone already, and that went with them */
    size_t retold;       /* permission records that were told again */
    int64_t waiting;     /* persons whose keys could not be destroyed */
    struct remember_sum left;
};

/* OK; RETRY: something is away, run it again; FATAL: refused, with the way out in err.text; POISON: a
 * consumer runs. Over PostgreSQL and Kafka (reconcile_postgres.c). */
enum outcome reconcile_run(struct worker_shared *shared, const char *reason, struct reconcile_sum *sum,
                           struct err *err) MUST_CHECK;

/* ---- the steps 2 to 8 over any register, vault and topic ---- */

/* A request's cut of which something waits. */
struct reconcile_waiting {
    struct text person, subject;
    int64_t cut_us;
};

/* How the steps reach what they bring together, but for the acts, which go through the consumer's own tables.
 * Each call is one transaction, or a few portions of which each may be done twice. */
struct reconcile_ops {
    /* As remember_compare. */
    enum outcome (*compare)(void *world, struct remember_sum *sum, remember_reader *reader, void *context,
                            struct err *err);
    /* The first persons behind `after` that the register knows or the vault has keys of, at most `most`. */
    enum outcome (*persons)(void *world, struct arena *arena, const char *after, int most,
                            struct text **persons, size_t *count, struct err *err);
    /* Tombstones without a person, for these cuts, which are in order. */
    enum outcome (*orphans)(void *world, const struct remembered *cuts, size_t count, struct err *err);
    enum outcome (*waiting)(void *world, struct arena *arena, struct reconcile_waiting **rows, size_t *count,
                            struct err *err);
    /* Dooms again whatever was ever destroyed of all erased persons; *persons: how many those are. */
    enum outcome (*redoom)(void *world, size_t *persons, struct err *err);
    /* Gives the vault the tombstones of subjects that the register does not know, where it has none. */
    enum outcome (*tell)(void *world, struct json_writer *writer, size_t *told, struct err *err);
};

struct reconcile {
    /* given */
    const struct reconcile_ops *ops;
    void *world;
    struct reconcile_sum *sum;
    struct consumer consumer; /* made by whoever gives it, and released */
    /* the steps' own */
    struct remember_list lacking; /* what the register lacks */
    struct remember_list untold;  /* what the register holds and the vault lacks */
    struct arena arena;           /* of one portion of persons */
    const struct event *acts;     /* in hand */
    size_t act_count, outputs;    /* outputs: of all acts */
};

/* Before anything is changed: what the three hold. */
enum outcome reconcile_look(struct reconcile *reconcile, struct err *err) MUST_CHECK;
/* Everything after that; the consumer is there. */
enum outcome reconcile_mend(struct reconcile *reconcile, struct err *err) MUST_CHECK;
void reconcile_release(struct reconcile *reconcile);

#endif
