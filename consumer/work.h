/* One transaction's work, from decode to commit: the items it is made of, and what the stages made of them.
 * All in the batch's arena; done again from decode when it must be. */
#ifndef KR_CONSUMER_WORK_H
#define KR_CONSUMER_WORK_H

#include "consumer/load.h"

struct batch_record;

/* One record of a topic, or one act of the calendar. */
struct item {
    const struct batch_record *from; /* NULL: the calendar's */
    struct event event;
    struct refusal refusal;
    uint8_t record_hash[32]; /* keyed, of the value */
    uint32_t unknown_fields;
    enum verdict verdict;
    int64_t now_us; /* at which it is decided; of calendar acts the due time */
};

/* An unpublished outbox row that stays while other keys of its ring go. */
struct waiting_row {
    const struct row_unpublished *row;
    struct text plain;
};

struct work {
    struct item *items;
    size_t count;
    int64_t now_us;
    struct state *state;
    struct load load;
    struct decision decision;
    LIST(int64_t) decided_us; /* of each output */
    struct write write;
    ROWS(struct waiting_row) waiting; /* to be sealed anew */
};

#endif
