/* What happens after a transaction: the one place of the consumer that chooses. Done, done again, bisected,
 * given up until the partitions are claimed again, or the end of the process. */
#ifndef KR_CONSUMER_SETTLE_H
#define KR_CONSUMER_SETTLE_H

#include "consumer/consume.h"

/* Takes a transaction's outcome: OK to go on with what is left of the batch, FATAL to end. */
enum outcome settle(struct consumer *consumer, enum outcome outcome, struct err *err) MUST_CHECK;
/* Releases the records of a partition; NULL: all of them. The others keep their order. */
void settle_drop(struct consumer *consumer, const struct partition *gone);
/* Gives everything in hand up: what was read is read again after the partitions are claimed again. */
void settle_abandon(struct consumer *consumer);

#endif
