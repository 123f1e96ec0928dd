/* The calendar: a source of events like a topic's partition, with a position of its own ('calendar', 0) that
 * one worker of all holds. Its acts so far: a parked event whose ref nobody has learnt in 30 days expires,
 * and one that was left over when its ref became known takes effect. Acts go through the same decide and
 * store as records, expiries at their nominal due time.
 *
 * Each kind of act is a queue. A turn takes one bounded portion of each, so that topics are polled and a stop
 * is seen in between. An act that cannot be done is passed over and tried again later: it holds up no other.
 */
#ifndef KR_CONSUMER_CALENDAR_H
#define KR_CONSUMER_CALENDAR_H

#include "consumer/assignment.h"
#include "consumer/work.h"

#define CALENDAR_KEY_BYTES 256 /* of a ref, of a topic */

struct calendar_queue {
    size_t limit; /* acts in one transaction; halved when it does not fit, grows again with success */
    bool more;    /* something may be due still: do not wait */
    bool passed;  /* acts up to `after` were passed over */
    struct row_parked after; /* the next portion lies behind it; its texts are the two below */
    char ref[CALENDAR_KEY_BYTES], topic[CALENDAR_KEY_BYTES];
    int64_t again_at_us; /* monotonic: what was passed over is tried again, once the end is reached */
};

struct calendar {
    struct partition position; /* PENDING until claimed; next counts the acts done */
    struct calendar_queue queues[DUE_KINDS];
    enum due_kind kind; /* the queue in hand */
    int64_t look_at_us; /* monotonic: not looked before */
    bool mine;
};

void calendar_init(struct calendar *calendar);
/* True when it is time to look and this worker keeps the calendar; claims its position when needed. */
enum outcome calendar_due(struct calendar *calendar, struct assignment *assignment, struct arena *arena,
                          bool *due, struct err *err) MUST_CHECK;
/* Fills the work's items with a portion of the acts of calendar->kind that are due, none when there are none.
 * Also when it fails the items name the acts that it failed at. */
enum outcome calendar_take(struct calendar *calendar, const struct register_ops *ops, void *reg,
                           int64_t monotonic_us, struct work *work, struct err *err) MUST_CHECK;
/* Acts are known to wait: the loop should not. */
bool calendar_busy(const struct calendar *calendar);
/* Something was left over: look at once. */
void calendar_wake(struct calendar *calendar);
/* The work in hand is committed. */
void calendar_done(struct calendar *calendar);
/* Takes fewer acts next time; false when the work in hand is one act already. */
bool calendar_bisect(struct calendar *calendar, const struct work *work);
/* The one act in hand cannot be done: the next portion begins behind it. */
void calendar_pass(struct calendar *calendar, const struct work *work, int64_t monotonic_us);
/* The register was lost, or the position is somebody else's. */
void calendar_lost(struct calendar *calendar);

#endif
