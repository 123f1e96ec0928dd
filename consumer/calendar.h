/* The calendar: a source of events like a topic's partition, with a position of its own ('calendar', 0) that
 * one worker of all holds. Its one act so far: a parked event whose ref nobody has learnt in 30 days expires.
 * Acts go through the same decide and store as records, at their nominal due time. */
#ifndef KR_CONSUMER_CALENDAR_H
#define KR_CONSUMER_CALENDAR_H

#include "consumer/assignment.h"
#include "consumer/work.h"

struct calendar {
    struct partition position; /* PENDING until claimed; next counts the acts done */
    int64_t look_at_us;        /* monotonic: not looked before */
    size_t limit;              /* acts in one transaction; halved when it does not fit */
    bool mine;
};

void calendar_init(struct calendar *calendar);
/* True when it is time to look and this worker keeps the calendar; claims its position when needed. */
enum outcome calendar_due(struct calendar *calendar, struct assignment *assignment, struct arena *arena,
                          bool *due, struct err *err) MUST_CHECK;
/* Fills the work's items with acts that are due, none when there are none. */
enum outcome calendar_take(struct calendar *calendar, const struct register_ops *ops, void *reg,
                           int64_t now_us, struct work *work, struct arena *arena,
                           struct err *err) MUST_CHECK;
/* The register was lost, or the position is somebody else's. */
void calendar_lost(struct calendar *calendar);

#endif
