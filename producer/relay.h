/* The relay: carries the outbox to Kafka, each row once, in the order of its numbers per topic (SPEC section
 * 5).
 *
 * Stages 6 and 7 of 7: outbox (read what is complete), publish (one Kafka transaction). Before: store. After:
 * whoever reads the output topics with isolation.level=read_committed.
 *
 * The loop reaches the world only through the tables below: PostgreSQL and Kafka stand behind them in
 * outbox.c, unseal.c and publish.c, memory in tests/unit/memory_outbox.c, where every crash point of this
 * same loop is driven. One thread.
 *
 * A session is: the lock, a fresh producer (which fences the predecessor), the position read from Kafka, and
 * its comparison with the outbox. Whatever goes wrong beyond one row or one topic ends the session, and the
 * next begins the same way: nothing that a session knew is trusted after it. */
#ifndef KR_RELAY_H
#define KR_RELAY_H

#include "core/arena.h"
#include "core/clock.h"
#include "core/err.h"
#include "core/metrics.h"
#include "core/text.h"
#include <stdbool.h>
#include <stdint.h>

#define ROW_ID_BYTES 16
#define RELAY_TOPICS_MAX 512
#define RELAY_TOPIC_BYTES 250 /* Kafka's limit of 249, and the end */

enum relay_fate {
    FATE_PUBLISH = 0,
    FATE_SETTLED,       /* recorded before as never to be published (again) */
    FATE_ELSEWHERE,     /* its id is in Kafka already, from before a restore: recorded `published` */
    FATE_WITHHELD,      /* its transit key is destroyed: recorded so, never produced */
    FATE_UNPUBLISHABLE, /* damaged, or refused by Kafka for good: recorded so, alarmed */
};

/* One row of the outbox. Texts lie in the batch's arena. */
struct relay_row {
    int64_t seq;
    uint8_t row_id[ROW_ID_BYTES], output_id[16];
    struct text topic, key, type;
    int64_t decided_us;
    struct text person; /* empty: the body is clear */
    int64_t generation;
    int category;
    struct text body, headers; /* as stored */
    struct text plain;         /* opened, within one transaction only */
    bool keyless;              /* the key that its body names is not there (any more) */
    enum relay_fate fate;
    const char *detail; /* of a fate, without content */
    bool noted;         /* the fate is among those to be recorded */
};
struct relay_rows {
    struct relay_row *at;
    size_t count;
};

/* The last published row of a topic. */
struct relay_mark {
    struct text topic;
    int64_t seq;
    uint8_t row_id[ROW_ID_BYTES];
};
struct relay_marks {
    struct relay_mark *at;
    size_t count, room;
};

/* Which rows: after < seq <= up_to, of one topic, or of all but the stalled ones. */
struct relay_want {
    int64_t after, up_to;
    int32_t limit;
    struct text topic; /* absent: all */
    const struct text *stalled;
    size_t stalled_count;
};

/* What a session has learnt and PostgreSQL should know: positions after Kafka committed them, fates, the
 * floor. */
struct relay_news {
    const struct relay_mark *marks;
    size_t mark_count;
    const struct relay_row *rows; /* with a fate to be recorded */
    size_t row_count;
    int64_t floor;
};

/* Stage 6. One connection, one statement a transaction. RETRY ends the session; FATAL ends the program. */
struct outbox_ops {
    /* Connects and tries the relay's lock; *ours false: another relay has it. */
    enum outcome (*open)(void *outbox, bool *ours, struct err *err);
    void (*close)(void *outbox);
    /* The connection that holds the lock lives. */
    enum outcome (*alive)(void *outbox, struct err *err);
    /* FATAL when this program's policy is not the active one, or the schema another than its own. */
    enum outcome (*policy)(void *outbox, struct err *err);
    enum outcome (*last_value)(void *outbox, int64_t *seq, struct err *err);
    enum outcome (*transaction_id)(void *outbox, int64_t *id, struct err *err);
    enum outcome (*oldest_transaction)(void *outbox, int64_t *id, struct err *err);
    /* Who holds the horizon, as a sentence's part. */
    enum outcome (*holders)(void *outbox, char *buffer, size_t room, struct err *err);
    /* Asks without waiting; at most one at a time. The other calls may come in between. */
    enum outcome (*ask)(void *outbox, const struct relay_want *want, struct err *err);
    /* The rows asked for. */
    enum outcome (*rows)(void *outbox, struct arena *arena, struct relay_rows *rows, struct err *err);
    /* Reads these rows' bodies again; absent when the row is gone. */
    enum outcome (*bodies)(void *outbox, struct arena *arena, struct relay_row **rows, size_t count,
                           struct err *err);
    enum outcome (*mirror)(void *outbox, struct arena *arena, struct relay_marks *marks, int64_t *floor,
                           struct err *err);
    /* same[i]: the row that marks[i] names is there with that row id. */
    enum outcome (*find)(void *outbox, struct arena *arena, const struct relay_marks *marks, bool *same,
                         struct err *err);
    enum outcome (*record)(void *outbox, struct arena *arena, const struct relay_news *news, struct err *err);
    enum outcome (*drop)(void *outbox, int *dropped, struct err *err);
};

/* The vault: opens bodies inside a Kafka transaction that has begun, with keys fetched then and kept no
 * longer. Sets plain, or keyless, or fate and detail. */
