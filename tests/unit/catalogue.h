/* Events of one customer, the consignee of his gifts and a stranger who shares his address: every type whose
 * effect is built in several variants that tie in time, state a part, come orphaned, reuse ids, move parcels
 * between carriers, services and consignees, and stand before, at and after the cuts. */
#ifndef KR_CATALOGUE_H
#define KR_CATALOGUE_H

#include "tests/unit/fold.h"

#define CATALOGUE_MOST 112

/* Fills `events`; returns how many. Within a partition (catalogue_chain) they stand in an order that a shop
 * may publish them in. Refs of acknowledgements are still open: catalogue_answers. The fold is the one that
 * tests/unit/marketing_trial.h works on. */
size_t catalogue_events(struct fold *fold, struct event *events);
/* Lets each acknowledgement among the events name a notice that its sender gets when the others are folded in
 * the given order, or none that there is. Leaves the fold's register changed. */
void catalogue_answers(struct fold *fold, struct event *events, size_t count);
/* The two have one topic and one key, so their order is the shop's or the carrier's. */
bool catalogue_one_partition(const struct event *a, const struct event *b);

#endif
