/* What an erasure must find loaded: all that is a person's, and the refs of the notices that it may cause. An
 * event leaves a hint with the persons whom it may cut, for those that follow it in the batch. */
#include "core/decide/effect.h"
#include "core/decide/needs.h"

/* ---- all that is a person's ---- */

static enum outcome order_row_needs(const struct asking *asking, const struct whole_key *key,
                                    int64_t after_us) {
    const struct order *order = state_find_order(asking->state, key->customer_id, key->object_id);
    int64_t time_us = !order                                 ? TIME_NONE
                      : order->first_version_us != TIME_NONE ? order->first_version_us
                                                             : order->first_fact_us;
    return ask(asking, NEED_ORDER, key->customer_id, key->object_id,
               order && time_us > after_us ? NEED_ORDER_CELLS : NEED_NO_CELL);
}

static enum outcome shipment_row_needs(const struct asking *asking, const struct whole_key *key,
                                       int64_t after_us) {
    const struct shipment *shipment = state_find_shipment(asking->state, key->customer_id, key->object_id);
    bool opens = shipment && (!shipment_closed(shipment) || shipment->first_version.time_us > after_us);
    TRY(ask_person(asking, key->customer_id));
    TRY(ask(asking, NEED_SHIPMENT, key->customer_id, key->object_id, opens ? NEED_DELIVERY : NEED_NO_CELL));
    return shipment ? ask_person(asking, shipment->person) : OK;
}

static enum outcome ask_rows(const struct asking *asking, struct text person, int64_t after_us) {
    TRY(ask_person(asking, person));
    TRY(ask(asking, NEED_WHOLE, person, TEXT_ABSENT, NEED_NO_CELL));
    const struct person *guard = state_find_guard(asking->state, person);
    if (!guard || !guard->whole.known)
        return OK; /* in the next round */
    for (size_t i = 0; i < guard->whole.orders.count; i++)
        TRY(order_row_needs(asking, &guard->whole.orders.at[i], after_us));
    for (size_t i = 0; i < guard->whole.shipments.count; i++)
        TRY(shipment_row_needs(asking, &guard->whole.shipments.at[i], after_us));
    return OK;
}

/* Whoever else a request names: its state hangs on what waits of him, too. */
static enum outcome request_row_needs(const struct asking *asking, struct text request_id,
                                      struct text person) {
    TRY(ask(asking, NEED_REQUEST, request_id, TEXT_ABSENT, NEED_NO_CELL));
    const struct request *request = state_find_request(asking->state, request_id);
    for (size_t i = 0; request && i < request->received.count; i++) {
        struct text other = request->received.at[i].person;
        if (text_present(other) && !text_equal(other, person))
            TRY(ask_rows(asking, other, INT64_MAX));
    }
    for (size_t i = 0; request && i < request->ties.count; i++) {
        if (!text_equal(request->ties.at[i].person, person))
            TRY(ask_rows(asking, request->ties.at[i].person, INT64_MAX));
    }
    return OK;
}

enum outcome ask_whole(struct asking *asking, struct text person, int64_t after_us) {
    TRY(ask_rows(asking, person, after_us));
    const struct person *guard = state_find_guard(asking->state, person);
    for (size_t i = 0; guard && i < guard->facts.requests.count; i++)
        TRY(request_row_needs(asking, guard->facts.requests.at[i], person));
    if (guard && guard->facts.consents) /* what is kept of them is told */
        TRY(ask(asking, NEED_CONSENTS, person, TEXT_ABSENT, NEED_NO_CELL));
    return OK;
}

/* ---- notices ---- */

#define NOTICE_DISCLOSURES 100 /* of an anonymize, at most */

static enum outcome generation_refs(struct asking *asking, const struct person *guard, int64_t generation,
                                    int parts) {
    bool shipping = guard->hint.shipping || guard->whole.shipments.count;
    for (size_t r = 0; r < asking->policy->recipient_count; r++) {
        const struct policy_recipient *recipient = &asking->policy->recipients[r];
        if (recipient->country_count && !shipping)
            continue;
        struct ref about = ref_person(asking->ref_key, recipient->id, guard->person, generation);
        for (int part = 0; part < parts; part++)
            TRY(ask_notice_ref(asking, &about, "anonymize", part));
    }
    return OK;
}

/* The refs of the notices of an erasing step: to whomever may have been told, under any generation. Once what
 * ask_whole asks for is there; before that, there is a next round. */
static enum outcome notice_refs(struct asking *asking, const struct person *guard) {
    size_t units = 0;
    if (!guard->whole.known)
        return OK;
    for (size_t i = 0; i < guard->whole.shipments.count; i++) {
        const struct whole_key *key = &guard->whole.shipments.at[i];
        const struct shipment *shipment =
            state_find_shipment(asking->state, key->customer_id, key->object_id);
        if (!shipment)
            return OK;
        units += shipment->units.count;
    }
    int parts = 1 + (int)(units / NOTICE_DISCLOSURES);
    parts += asking->event->type == CUSTOMER_CLOSED; /* its notices may have two causes */
    TRY(generation_refs(asking, guard, GENERATION_FIRST, parts));
    for (size_t i = 0; i < guard->facts.cuts.count; i++)
        TRY(generation_refs(asking, guard, guard->facts.cuts.at[i].cut_us, parts));
    for (size_t i = 0; i < guard->hint.cuts.count; i++)
        TRY(generation_refs(asking, guard, guard->hint.cuts.at[i], parts));
    return OK;
}

