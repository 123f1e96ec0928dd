/* Register, vault and Kafka in memory, behind the relay's tables: for driving its loop through every crash
 * point. */
#ifndef KR_MEMORY_OUTBOX_H
#define KR_MEMORY_OUTBOX_H

#include "producer/relay.h"

#define WORLD_ROWS 64
#define WORLD_TOPICS 4
#define WORLD_LOG 512

struct world_row {
    struct relay_row row;
    bool committed;       /* visible */
    bool keyless;         /* the key that it is sealed under is gone */
    bool resealed;        /* ... since it was sealed anew: read once more, it opens */
    bool goes_at_abort;   /* its key is destroyed between an aborted transaction and the next */
    bool too_large;       /* Kafka never takes it */
    const char *recorded; /* what became of it, as recorded */
};

struct world {
    struct world_row rows[WORLD_ROWS];
    size_t row_count;
    int64_t last_value, floor;
    int late_polls; /* rows that are not committed become so after that many looks at the oldest transaction
                     */
    struct relay_mark mirror[WORLD_TOPICS];
    size_t mirror_count;
    bool locked;
    bool elsewhere; /* another relay has the lock */
    struct relay_want wanted;
    /* Kafka */
    const struct world_row *log[WORLD_LOG]; /* as read_committed sees it */
    size_t log_count;
    struct relay_mark positions[WORLD_TOPICS];
    size_t position_count;
    bool in_transaction;
    const struct world_row *sent[WORLD_ROWS];
    size_t sent_count;
    struct relay_mark marks[WORLD_TOPICS];
    size_t mark_count;
    const char *denied; /* a topic that Kafka refuses ... */
    int denials;        /* ... that many times */
    bool no_position_topic;
    bool forgets_positions; /* a fault that the checker must see */
    /* faults: at the nth call from now on */
    long calls, crash_before, crash_after, fail_before, fail_after;
    bool dead;
    int64_t clock_us;
};

extern const struct clock_ops memory_clock;
extern const struct outbox_ops memory_outbox;
extern const struct unseal_ops memory_unseal;
extern const struct publish_ops memory_publish;

/* Adds a committed row of that topic and key. */
struct world_row *world_add(struct world *world, const char *topic, const char *key);
/* Two topics, two keys each, in mixed order. */
void world_plain(struct world *world);
/* The same with everything that may be in the way: a late transaction, a lost key, a row too large, a denied
 * topic. */
void world_hard(struct world *world);
/* A relay over the world, and what becomes of it when it runs until it has caught up; released in the end. */
struct relay world_relay(struct world *world);
enum outcome world_relay_run(struct relay *relay, int32_t batch_outputs, struct err *err);
/* Every row that can be published is there once, each topic's in order; the others are recorded. NULL, or
 * what is wrong. */
const char *world_check(const struct world *world);

#endif