struct unseal_ops {
    enum outcome (*open)(void *unseal, struct err *err);
    void (*close)(void *unseal);
    enum outcome (*bodies)(void *unseal, struct arena *arena, struct relay_row **rows, size_t count,
                           struct err *err);
};

/* Stage 7. POISON: Kafka refuses some of what was sent for good; the transaction is to be aborted and can be.
 * RETRY and FENCED: the producer is worth nothing any more. */
struct publish_ops {
    /* A fresh producer; fences its predecessor and ends its transaction. */
    enum outcome (*open)(void *publish, struct err *err);
    void (*close)(void *publish);
    /* The positions as committed, read to the end. *missing: there is no position topic. FATAL: a foreign
     * transaction stays open on it. */
    enum outcome (*positions)(void *publish, struct arena *arena, struct relay_marks *marks, bool *missing,
                              struct err *err);
    enum outcome (*begin)(void *publish, struct err *err);
    enum outcome (*send)(void *publish, const struct relay_row *row, struct err *err);
    enum outcome (*position)(void *publish, const struct relay_mark *mark, struct err *err);
    enum outcome (*commit)(void *publish, struct err *err);
    enum outcome (*abort)(void *publish, struct err *err);
    /* Whether a POISON means the whole topic (missing, denied) rather than a row. */
    bool (*refuses_topic)(const struct err *err);
};

struct relay_config {
    int32_t batch_outputs;
    size_t batch_bytes;
    int64_t poll_us, horizon_alarm_us;
    bool until_caught_up;
};

struct relay_topic {
    char name[RELAY_TOPIC_BYTES];
    size_t name_size;
    unsigned label; /* of metrics */
    bool positioned;
    int64_t seq; /* of the last published row */
    uint8_t row_id[ROW_ID_BYTES];
    bool unmirrored;
    /* in the transaction under way */
    int64_t sending_seq;
    uint8_t sending_row_id[ROW_ID_BYTES];
    uint64_t sending_count;
    /* stalled: its rows up to `cursor` are settled, the others are left out until Kafka takes one again */
    bool stalled;
    bool probing;   /* its rows are tried in spite of that */
    bool refused;   /* the last attempt was */
    bool answering; /* it took a row again, the rest follows at once */
    int64_t cursor, retry_at_us, backoff_us;
};

/* One session's knowledge, and what it stands on. */
struct relay {
    struct relay_config config;
    const struct clock_ops *clock_ops;
    const struct outbox_ops *outbox_ops;
    const struct unseal_ops *unseal_ops;
    const struct publish_ops *publish_ops;
    void *clock, *outbox, *unseal, *publish;

    struct relay_topic *topics; /* RELAY_TOPICS_MAX */
    size_t topic_count;
    int64_t scanned;  /* the highest row read: all up to it are settled, or of a stalled topic */
    int64_t complete; /* the horizon: every row up to it can be seen */
    int64_t last_value;
    bool drained; /* every row up to `complete` was read */
    bool asked;
    struct relay_row *fates; /* to be recorded; FATES_MAX, texts in fates_arena */
    size_t fate_count;
    bool unrecorded;
    int64_t recorded_at_us, dropped_at_us, checked_at_us;
    int64_t target;           /* --until-caught-up: -1 = not known yet */
    int64_t stalled_since_us; /* since then only stalled topics keep it from its end; -1 = others do */
    struct arena batch, plain, fates_arena;
    struct text stalled_names[RELAY_TOPICS_MAX];
    size_t stalled_count;

    enum metric_away reaching; /* for the log: what a failing call was made to */
    bool renewed;              /* not the first session */
    bool refused;              /* out: FATAL because positions and outbox do not fit (exit 78) */
};

enum outcome relay_init(struct relay *relay, const struct relay_config *config, struct err *err) MUST_CHECK;
void relay_release(struct relay *relay);
/* Runs until the end is asked for, or until it has caught up: OK. FATAL: err says why. */
enum outcome relay_run(struct relay *relay, struct err *err) MUST_CHECK;

/* ---- between relay.c and its parts ---- */

/* A session's start: lock, producer, positions, comparison (relay_start.c). *ours false: standing by. */
enum outcome relay_start(struct relay *relay, bool *ours, struct err *err) MUST_CHECK;
void relay_end(struct relay *relay);
/* Whether starting again would not help: it would when only memory was short. */
bool relay_refuses(enum outcome outcome, const struct err *err);
/* The topic of that name, made when new; NULL when there are too many. */
struct relay_topic *relay_topic(struct relay *relay, struct text name);

/* Publishes the batch's rows and settles those that cannot be (relay_batch.c). On OK every row of a topic
 * that is not stalled is settled. settled_before: the rows up to it had been settled before. */
enum outcome relay_batch(struct relay *relay, struct relay_rows *rows, int64_t settled_before,
                         struct err *err) MUST_CHECK;
/* Which topics are left out now, after one began or ceased to be stalled. */
void relay_count_stalled(struct relay *relay);
/* Has positions, fates and the floor written to PostgreSQL. */
enum outcome relay_record(struct relay *relay, struct err *err) MUST_CHECK;

/* Labels of the kill points, ended by NULL. */
extern const char *const relay_kill_points[];

#endif