/* ---- cuts ---- */

bool needs_concerns(const struct asking *asking, struct text person) {
    const struct person *guard = state_find_guard(asking->state, person);
    return guard && (guard->facts.cuts.count || guard->hint.cuts.count);
}

static enum outcome leave_hint(const struct asking *asking, struct person *guard, int64_t cut_us) {
    size_t at = 0;
    while (at < guard->hint.cuts.count && guard->hint.cuts.at[at] < cut_us)
        at++;
    if (at < guard->hint.cuts.count && guard->hint.cuts.at[at] == cut_us)
        return OK;
    if (!ARENA_PUSH(asking->arena, &guard->hint.cuts))
        return RETRY;
    int64_t *list = guard->hint.cuts.at;
    memmove(list + at + 1, list + at, (guard->hint.cuts.count - 1 - at) * sizeof(*list));
    list[at] = cut_us;
    state_hinted(asking->state);
    return OK;
}

enum outcome needs_cut(struct asking *asking, struct text person, int64_t cut_us) {
    TRY(ask_person(asking, person));
    struct person *guard = state_find_guard(asking->state, person);
    if (!guard)
        return ask(asking, NEED_WHOLE, person, TEXT_ABSENT, NEED_NO_CELL); /* a round is saved */
    if (cut_us != TIME_NONE)
        TRY(leave_hint(asking, guard, cut_us));
    int64_t after_us = guard->hint.cuts.count ? guard->hint.cuts.at[0] : GENERATION_FIRST;
    TRY(ask_whole(asking, person, after_us));
    const struct person *newest =
        state_find_person(asking->state, person, state_newest_generation(asking->state, person));
    if (newest && newest->profile_activity_us > after_us)
        TRY(ask(asking, NEED_PERSON, person, TEXT_ABSENT, NEED_PROFILE)); /* some of it may stay */
    TRY(notice_refs(asking, guard));
    struct text before = asking->person;
    asking->person = person;
    TRY(marketing_needs(asking));
    asking->person = before;
    return OK;
}

enum outcome needs_follow(struct asking *asking, struct text person, int64_t time_us) {
    const struct person *guard = state_find_guard(asking->state, person);
    if (!guard || (!guard->hint.cuts.count && !state_delivery_cut(asking->state, person, time_us)))
        return OK;
    TRY(ask_whole(asking, person, INT64_MAX));
    if (guard->facts.consents) /* whoever is told of the completion is told until when proofs are kept */
        TRY(ask(asking, NEED_CONSENTS, person, TEXT_ABSENT, NEED_NO_CELL));
    return notice_refs(asking, guard);
}

/* ---- requests ---- */

static enum outcome hint_person(const struct asking *asking, struct request *request, struct text person) {
    for (size_t i = 0; i < request->hints.count; i++) {
        if (text_equal(request->hints.at[i], person))
            return OK;
    }
    struct text *hint = ARENA_PUSH(asking->arena, &request->hints);
    if (!hint)
        return RETRY;
    *hint = person;
    state_hinted(asking->state);
    return OK;
}

/* This event may be the one that makes each received of the request a cut for this person. */
static enum outcome subject_needs(struct asking *asking, const struct request *request, struct text person) {
    for (size_t i = 0; request && i < request->received.count; i++)
        TRY(needs_cut(asking, person, request->received.at[i].version.time_us));
    bool received = asking->event->type == REQUEST_RECEIVED;
    return needs_cut(asking, person, received ? asking->event->version.time_us : TIME_NONE);
}

enum outcome needs_request(struct asking *asking) {
    const struct event *event = asking->event;
    bool tied = event->type == COMMAND_TIED, received = event->type == REQUEST_RECEIVED;
    struct text request_id = tied ? event->as.tied.request_id : event->as.request.request_id;
    struct text person = tied ? event->as.tied.person : TEXT_ABSENT;
    if (received && !text_is(event->as.request.kind, "erasure"))
        return OK;
    if (received)
        TRY(request_subject(event, asking->arena, &person));
    TRY(ask(asking, NEED_REQUEST, request_id, TEXT_ABSENT, NEED_NO_CELL));
    struct request *request = state_find_request(asking->state, request_id);
    if (text_present(person)) {
        if (request)
            TRY(hint_person(asking, request, person));
        TRY(subject_needs(asking, request, person));
    }
    for (size_t i = 0; request && i < request->received.count; i++) {
        if (text_present(request->received.at[i].person))
            TRY(subject_needs(asking, request, request->received.at[i].person));
    }
    for (size_t i = 0; request && i < request->ties.count; i++)
        TRY(subject_needs(asking, request, request->ties.at[i].person));
    for (size_t i = 0; request && i < request->hints.count; i++)
        TRY(subject_needs(asking, request, request->hints.at[i]));
    return OK;
}
