/* Carriers' events name refs, consents may name a token. One whose ref is not known yet is parked for 30
 * days: it takes effect once a disclosure or notice gives the ref its meaning, else it becomes a dead letter.
 * A ref that is known and belongs to another recipient is `not_yours`; one of another kind (a notice's ref in
 * a delivery status) will never mean what was said and is `unknown_ref` at once. A token is the shop's: every
 * recipient's ref is of another kind, and it is of another kind than theirs. */
#include "core/decide/marketing.h"

#include <stdlib.h>

static enum outcome refuse(struct decision *decision, const struct event *event, enum reason reason,
                           const uint8_t record_hash[32], enum verdict *verdict) {
    struct refusal refusal = {.reason = reason};
    *verdict = VERDICT_DEAD_LETTER;
    return decide_dead_letter(decision, event->topic, event->partition, event->offset, event->timestamp_ms,
                              &refusal, record_hash);
}

/* Absent: the event is none of a consent, or names the customer. */
static struct text consent_token(const struct event *event) {
    bool consent = event->type == CONSENT_WITHDRAWN || event->type == CONSENT_OBJECTED;
    return consent ? event->as.consent.token : TEXT_ABSENT;
}

/* A token's row says its generation in decimal. */
static int64_t token_generation(const struct ref_entry *entry) {
    char decimal[24] = {0};
    assert(entry->object_id.size < sizeof(decimal));
    memcpy(decimal, entry->object_id.at, entry->object_id.size);
    return strtoll(decimal, NULL, 10);
}

/* An event whose ref is known. */
static enum outcome apply(struct decision *decision, const struct event *event, const struct ref_entry *entry,
                          const uint8_t record_hash[32], enum verdict *verdict) {
    bool by_token = text_present(consent_token(event));
    *verdict = VERDICT_APPLIED;
    if (by_token != (entry->kind == REF_TOKEN))
        return refuse(decision, event, REASON_UNKNOWN_REF, record_hash, verdict);
    if (by_token)
        return consent_taken(decision, event, entry->customer_id, true, token_generation(entry));
    if (!text_equal(entry->recipient, event->sender))
        return refuse(decision, event, REASON_NOT_YOURS, record_hash, verdict);
    if (entry->kind != (event->type == DELIVERY_STATUS ? REF_SHIPMENT : REF_NOTICE))
        return refuse(decision, event, REASON_UNKNOWN_REF, record_hash, verdict);
    return entry->kind == REF_SHIPMENT ? shipment_status(decision, event, entry, verdict)
                                       : notice_answered(decision, event, entry);
}

static int parked_compare(const struct event *a, const struct event *b) {
    int order = text_compare(a->topic, b->topic);
    if (!order)
        order = (a->partition > b->partition) - (a->partition < b->partition);
    return order ? order : (a->offset > b->offset) - (a->offset < b->offset);
}

/* Where the event stands among the parked ones, or belongs: looked for from the end, for most come in order.
 */
static size_t parked_place(const struct ref_entry *entry, const struct event *event, bool *there) {
    size_t at = entry->parked.count;
    while (at && parked_compare(&entry->parked.at[at - 1]->event, event) >= 0)
        at--;
    *there = at < entry->parked.count && parked_compare(&entry->parked.at[at]->event, event) == 0;
    return at;
}

/* The parked event at this place, made when there was none; NULL: the arena is full. */
static struct parked *parked_at(struct decision *decision, struct ref_entry *entry, const struct event *event,
                                bool *there) {
    size_t at = parked_place(entry, event, there);
    if (*there)
        return entry->parked.at[at];
    struct parked *parked = ARENA_NEW(decision->arena, struct parked);
    if (!parked || !ARENA_PUSH(decision->arena, &entry->parked))
        return NULL;
    struct parked **list = entry->parked.at;
    memmove(list + at + 1, list + at, (entry->parked.count - 1 - at) * sizeof(struct parked *));
    return list[at] = parked;
}

/* Whether its row is there already nobody has looked: a record that is read again parks again, which changes
 * nothing. */
static enum outcome park(struct decision *decision, struct ref_entry *entry, const struct event *event,
                         int64_t expires_us, const uint8_t record_hash[32]) {
    bool there;
    struct parked *parked = parked_at(decision, entry, event, &there);
    if (!parked)
        return RETRY;
    entry->now = REF_PARKED;
    if (there && !parked->removed)
        return OK; /* the same record again */
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

enum outcome token_used(struct decision *decision, const struct event *event, const uint8_t record_hash[32],
                        enum verdict *verdict) {
    return take(decision, event, event->as.consent.token, REF_TOKEN, record_hash, verdict);
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

/* Its row goes, whether it was loaded or not. */
static enum outcome unpark(struct decision *decision, struct ref_entry *entry, const struct event *event) {
    bool there;
    struct parked *parked = parked_at(decision, entry, event, &there);
    if (!parked)
        return RETRY;
    if (!there)
        parked->event = *event;
    parked->stored = parked->removed = true;
    return OK;
}

/* The calendar's act at a parked event's end. Nothing to do when the ref was learnt in the meantime. */
enum outcome parked_expired(struct decision *decision, const struct event *event,
                            const uint8_t record_hash[32], enum verdict *verdict) {
    struct ref_entry *entry = state_ref(decision->state, event->as.parked.ref);
    if (!entry)
        return RETRY;
    if (entry->now != REF_PARKED || decision->now_us < event->timestamp_ms * 1000 + PARKING_US)
        return OK;
    TRY(unpark(decision, entry, event));
    return refuse(decision, event, REASON_UNKNOWN_REF, record_hash, verdict);
}

/* The calendar's act for what was left over when its ref became known: as if it came in now. */
enum outcome parked_learnt(struct decision *decision, const struct event *event,
                           const uint8_t record_hash[32], enum verdict *verdict) {
    struct ref_entry *entry = state_ref(decision->state, event->as.parked.ref);
    if (!entry)
        return RETRY;
    if (entry->now != REF_KNOWN)
        return OK;
    TRY(unpark(decision, entry, event));
    TRY(apply(decision, event->as.parked.waited, entry, record_hash, verdict));
    if (*verdict != VERDICT_DEAD_LETTER)
        decision->verdicts[*verdict]++; /* settled: counted once more */
    return OK;
}
