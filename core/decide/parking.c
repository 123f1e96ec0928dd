/* Carriers' events name refs. One whose ref is not known yet is parked for 30 days: it takes effect once a
 * disclosure or notice gives the ref its meaning, else it becomes a dead letter. A ref that is known and
 * belongs to another recipient is `not_yours`; one of the other kind (a notice's ref in a delivery status)
 * will never mean what was said and is `unknown_ref` at once. */
#include "core/decide/effect.h"

#define PARKING_US (INT64_C(30) * 24 * 3600 * 1000000)

static enum outcome refuse(struct decision *decision, const struct event *event, enum reason reason,
                           const uint8_t record_hash[32], enum verdict *verdict) {
    struct refusal refusal = {.reason = reason};
    *verdict = VERDICT_DEAD_LETTER;
    return decide_dead_letter(decision, event->topic, event->partition, event->offset, event->timestamp_ms,
                              &refusal, record_hash);
}

/* An event whose ref is known. */
static enum outcome apply(struct decision *decision, const struct event *event, const struct ref_entry *entry,
                          const uint8_t record_hash[32], enum verdict *verdict) {
    *verdict = VERDICT_APPLIED;
    if (!text_equal(entry->recipient, event->sender))
        return refuse(decision, event, REASON_NOT_YOURS, record_hash, verdict);
    if (entry->kind != (event->type == DELIVERY_STATUS ? REF_SHIPMENT : REF_NOTICE))
        return refuse(decision, event, REASON_UNKNOWN_REF, record_hash, verdict);
    return entry->kind == REF_SHIPMENT ? shipment_status(decision, event, entry)
                                       : notice_answered(decision, event, entry);
}

static int parked_compare(const struct event *a, const struct event *b) {
    int order = text_compare(a->topic, b->topic);
    if (!order)
        order = (a->partition > b->partition) - (a->partition < b->partition);
    return order ? order : (a->offset > b->offset) - (a->offset < b->offset);
}

/* Where the event stands among the parked ones, or belongs. */
static size_t parked_place(const struct ref_entry *entry, const struct event *event, bool *there) {
    size_t at = 0;
    while (at < entry->parked.count && parked_compare(&entry->parked.at[at]->event, event) < 0)
        at++;
    *there = at < entry->parked.count && parked_compare(&entry->parked.at[at]->event, event) == 0;
    return at;
}

static enum outcome park(struct decision *decision, struct ref_entry *entry, const struct event *event,
                         int64_t expires_us, const uint8_t record_hash[32]) {
    bool there;
    size_t at = parked_place(entry, event, &there);
    entry->now = REF_PARKED;
    if (there && !entry->parked.at[at]->removed)
        return OK; /* the same record again */
    struct parked *parked = there ? entry->parked.at[at] : ARENA_NEW(decision->arena, struct parked);
    if (!parked)
        return RETRY;
    if (!there) {
        if (!ARENA_PUSH(decision->arena, &entry->parked))
            return RETRY;
        struct parked **list = entry->parked.at;
        memmove(list + at + 1, list + at, (entry->parked.count - 1 - at) * sizeof(struct parked *));
        list[at] = parked;
        parked->stored = false;
    }
    parked->event = *event;
    parked->expires_us = expires_us;
    parked->removed = false;
    memcpy(parked->record_hash, record_hash, sizeof(parked->record_hash));
    return OK;
}

static enum outcome take(struct decision *decision, const struct event *event, struct text ref,
                         enum ref_kind kind, const uint8_t record_hash[32], enum verdict *verdict) {
    struct ref_entry *entry = state_ref(decision->state, ref);
    if (!entry)
        return RETRY;
    if (entry->now == REF_KNOWN)
        return apply(decision, event, entry, record_hash, verdict);
    int64_t expires_us = event->timestamp_ms * 1000 + PARKING_US;
    if (decision->now_us >= expires_us)
        return refuse(decision, event, REASON_UNKNOWN_REF, record_hash, verdict);
    if (entry->now == REF_UNKNOWN)
        entry->kind = kind; /* a guess until the ref is known */
    *verdict = VERDICT_PARKED;
    return park(decision, entry, event, expires_us, record_hash);
}

enum outcome delivery_status(struct decision *decision, const struct event *event,
                             const uint8_t record_hash[32], enum verdict *verdict) {
    return take(decision, event, event->as.delivery.shipment_ref, REF_SHIPMENT, record_hash, verdict);
}

enum outcome notice_acknowledged(struct decision *decision, const struct event *event,
                                 const uint8_t record_hash[32], enum verdict *verdict) {
    return take(decision, event, event->as.ack.notice_ref, REF_NOTICE, record_hash, verdict);
}

enum outcome ref_known(struct decision *decision, const struct ref *ref, enum ref_kind kind,
                       struct text recipient, struct text owner, struct text object) {
    struct ref_entry *entry = state_ref(decision->state, text_of(ref->chars));
    if (!entry)
        return RETRY;
    if (entry->now == REF_KNOWN)
        return OK;
    entry->now = REF_KNOWN;
    entry->kind = kind;
    entry->recipient = recipient;
    entry->customer_id = owner;
    entry->object_id = object;
    for (size_t i = 0; i < entry->parked.count; i++) {
        struct parked *parked = entry->parked.at[i];
        enum verdict verdict;
        if (parked->removed)
            continue;
        parked->removed = true;
        TRY(apply(decision, &parked->event, entry, parked->record_hash, &verdict));
        if (verdict != VERDICT_DEAD_LETTER)
            decision->verdicts[verdict]++; /* settled: counted once more */
    }
    return OK;
}

/* The calendar's act at a parked event's end. Nothing to do when it was settled in the meantime. */
enum outcome parked_expired(struct decision *decision, const struct event *event,
                            const uint8_t record_hash[32], enum verdict *verdict) {
    (void)record_hash; /* the parked event has its own */
    struct ref_entry *entry = state_ref(decision->state, event->as.parked.ref);
    bool there;
    if (!entry)
        return RETRY;
    size_t at = parked_place(entry, event, &there);
    if (!there || entry->parked.at[at]->removed || decision->now_us < entry->parked.at[at]->expires_us)
        return OK;
    struct parked *parked = entry->parked.at[at];
    parked->removed = true;
    bool waiting = false;
    for (size_t i = 0; i < entry->parked.count; i++)
        waiting |= !entry->parked.at[i]->removed;
    if (!waiting)
        entry->now = REF_UNKNOWN;
    return refuse(decision, &parked->event, REASON_UNKNOWN_REF, parked->record_hash, verdict);
}
