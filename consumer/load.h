/* Stage 3 of 7: load. Before: decode. After: decide.
 *
 * Fills a state with the aggregates that a batch's events touch, in rounds: a ref must be resolved before its
 * shipment is known, a shipment before its order. One pipelined round trip a round; persons are read before
 * what belongs to them, so that a person's revision guards all of it. Cells whose content decide reads are
 * opened on the way; one of an erased person whose key the vault has destroyed is empty: a restored register
 * may have it still. */
#ifndef KR_CONSUMER_LOAD_H
#define KR_CONSUMER_LOAD_H

#include "consumer/seams.h"
#include "core/keyring.h"

#define PARKING_PERSON "/parking" /* whose ring seals parked events; no id may look so */

#define CONTENT_LOST "{}" /* what a cell holds that nobody opens any more */

/* A cell as it was loaded: whose ring sealed it, and where it lay. */
struct loaded_cell {
    struct cell *cell;
    unsigned bit; /* NEED_... */
    enum category category;
    struct seal_place place;
    struct text ring_person;
    int64_t ring_generation;
    struct loaded_cell *next; /* of the same aggregate */
};

struct load_entry;
struct load {
    /* given */
    const struct register_ops *ops;
    void *reg;
    struct keyring *keyring;
    const struct policy *policy;
    const struct ref_key *ref_key;
    struct arena *arena;
    struct state *state;
    struct {
        const struct text *at;
        size_t count;
    } also_refs;   /* read in any case, with what is parked under them */
    bool orphans;  /* there are tombstones of persons that the register does not know */
    bool lossy;    /* all cells whose key is gone are taken for empty: `restore reconcile` */
    int64_t now_s; /* monotonic */
    /* made */
    struct load_entry *entries; /* open addressing, `room` a power of two */
    size_t room, count;
    /* to be read in this round; orphans: owner the subject, object the person */
    LIST(struct read_key)
    refs, parked, persons, orphaned, orders, shipments, notices, consents, requests, addresses, wholes;
    LIST(struct loaded_cell *) unopened; /* wanted, not opened yet */
    size_t lost;                         /* how many cells were taken for empty */
    bool waits;                          /* the event just asked met something not loaded yet */
    bool arena_full;                     /* why RETRY was returned: take fewer records */
    const char *park_reason;             /* why POISON was returned: a stored cell cannot be opened */
};

/* So many parked events of one ref are brought when it may become known; the calendar brings the rest. */
#define LOAD_PARKED_MOST 200

/* OK; RETRY (arena_full tells the batch from the register or vault that is away); POISON with
 * park_reason. */
enum outcome load_batch(struct load *load, const struct event *const *events, size_t count,
                        struct err *err) MUST_CHECK;
/* Opens these cells, those open already excepted. Results as load_batch. */
enum outcome load_open(struct load *load, struct loaded_cell *const *cells, size_t count,
                       struct err *err) MUST_CHECK;
/* How a cell of this aggregate was loaded; NULL when it was not stored. */
struct loaded_cell *load_cell(struct load *load, enum need_kind kind, struct text owner, struct text object,
                              const struct cell *cell);
/* Opens and unpacks parked events, one for each row, in load's arena; not `stored`: lossy, and it does not
 * open. Results as load_batch. */
enum outcome load_parked(struct load *load, const struct row_parked *rows, size_t count,
                         struct parked *parked, struct err *err) MUST_CHECK;
/* Where a parked event lies: owner the ref, object "topic/partition/offset". Object absent: the arena is
 * full. */
struct seal_place load_parked_place(struct arena *arena, struct text ref, struct text topic,
                                    int32_t partition, int64_t offset);

#endif
