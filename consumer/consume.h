/* Stage 1 of 7: consume, and the loop around stages 1 to 5. Before: the topics. After: decode.
 *
 * One worker's loop. It reaches clock, topic, register and vault through function tables only, so that
 * tests/unit/test_consume.c drives this very code over memory and crashes it at each call. Nothing in memory
 * is worth anything after a crash: positions, state and outputs lie in one transaction. */
#ifndef KR_CONSUMER_CONSUME_H
#define KR_CONSUMER_CONSUME_H

#include "consumer/assignment.h"
#include "consumer/calendar.h"
#include "consumer/decode.h"
#include "consumer/erase.h"
#include "consumer/seal_batch.h"
#include "consumer/seams.h"
#include "consumer/work.h"
#include "core/clock.h"

/* What the loop is given; all of it outlives the consumer. */
struct consume_setup {
    const struct topic_ops *topic_ops;
    void *topics;
    const struct register_ops *reg_ops;
    void *reg;
    const struct erase_ops *erase_ops; /* over the same reg; NULL: nobody destroys keys */
    const struct clock_ops *clock;
    void *clock_context;
    struct keyring *keyring;
    /* Opens the vault's connection when there is none; NULL when it needs none. */
    enum outcome (*vault_open)(void *vault, struct err *err);
    void *vault;
    const struct policy *policy;
    const struct ref_key *ref_key;
    const uint8_t *digest_key; /* 32 bytes */
    struct text owner;         /* "host/instance/worker" */
    bool orphan_tombstones;    /* there are some of persons that the register does not know (at start) */
    int64_t restored_us;       /* of struct decision (at start) */
    size_t batch_records, batch_bytes, arena_bytes;
    int linger_ms;
};

/* A message kept until its transaction is committed, so that it can be decoded again. */
struct batch_record {
    struct partition *partition;
    int64_t offset;
    size_t size_bytes;
    void *message;
    struct refusal refused; /* by the database, found by bisection */
};

enum consume_away { CONSUME_REGISTER_AWAY = 1, CONSUME_VAULT_AWAY = 2, CONSUME_BROKER_AWAY = 4 };

struct consumer {
    struct consume_setup setup;
    struct assignment assignment;
    struct calendar calendar;
    struct erase erase;
    struct arena arena;
    struct decoder decoder;
    struct json_writer *writer;
    struct sealer *sealer;
    uint8_t lookup_key[32];
    /* the batch in hand */
    struct batch_record *records;
    size_t record_count, record_bytes;
    size_t take;      /* how many of them go into the next transaction */
    unsigned misses;  /* of guards, in a row */
    bool looks_again; /* a stored cell did not open: it is loaded once more before its partition parks */
    unsigned redone;  /* for serialisation failures and the like, in a row */
    /* refs that batches found new whose guards were missed: asked for when the batch is done again */
    struct arena missed_arena;
    LIST(struct text) missed_refs;
    struct work work;
    bool in_calendar; /* the work in hand is the calendar's */
    /* how it stands */
    bool reassigned; /* the group gave other partitions, not taken over yet */
    bool assigned_once;
    unsigned away;        /* enum consume_away bits */
    char missing[120];    /* topics that do not exist; "" = none */
    int64_t check_at_us;  /* monotonic: topics are checked again */
    unsigned checks_soon; /* so many of the next come early */
    int64_t look_at_us;   /* monotonic: servers are looked at again */
    int64_t last_now_us;  /* `now` never goes back */
    int64_t committed_us; /* monotonic time of the last commit */
};

/* RETRY when memory ran out. */
enum outcome consumer_init(struct consumer *consumer, const struct consume_setup *setup,
                           struct err *err) MUST_CHECK;
void consumer_release(struct consumer *consumer);

/* One turn of the loop: claims what is due, takes in what is there (waiting at most wait_ms for the first
 * record), brings all of it through, then looks at the calendar. Whatever is away is waited out: OK. FATAL
 * ends the process. */
enum outcome consume_turn(struct consumer *consumer, int wait_ms, struct err *err) MUST_CHECK;

/* Stage 2 for the records that go into this transaction: work's items and advances (consume_decode.c). */
enum outcome consume_decode(struct consumer *consumer, struct err *err) MUST_CHECK;

/* At the end of a run until it has caught up: what the others' last transactions have doomed goes too, as far
 * as nothing is away. */
void consume_erase_rest(struct consumer *consumer);
/* What erasing transactions have doomed is destroyed, by the worker that keeps the calendar
 * (consume_erase.c).
 */
enum outcome consume_erase(struct consumer *consumer, struct err *err) MUST_CHECK;

/* What stands for stages 1 and 2: fills consumer->work's items and the advances of its write; no items: there
 * is nothing to do. */
typedef enum outcome consume_source(struct consumer *consumer, struct err *err);
/* The stages of one transaction: decode, load, decide, store, commit. Whoever calls it sees to what becomes
 * of it: the loop does (settle.h), and `restore reconcile`. */
enum outcome consume_transact(struct consumer *consumer, consume_source *decode, struct err *err) MUST_CHECK;

/* True when everything that the group gave is read; else why not, for /readyz. */
bool consumer_ready(const struct consumer *consumer, char *reason, size_t room);
bool consumer_caught_up(const struct consumer *consumer);

#endif
