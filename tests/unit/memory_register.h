/* A register and topics in memory: the two function tables of consumer/seams.h for tests, with a fault at any
 * call. The rules are the real ones (epochs, guards, one transaction), the storage is lists. */
#ifndef KR_MEMORY_REGISTER_H
#define KR_MEMORY_REGISTER_H

#include "consumer/seams.h"
#include "core/clock.h"
#include "core/json_write.h"
#include <setjmp.h>

enum memory_fault {
    FAULT_NONE,
    FAULT_CRASH_BEFORE, /* the process dies before the call takes effect: longjmp to `crashed` */
    FAULT_CRASH_AFTER,  /* ... after it */
    FAULT_AWAY,         /* the call fails without effect, the register's connection is gone */
    FAULT_LOST_REPLY,   /* it takes effect, but the answer never comes and the connection is gone */
    FAULT_FENCED,       /* somebody claims every position just before it */
    FAULT_GUARD,        /* a guard is missed, or the like: RETRY with 40001 where there is no guard */
    FAULT_REBALANCE,    /* the group gives the partitions anew at the next poll */
    MEMORY_FAULTS
};

struct memory_record {
    char topic[64];
    int32_t partition;
    int64_t offset, timestamp_ms;
    char key[64];
    struct text value; /* kept */
    int64_t turn;      /* records are polled in this order over all partitions */
};
struct memory_position {
    char topic[64];
    size_t topic_size;
    int32_t partition;
    struct claimed row;
    int64_t fetch;      /* what poll gives next; -1: not assigned */
    int64_t start, end; /* what Kafka holds */
    char cluster_id[32], parked[32];
};

struct memory_tombstone {
    struct text subject, person; /* absent: an orphan */
    int64_t generation;
    struct cut cut;
    struct text categories;
    int64_t version; /* another one after each write, as a row's xmin is */
    bool destroyed;
};

/* Outputs that may be told in other steps by another schedule, by what they come to: disclosures and dead
 * letters each for itself; the last record of a key; of notices that there is one. */
struct memory_told {
    struct text topic, key, line;
};

struct memory_register {
    struct arena kept; /* every row */
    struct json_writer *writer;
    LIST(struct memory_record) records;
    LIST(struct memory_position) positions; /* [0] is the calendar's */
    LIST(struct row_person) persons;
    LIST(struct row_order) orders;
    LIST(struct row_shipment) shipments;
    LIST(struct text) consignees; /* of each of these */
    LIST(struct row_consent) consents;
    LIST(struct row_guarded) requests, addresses;
    LIST(struct memory_tombstone) tombstones;
    LIST(struct key_doom) doomed;
    LIST(struct row_unpublished) outbox; /* sealed ones */
    int64_t published;                   /* rows up to this number */
    LIST(struct row_notice) notices;
    LIST(struct row_ref) refs;
    LIST(struct row_parked) parked;
    LIST(struct output_id) emitted; /* of every output ever, each once */
    LIST(struct text) outputs;      /* "subject topic type id body" */
    LIST(struct memory_told) told;  /* what these come to */
    LIST(struct text) dead_letters; /* "topic/partition/offset reason detail" */
    int64_t version;                /* of the last written tombstone */
    /* Given: new outputs are his affair (tests/simulator), and `outputs` and `told` stay empty. */
    void (*tell)(void *context, const struct write_output *output, int64_t seq);
    void *tell_context;
    struct write *pending;
    struct memory_register *snapshot; /* what a load sees; NULL: it has not begun */
    bool connected, reassigned;
    bool register_away, broker_away; /* until the test says otherwise */
    bool idle;                       /* the group gives nothing, likewise */
    /* Given: what somebody else does meanwhile, once: after the next look at a log's end, or between what a
     * read sees of persons and of their consents. */
    void (*meanwhile)(void *context);
    void *meanwhile_context;
    enum { MEANWHILE_WATERMARKS, MEANWHILE_READ } meanwhile_in;
    const char *stale; /* this topic's first record comes once more, from before the last assign */
    int64_t now_us;
    bool lossy;         /* it came back from a backup: keys of its cells may have gone since */
    const char *poison; /* a write that touches this order is refused with 22P05 */
    /* the fault: at the fault_at-th call of a table */
    enum memory_fault fault;
    unsigned long fault_at, calls;
    bool faulted;
    jmp_buf crashed;
};

extern const struct topic_ops memory_topic_ops;       /* `topics` = struct memory_register* */
extern const struct register_ops memory_register_ops; /* `reg` = the same */
extern const struct clock_ops
    memory_clock_ops; /* `clock` = the same; each look moves on 1 ms, a sleep its time */

void memory_register_init(struct memory_register *memory);
void memory_register_release(struct memory_register *memory);
/* Appends a structured CloudEvent to a topic's partition 0. */
void memory_register_publish(struct memory_register *memory, const char *topic, const char *key,
                             const char *type, const char *id, const char *time, const char *data);
struct memory_position *memory_position(struct memory_register *memory, const char *topic);
struct memory_position *memory_position_add(struct memory_register *memory, const char *topic,
                                            int32_t partition);
/* A copy that lives as long as the register. */
struct text memory_keep(struct memory_register *memory, struct text text);
struct row_cell memory_keep_cell(struct memory_register *memory, const struct cell *cell);
/* ---- for whoever keeps the transactions himself (tests/simulator) ---- */

/* What the conditions of a write find now. The first marks the advances that are lost. */
bool memory_advances_hold(struct memory_register *memory, const struct write *write);
bool memory_guards_hold(struct memory_register *memory, const struct write *write);
bool memory_emitted(const struct memory_register *memory, const struct output_id *id);
void memory_read_rows(struct memory_register *memory, struct arena *arena, const struct read_request *request,
                      struct read_rows *rows);
/* Everything that a write does. seqs: the numbers of its outputs, 0 = emitted before; NULL: drawn here. */
void memory_apply(struct memory_register *memory, const struct write *write, const int64_t *seqs);
/* All rows as they are now: lists are copied into the arena, what never changes is shared. Topics, clock and
 * faults stay `to`'s own. */
void memory_register_copy(struct memory_register *to, const struct memory_register *from,
                          struct arena *arena);

/* ---- between the files of the register in memory ---- */

/* The first row of a list that meets the condition on `row`, or NULL. */
#define MEMORY_FIND(list, condition)                                                                         \
    ({                                                                                                       \
        __typeof__((list).at) found = NULL;                                                                  \
        for (size_t n_ = 0; n_ < (list).count && !found; n_++) {                                             \
            __typeof__((list).at) row = &(list).at[n_];                                                      \
            if (condition)                                                                                   \
                found = row;                                                                                 \
        }                                                                                                    \
        found;                                                                                               \
    })
/* ... or a new one. */
#define MEMORY_ROW(list, condition)                                                                          \
    ({                                                                                                       \
        __typeof__((list).at) there = MEMORY_FIND(list, condition);                                          \
        if (!there) {                                                                                        \
            there = ARENA_PUSH(&memory->kept, &(list));                                                      \
            *there = (__typeof__(*there)){0}; /* a row may have been there and gone */                       \
        }                                                                                                    \
        assert(there);                                                                                       \
        there;                                                                                               \
    })
struct memory_position *memory_position_of(struct memory_register *memory, struct text topic,
                                           int32_t partition);

/* What a killed process leaves behind: no connection, no assignment. */
void memory_register_restart(struct memory_register *memory);

#endif
