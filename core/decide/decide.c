/* Stage 4 of 7: decide. One table says which effect each type of event has; what all effects share stands
 * here. */
#include "core/decide/effect.h"

/* A type without an effect is valid and not built yet: its events become dead letters, never lost in silence.
 */
static decide_effect *const effects[EVENT_TYPES] = {
    [CUSTOMER_REGISTERED] = customer_registered,
    [CUSTOMER_CHANGED] = customer_changed,
    [CUSTOMER_SEEN] = customer_seen,
    [CUSTOMER_CLOSED] = customer_closed,
    [ORDER_PLACED] = order_placed,
    [ORDER_CHANGED] = order_changed,
    [ORDER_PAID] = order_paid,
    [ORDER_CANCELLED] = order_cancelled,
    [SHIPMENT_REQUESTED] = shipment_requested,
    [SHIPMENT_CHANGED] = shipment_requested,
    [SHIPMENT_CANCELLED] = shipment_cancelled,
    [CONSENT_GRANTED] = consent_stated,
    [CONSENT_WITHDRAWN] = consent_stated,
    [CONSENT_OBJECTED] = consent_stated,
    [REQUEST_RECEIVED] = request_received,
    [REQUEST_IDENTIFIED] = request_identified,
    [DELIVERY_STATUS] = delivery_status,
    [NOTICE_ACKNOWLEDGED] = notice_acknowledged,
    [COMMAND_TIED] = command_tied,
    [CALENDAR_PARKED_EXPIRED] = parked_expired,
    [CALENDAR_PARKED_LEARNT] = parked_learnt,
    [CALENDAR_RESTORED] = erasure_restored,
    [CALENDAR_RETOLD] = permission_retold,
};

enum outcome decide_event(struct decision *decision, const struct event *event, const uint8_t record_hash[32],
                          enum verdict *verdict) {
    static const struct refusal not_supported = {.reason = REASON_NOT_SUPPORTED};
    assert((unsigned)event->type < EVENT_TYPES);
    if (!effects[event->type]) {
        *verdict = VERDICT_DEAD_LETTER;
        return decide_dead_letter(decision, event->topic, event->partition, event->offset,
                                  event->timestamp_ms, &not_supported, record_hash);
    }
    *verdict = VERDICT_APPLIED;
    TRY(effects[event->type](decision, event, record_hash, verdict));
    /* dead letters count themselves, and the calendar's acts are no input */
    if (*verdict != VERDICT_DEAD_LETTER && event->type < EVENT_INPUT_TYPES)
        decision->verdicts[*verdict]++;
    return OK;
}

/* ---- merging ---- */

bool earliest(int64_t *held_us, int64_t time_us) {
    if (*held_us != TIME_NONE && *held_us <= time_us)
        return false;
    *held_us = time_us;
    return true;
}

bool latest(int64_t *held_us, int64_t time_us) {
    if (*held_us >= time_us)
        return false;
    *held_us = time_us;
    return true;
}

bool second_fact(const struct version *held, const struct version *version) {
    return held->time_us != VERSION_NONE && text_equal(held->id, version->id) &&
           text_equal(held->source, version->source) &&
           memcmp(held->digest, version->digest, DIGEST_BYTES) != 0;
}

struct clocks clocks_none(void) {
    struct clocks clocks;
    for (size_t i = 0; i < CLOCKS; i++)
        clocks.at_us[i] = TIME_NONE;
    return clocks;
}

bool category_has(const struct policy *policy, enum category category, enum policy_field field) {
    const struct policy_category *named = &policy->categories[category];
    return named->present && (named->fields & FIELD_BIT(field));
}

/* ---- cells ---- */

bool cell_present(const struct cell *cell) {
    return cell->until != DATE_NONE;
}

struct text cell_content(const struct cell *cell) {
    if (!cell_present(cell))
        return TEXT_ABSENT;
    assert(text_present(cell->content)); /* decide_needs must ask for whatever is read here */
    return cell->content;
}

bool cell_write(struct cell *cell, struct text content) {
    if (text_present(cell->content) && text_equal(cell->content, content))
        return false;
    cell->content = content;
    cell->rewritten = true;
    return true;
}

bool cell_drop(struct cell *cell) {
    if (!cell_present(cell))
        return false;
    cell->until = DATE_NONE;
    cell->content = TEXT_ABSENT;
    cell->rewritten = false;
    return true;
}

void cell_moves(struct cell *cell) {
    cell->rewritten |= cell_present(cell) && text_present(cell->content);
}

bool cell_keep_until(struct cell *cell, int32_t until) {
    if (until == cell->until)
        return false;
    if (until == DATE_NONE)
        return cell_drop(cell);
    cell->until = until;
    return true;
}
