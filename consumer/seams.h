/* The seams of the loop: it reaches topic and register through these two tables (the clock through
 * core/clock.h, the vault through core/keyring.h), so that a unit test can drive the very same loop over
 * memory and crash it at each call. `topics` and `reg` are whatever the table's maker needs. One thread each.
 */
#ifndef KR_CONSUMER_SEAMS_H
#define KR_CONSUMER_SEAMS_H

#include "consumer/rows.h"
#include "core/arena.h"
#include "core/err.h"
#include "core/event.h"

struct topic_place {
    struct text topic;
    int32_t partition;
    int64_t offset;
};

enum topic_news {
    TOPIC_NOTHING,
    TOPIC_RECORD,       /* message is the caller's until release */
    TOPIC_END,          /* of a partition, at offset */
    TOPIC_REASSIGNED,   /* the group gave other partitions (see assigned); nothing is fetched until assign */
    TOPIC_OUT_OF_RANGE, /* the broker does not have what a partition is to read next */
    TOPIC_AWAY,         /* the broker cannot be reached */
};
struct topic_polled {
    enum topic_news news;
    struct text topic; /* until the next poll; of a record: as long as its message */
    int32_t partition;
    int64_t offset;
    size_t size_bytes; /* of a record's value */
    void *message;
};

struct topic_ops {
    /* One piece of news, waiting at most timeout_ms. RETRY when the client is beyond help: its maker sees to
     * it. */
    enum outcome (*poll)(void *topics, int timeout_ms, struct topic_polled *polled, struct err *err);
    /* A kept message as a record; texts point into the message and the arena. */
    enum outcome (*view)(void *topics, void *message, struct arena *arena, struct record *record);
    void (*release)(void *topics, void *message);
    /* What the group gave, in the arena; offsets unset. */
    enum outcome (*assigned)(void *topics, struct arena *arena, struct topic_place **places, size_t *count,
                             struct err *err);
    /* Fetches exactly these from their offsets on; what was fetched before and not polled is thrown away. */
    enum outcome (*assign)(void *topics, const struct topic_place *places, size_t count, struct err *err);
    enum outcome (*watermarks)(void *topics, struct text topic, int32_t partition, int64_t *low,
                               int64_t *high, struct err *err);
    /* For lag tools only; nobody waits for it and nothing reads it back. */
    void (*commit)(void *topics, const struct topic_place *places, size_t count);
    /* The cluster's id, in the arena. RETRY while it is not known. */
    enum outcome (*cluster_id)(void *topics, struct arena *arena, struct text *cluster_id, struct err *err);
    /* OK when every topic that is to be read exists; RETRY when the broker is away; POISON when topics are
     * missing, their names in err. */
    enum outcome (*check)(void *topics, struct err *err);
};

/* What the calendar asks for. */
enum due_kind {
    DUE_EXPIRED, /* parked events whose ref nobody has learnt in time; by (expires, ref, place) */
    DUE_LEARNT,  /* ... that were left over when their ref became known, with their bodies; by (ref, place) */
    DUE_KINDS
};

struct register_ops {
    /* Opens the connection when there is none: OK when there is one afterwards. */
    enum outcome (*open)(void *reg, struct err *err);
    /* False after the connection broke: the transaction in flight is in doubt, and a claim settles it. */
    bool (*is_open)(void *reg);
    void (*close)(void *reg);
    /* Takes the partition over: whoever held it before is fenced, whatever it has in flight ends first. */
    enum outcome (*claim)(void *reg, const struct claim *claim, struct arena *arena, struct claimed *claimed,
                          struct err *err);
    /* Writes down why a partition is read no further. FENCED when it is somebody else's by now. */
    enum outcome (*park)(void *reg, struct text topic, int32_t partition, int64_t epoch, struct text reason,
                         struct err *err);
    /* Opens the transaction and locks these persons, given in order, before they are read. */
    enum outcome (*lock)(void *reg, struct arena *arena, const struct text *persons, size_t count,
                         struct err *err);
    /* Rows that are not there are left out. All reads from the first one after a commit, a rollback or `lock`
     * on are of one instant: what others commit meanwhile is not seen, and the guards of `write` tell. */
    enum outcome (*read)(void *reg, struct arena *arena, const struct read_request *request,
                         struct read_rows *rows, struct err *err);
    /* Outbox rows sealed under the transit keys of these rings and categories that nobody has published as
     * far as the register knows, in their order. */
    enum outcome (*unpublished)(void *reg, struct arena *arena, const struct key_doom *dooms, size_t count,
                                struct row_unpublished **rows, size_t *row_count, struct err *err);
    /* The whole transaction but its COMMIT. OK: commit or rollback must follow. FENCED: some advances are
     * lost, or the policy was passed; RETRY with guard_missed: redo. POISON: bisect. Whatever fails is rolled
     * back. */
    enum outcome (*write)(void *reg, struct arena *arena, struct write *write, struct err *err);
    enum outcome (*commit)(void *reg, struct err *err);
    void (*rollback)(void *reg);
    /* The calendar: true when this worker is the one that keeps it (and goes on being so). */
    enum outcome (*keep_calendar)(void *reg, bool *mine, struct err *err);
    /* What is due in that order, at most limit; all of it lies behind `after`, which is never NULL. */
    enum outcome (*due)(void *reg, struct arena *arena, enum due_kind kind, int64_t now_us,
                        const struct row_parked *after, size_t limit, struct row_parked **rows, size_t *count,
                        struct err *err);
};

#endif
