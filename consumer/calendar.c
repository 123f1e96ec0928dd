/* The calendar: a source of events like a topic's partition. */
#include "consumer/calendar.h"

#define CALENDAR_TOPIC "calendar"
#define LOOK_EVERY_US 1000000
#define ACTS_MAX 500

void calendar_init(struct calendar *calendar) {
    *calendar = (struct calendar){.limit = ACTS_MAX};
    (void)partition_init(&calendar->position, TEXT(CALENDAR_TOPIC), 0);
}

void calendar_lost(struct calendar *calendar) {
    calendar->position.state = PARTITION_PENDING;
    calendar->mine = false;
}

enum outcome calendar_due(struct calendar *calendar, struct assignment *assignment, struct arena *arena,
                          bool *due, struct err *err) {
    int64_t now = assignment->clock->monotonic_us(assignment->clock_context);
    *due = false;
    if (now < calendar->look_at_us || !text_present(assignment->cluster_id) ||
        !assignment->reg_ops->is_open(assignment->reg))
        return OK;
    calendar->look_at_us = now + LOOK_EVERY_US;
    enum outcome outcome = OK;
    if (!calendar->mine) {
        calendar->position.state = PARTITION_PENDING;
        outcome = assignment->reg_ops->keep_calendar(assignment->reg, &calendar->mine, err);
    }
    if (outcome == OK && calendar->mine && calendar->position.state == PARTITION_PENDING) {
        outcome = assignment_claim(assignment, &calendar->position, 0, arena, err);
        if (outcome == OK)
            calendar->position.state = PARTITION_ACTIVE;
    }
    *due = outcome == OK && calendar->mine;
    return outcome;
}

enum outcome calendar_take(struct calendar *calendar, const struct register_ops *ops, void *reg,
                           int64_t now_us, struct work *work, struct arena *arena, struct err *err) {
    struct row_parked *rows;
    size_t count;
    enum outcome outcome = ops->due(reg, arena, now_us, calendar->limit, &rows, &count, err);
    if (outcome != OK)
        return outcome;
    work->items = ARENA_ARRAY(arena, struct item, count + 1);
    if (!work->items) {
        work->load.arena_full = true;
        return err_set(err, RETRY, 0, "the calendar's acts do not fit the batch's memory");
    }
    for (size_t i = 0; i < count; i++) {
        struct item *item = &work->items[work->count++];
        struct event *event = &item->event;
        event->type = CALENDAR_PARKED_EXPIRED;
        event->version.time_us = item->now_us = rows[i].expires_us;
        event->topic = rows[i].topic;
        event->partition = rows[i].partition;
        event->offset = rows[i].offset;
        event->timestamp_ms = -1; /* decide finds the whole event under the ref */
        event->as.parked.ref = rows[i].ref;
        if (rows[i].record_hash.size == sizeof item->record_hash)
            memcpy(item->record_hash, rows[i].record_hash.at, sizeof item->record_hash);
    }
    return OK;
}
