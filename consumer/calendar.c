/* The calendar: a source of events like a topic's partition. */
#include "consumer/calendar.h"
#include <assert.h>

#define CALENDAR_TOPIC "calendar"
#define LOOK_EVERY_US 1000000
#define AGAIN_AFTER_US 60000000
#define ACTS_MAX 500

static const enum event_type acts[DUE_KINDS] = {
    [DUE_EXPIRED] = CALENDAR_PARKED_EXPIRED, [DUE_LEARNT] = CALENDAR_PARKED_LEARNT};

static void queue_from_start(struct calendar_queue *queue) {
    queue->passed = false;
    queue->after = (struct row_parked){.ref = TEXT(""), .topic = TEXT(""), .offset = -1};
}

void calendar_init(struct calendar *calendar) {
    *calendar = (struct calendar){.mine = false};
    for (size_t i = 0; i < DUE_KINDS; i++) {
        calendar->queues[i].limit = ACTS_MAX;
        queue_from_start(&calendar->queues[i]);
    }
    (void)partition_init(&calendar->position, TEXT(CALENDAR_TOPIC), 0);
}

void calendar_lost(struct calendar *calendar) {
    calendar->position.state = PARTITION_PENDING;
    calendar->mine = false;
    for (size_t i = 0; i < DUE_KINDS; i++)
        calendar->queues[i].more = false;
}

bool calendar_busy(const struct calendar *calendar) {
    bool more = false;
    for (size_t i = 0; i < DUE_KINDS; i++)
        more |= calendar->queues[i].more;
    return calendar->mine && more;
}

void calendar_wake(struct calendar *calendar) {
    calendar->look_at_us = 0;
}

enum outcome calendar_due(struct calendar *calendar, struct assignment *assignment, struct arena *arena,
                          bool *due, struct err *err) {
    int64_t now = assignment->clock->monotonic_us(assignment->clock_context);
    *due = false;
    if ((now < calendar->look_at_us && !calendar_busy(calendar)) || !text_present(assignment->cluster_id) ||
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

/* ---- a portion ---- */

static void make_act(struct calendar *calendar, const struct row_parked *row, struct work *work) {
    struct item *item = &work->items[work->count++];
    struct event *event = &item->event;
    event->type = acts[calendar->kind];
    event->version.time_us = item->now_us = work->now_us;
    if (calendar->kind == DUE_EXPIRED)
        event->version.time_us = item->now_us = row->expires_us;
    event->topic = row->topic;
    event->partition = row->partition;
    event->offset = row->offset;
    event->timestamp_ms = (row->expires_us - PARKING_US) / 1000;
    event->as.parked.ref = row->ref;
    if (row->record_hash.size == sizeof item->record_hash)
        memcpy(item->record_hash, row->record_hash.at, sizeof item->record_hash);
}

static enum outcome full(struct work *work, struct err *err) {
    work->load.arena_full = true;
    return err_set(err, RETRY, 0, "the calendar's acts do not fit the batch's memory");
}

enum outcome calendar_take(struct calendar *calendar, const struct register_ops *ops, void *reg,
                           int64_t monotonic_us, struct work *work, struct err *err) {
    struct calendar_queue *queue = &calendar->queues[calendar->kind];
    struct arena *arena = work->load.arena;
    struct row_parked *rows;
    size_t count;
    queue->more = false;
    enum outcome outcome =
        ops->due(reg, arena, calendar->kind, work->now_us, &queue->after, queue->limit, &rows, &count, err);
    if (outcome != OK)
        return outcome;
    queue->more = count > 0;
    if (!count && queue->passed && monotonic_us >= queue->again_at_us)
        queue_from_start(queue);
    work->items = ARENA_ARRAY(arena, struct item, count + 1);
    if (!work->items)
        return full(work, err);
    for (size_t i = 0; i < count; i++)
        make_act(calendar, &rows[i], work);
    if (calendar->kind != DUE_LEARNT || !count)
        return OK;
    struct parked *waited = ARENA_ARRAY(arena, struct parked, count);
    outcome = waited ? load_parked(&work->load, rows, count, waited, err) : full(work, err);
    for (size_t i = 0; outcome == OK && i < count; i++)
        work->items[i].event.as.parked.waited = &waited[i].event;
    return outcome;
}

/* ---- what became of it ---- */

void calendar_done(struct calendar *calendar) {
    struct calendar_queue *queue = &calendar->queues[calendar->kind];
    queue->limit = queue->limit * 2 < ACTS_MAX ? queue->limit * 2 : ACTS_MAX;
}

bool calendar_bisect(struct calendar *calendar, const struct work *work) {
    struct calendar_queue *queue = &calendar->queues[calendar->kind];
    size_t tried = work->count && work->count < queue->limit ? work->count : queue->limit;
    if (tried <= 1)
        return false;
    queue->limit = tried / 2;
    queue->more = true;
    return true;
}

/* A ref has 43 characters, a topic of Kafka at most 249. */
static struct text keep(char *room, struct text text) {
    assert(text.size <= CALENDAR_KEY_BYTES);
    memcpy(room, text.at, text.size);
    return (struct text){room, text.size};
}

void calendar_pass(struct calendar *calendar, const struct work *work, int64_t monotonic_us) {
    struct calendar_queue *queue = &calendar->queues[calendar->kind];
    if (!work->count) { /* not even known which: look again later */
        calendar_lost(calendar);
        return;
    }
    const struct item *item = &work->items[0];
    queue->passed = queue->more = true;
    queue->again_at_us = monotonic_us + AGAIN_AFTER_US;
    queue->after = (struct row_parked){.ref = keep(queue->ref, item->event.as.parked.ref),
                                       .topic = keep(queue->topic, item->event.topic),
                                       .partition = item->event.partition,
                                       .offset = item->event.offset,
                                       .expires_us = item->now_us};
}
