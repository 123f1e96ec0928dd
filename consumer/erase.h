/* The erasing loop: what the register's transactions have doomed, the vault destroys (SPEC section 6, Erase).
 *
 * 1. An erasing transaction commits, in the register: tombstones, floors, the keys below them as `doomed`.
 * 2. erase_turn, by the worker that keeps the calendar, reads a portion of the persons concerned: their
 *    doomed keys, their tombstones, the addresses that they had.
 * 3. (consumer.before_destroy) One transaction of the vault takes those keys out of the rings, deletes the
 *    lookups, writes each whole merged tombstone, raises the vault's counter. (consumer.after_destroy)
 * 4. One transaction of the register deletes the doomed rows whose floors are still those, marks the
 *    tombstones that are still what was read as destroyed, follows the counter. (consumer.before_destroyed
 *    is before its COMMIT.)
 *
 * A crash anywhere leaves the rows of 1, and every step done twice is as good as once. The loop reaches the
 * register through a table and the vault through its keyring only, so that a test drives it over memory. One
 * thread. */
#ifndef KR_CONSUMER_ERASE_H
#define KR_CONSUMER_ERASE_H

#include "core/clock.h"
#include "core/decide/state.h"
#include "core/json_write.h"
#include "core/keyring.h"

/* A tombstone of a person in hand, destroyed or not: the vault is told of all. */
struct erase_cut {
    struct text person, subject, cause;
    struct text categories; /* joined by commas */
    int64_t cut_us, generation;
    bool valid, complete;
    struct text row; /* tells this version of the row from another */
};
/* The person's guard, packed. */
struct erase_guard {
    struct text person, merge;
};
struct erase_portion {
    size_t persons;                  /* how many there are in it */
    struct text last;                /* the last of them */
    int64_t read_us;                 /* when it was read, by the register's clock */
    LIST(struct key_doom) dooms;     /* by (person, generation, category) */
    LIST(struct erase_cut) cuts;     /* by (person, cut) */
    LIST(struct erase_guard) guards; /* by person */
};
/* An address hash and who used it, packed. */
struct erase_address {
    struct text hash, merge;
};

/* Over PostgreSQL: register_erase.c. */
struct erase_ops {
    /* The first persons behind `after` (bytewise) that have doomed keys or tombstones not yet destroyed, at
     * most `limit`, with all that belongs to them. */
    enum outcome (*pending)(void *reg, struct arena *arena, struct text after, size_t limit,
                            struct erase_portion *portion, struct err *err);
    /* Those of the addresses that are there, by hash. */
    enum outcome (*addresses)(void *reg, struct arena *arena, const struct text *hashes, size_t count,
                              struct erase_address **rows, size_t *row_count, struct err *err);
    /* Step 4, in one transaction. */
    enum outcome (*destroyed)(void *reg, struct arena *arena, const struct erase_portion *portion,
                              int64_t counter, struct err *err);
    /* How many persons wait. */
    enum outcome (*count)(void *reg, int64_t *persons, struct err *err);
};

extern const struct erase_ops erase_postgres; /* `reg` = struct register_postgres* (register_erase.c) */

#define ERASE_PERSON_BYTES 1024

struct erase {
    /* given */
    const struct erase_ops *ops; /* NULL: nothing is ever erased */
    void *reg;
    struct keyring *keyring;
    struct json_writer *writer;
    const struct clock_ops *clock;
    void *clock_context;
    /* the loop's own */
    size_t limit; /* persons in one portion; halved when it fails, grows again */
    bool more;    /* something may wait still */
    bool passed;  /* the next portion lies behind `after`: what is up to there was tried in vain */
    char after[ERASE_PERSON_BYTES];
    size_t after_bytes;
    unsigned failures;                                        /* in a row */
    int64_t look_at_us, again_at_us, count_at_us, done_at_us; /* monotonic */
    bool vault_away;                                          /* the last failure was the vault's */
};

/* `erase` has what is given; the rest is set. */
void erase_init(struct erase *erase);
/* An erasing transaction of this worker's own was committed: look soon. */
void erase_wake(struct erase *erase);
/* True while something waits or nobody has looked yet. */
bool erase_busy(const struct erase *erase);
/* True while there is more to be destroyed without a pause. */
bool erase_at_once(const struct erase *erase);
/* Has a portion destroyed when it is time to look (each second, at once while there is more). What fails is
 * tried again after a growing pause: RETRY tells that it did, for whoever shows what is away. FATAL as the
 * seams say. */
enum outcome erase_turn(struct erase *erase, struct arena *arena, struct err *err) MUST_CHECK;
/* This worker does not keep the calendar (any more). */
void erase_rest(struct erase *erase);

/* ---- between erase.c and erase_body.c ---- */

/* What the vault keeps of one person: JSON {erasures, subject, suppression} (schema/vault/002_tombstone.sql),
 * and until when he is erased. cuts: all of his. addresses: by hash. row->told: its hashes stay, for a
 * register that was made anew may not know them any more. POISON: the packed guard or an address is damaged.
 */
enum outcome erase_body(struct json_writer *writer, struct arena *arena, const struct erase_cut *cuts,
                        size_t count, struct text merge, const struct erase_address *addresses,
                        size_t address_count, struct tombstone_row *row, struct err *err) MUST_CHECK;
/* Adds the hashes of every address that the packed guard names. */
enum outcome erase_hashes(struct arena *arena, struct text merge, struct text **hashes, size_t *count,
                          size_t *room, struct err *err) MUST_CHECK;

#endif
