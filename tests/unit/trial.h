/* Whatever the order of arrival and the batches: the same dump, the same rows, the same told, the same last
 * records, and a silent replay (SPEC section 5: S, O1, O3, O4). */
#ifndef KR_TRIAL_H
#define KR_TRIAL_H

#include "tests/unit/fold.h"

#define TRIAL_EVENTS_MOST 40

struct trial {
    struct fold *fold;
    const struct event *events;
    size_t batch;                            /* how many events at once */
    struct text dump, packed, told, records; /* of the first order; kept outside of the register */
    struct arena arena;
    size_t orders;
};

/* Folds the events in that order and compares with the first order; passes over orders that a shop does not
 * publish in. A permute_visit; context: the trial. */
void trial_order(void *context, const size_t *order, size_t count);
/* A test's teardown: says in which order of which events a trial has ended early. Ids must outlive it. */
int trial_explain(void **state);
/* All orders, one by one, in pairs and all at once. Leaves the register of the given order. */
void trial_all_orders(struct fold *fold, const struct event *events, size_t count);

#endif
