/* What requests' events do: who asks to be forgotten, whether it is known to be him, and what became of it.
 */
#include "core/decide/effect.h"

/* ---- what follows from a request's facts ---- */

/* When the one who asks was known to be himself; TIME_NONE: not yet. */
static int64_t identity_us(const struct request *request) {
    int64_t known_us = request->identified_us;
    for (size_t i = 0; i < request->received.count; i++) {
        if (request->received.at[i].identity != IDENTITY_NONE)
            (void)earliest(&known_us, request->received.at[i].version.time_us);
    }
    return known_us;
}

/* Whatever waits because of one received, in the person's name, and when it closed. */
static void follow_person(struct decision *decision, struct text person, int64_t cut_us, bool *waits,
                          int64_t *closed_us) {
    bool his;
    (void)latest(closed_us, erasure_closed_us(decision, person, cut_us, &his));
    *waits |= his;
}

/* The state, and the latest instant among the facts that led to it. */
static enum request_state state_of(struct decision *decision, const struct request *request,
                                   int64_t *closed_us) {
    bool waits = false;
    *closed_us = identity_us(request);
    if (!request->received.count)
        return REQUEST_UNTOLD;
    if (*closed_us == TIME_NONE)
        return REQUEST_AWAITING_IDENTITY;
    for (size_t i = 0; i < request->received.count; i++) {
        const struct received_fact *received = &request->received.at[i];
        (void)latest(closed_us, received->version.time_us);
        if (text_present(received->person)) {
            follow_person(decision, received->person, received->version.time_us, &waits, closed_us);
            continue;
        }
        waits |= !request->ties.count; /* a case that nobody has tied to a person */
        for (size_t t = 0; t < request->ties.count; t++) {
            (void)latest(closed_us, request->ties.at[t].version.time_us);
            follow_person(decision, request->ties.at[t].person, received->version.time_us, &waits, closed_us);
        }
    }
    return waits ? REQUEST_OPEN : REQUEST_DONE;
}

static int32_t due_of(const struct decision *decision, const struct request *request) {
    int64_t from_us = request->received.at[request->received.count - 1].version.time_us;
    (void)latest(&from_us, identity_us(request));
    return date_add(date_local(decision->policy->zone, from_us), &decision->policy->deadlines.request);
}

static int32_t until_of(const struct decision *decision, const struct request *request, int64_t closed_us) {
    struct clocks clocks = clocks_none();
    clocks.at_us[CLOCK_REQUEST_CLOSED] = closed_us;
    clocks.at_us[CLOCK_RECORDED] = request->received.at[0].version.time_us;
    return policy_until(decision->policy, CATEGORY_REQUEST, &clocks, NULL, 0);
}

static enum outcome finish(struct decision *decision, struct request *request) {
    int64_t closed_us;
    enum request_state state = state_of(decision, request, &closed_us);
    int32_t due = DATE_NONE, until = DATE_NONE;
    if (state == REQUEST_OPEN || state == REQUEST_DONE)
        due = due_of(decision, request);
    if (state == REQUEST_DONE)
        until = until_of(decision, request, closed_us);
    bool told = state == request->state;
    if (told && due == request->due && until == request->until)
        return OK;
    request->state = state;
    request->due = due;
    request->until = until;
    request->touched = true;
    return told ? OK : anonymized_tell_request(decision, request);
}

enum outcome decide_finish(struct decision *decision) {
    size_t count;
    struct request *const *requests = state_requests(decision->state, &count);
    for (size_t i = 0; i < count; i++) {
        if (!requests[i]->last)
            continue;
        TRY(finish(decision, requests[i]));
        requests[i]->last = NULL;
    }
    return OK;
}

enum outcome request_follow(struct decision *decision, const struct event *event, struct text person) {
    const struct person *guard = state_find_guard(decision->state, person);
    for (size_t i = 0; guard && i < guard->facts.requests.count; i++) {
        struct request *request = state_find_request(decision->state, guard->facts.requests.at[i]);
        assert(request); /* decide_needs asks for it */
        request->last = event;
    }
    return OK;
}

/* ---- whom it concerns ---- */

/* The person knows of the request, and is known by it. */
static enum outcome enter_subject(struct decision *decision, const struct request *request,
                                  struct text person_id, int64_t time_us) {
    struct person *row, *guard;
    TRY(person_named(decision, person_id, time_us, &row));
    guard = state_person(decision->state, person_id, GENERATION_FIRST);
    if (!guard)
        return RETRY;
    size_t at = 0;
    while (at < guard->facts.requests.count &&
           text_compare(guard->facts.requests.at[at], request->request_id) < 0)
        at++;
    if (at < guard->facts.requests.count && text_equal(guard->facts.requests.at[at], request->request_id))
        return OK;
    if (!ARENA_PUSH(decision->arena, &guard->facts.requests))
        return RETRY;
    struct text *list = guard->facts.requests.at;
    memmove(list + at + 1, list + at, (guard->facts.requests.count - 1 - at) * sizeof(*list));
    list[at] = request->request_id;
    guard->touched = true;
    return OK;
}

/* The person is cut by each received that names him, or, when he was tied to it, by each that names nobody.
 */
static enum outcome cut_subject(struct decision *decision, const struct event *event,
                                const struct request *request, struct text person, bool was_tied) {
    int64_t *cuts_us = ARENA_ARRAY(decision->arena, int64_t, request->received.count);
    size_t count = 0;
    if (!cuts_us)
        return RETRY;
    for (size_t i = 0; i < request->received.count; i++) {
        const struct received_fact *received = &request->received.at[i];
        bool his = text_present(received->person) ? text_equal(received->person, person) : was_tied;
        if (!his)
            continue;
        cuts_us[count++] = received->version.time_us;
        TRY(enter_subject(decision, request, person, received->version.time_us));
    }
    if (!count || identity_us(request) == TIME_NONE)
        return OK;
    return erasure_cut(decision, event, person, cuts_us, count, CUT_REQUEST);
}

static bool was_tied(const struct request *request, struct text person) {
    for (size_t t = 0; t < request->ties.count; t++) {
        if (text_equal(request->ties.at[t].person, person))
            return true;
    }
    return false;
}

static bool named_before(const struct request *request, size_t index) {
    for (size_t i = 0; i < index; i++) {
        if (text_equal(request->received.at[i].person, request->received.at[index].person))
            return true;
    }
    return false;
}

/* Each received of an identified request is a cut for whom it names, or for everybody to whom it was tied. */
static enum outcome apply(struct decision *decision, const struct event *event, struct request *request) {
    request->last = event;
    for (size_t i = 0; i < request->received.count; i++) {
        struct text person = request->received.at[i].person;
        if (text_present(person) && !named_before(request, i))
            TRY(cut_subject(decision, event, request, person, was_tied(request, person)));
    }
    for (size_t t = 0; request->received.count && t < request->ties.count; t++) {
        bool named = false;
        for (size_t i = 0; i < t; i++)
            named |= text_equal(request->ties.at[i].person, request->ties.at[t].person);
        for (size_t i = 0; i < request->received.count; i++)
            named |= text_equal(request->received.at[i].person, request->ties.at[t].person);
        if (!named)
            TRY(cut_subject(decision, event, request, request->ties.at[t].person, true));
    }
    return OK;
}

/* ---- the events ---- */

static enum identity identity_of(struct text name) {
    for (enum identity identity = IDENTITY_NONE; identity < IDENTITIES; identity++) {
        if (text_is(name, identity_names[identity]))
            return identity;
    }
    return IDENTITY_NONE; /* decode has checked it */
}

enum outcome request_subject(const struct event *event, struct arena *arena, struct text *person) {
    static const char prefix[] = "recipient:";
    struct text recipient_id = event->as.request.recipient_id;
    *person = event->customer_id;
    if (!text_present(recipient_id))
        return OK;
    char *chars = arena_take(arena, sizeof(prefix) - 1 + recipient_id.size);
    if (!chars)
        return RETRY;
    memcpy(chars, prefix, sizeof(prefix) - 1);
    memcpy(chars + sizeof(prefix) - 1, recipient_id.at, recipient_id.size);
    *person = (struct text){chars, sizeof(prefix) - 1 + recipient_id.size};
    return OK;
}

/* Enters it in version order; *entered is false for one that is there already. */
static enum outcome enter_received(struct decision *decision, struct request *request,
                                   const struct event *event, bool *entered) {
    size_t at = request->received.count;
    for (size_t i = 0; i < request->received.count; i++)
        decision->second_facts += second_fact(&request->received.at[i].version, &event->version);
    while (at && version_compare(&request->received.at[at - 1].version, &event->version) >= 0)
        at--;
    *entered = at == request->received.count ||
               version_compare(&request->received.at[at].version, &event->version) != 0;
    if (!*entered)
        return OK;
    struct text person;
    TRY(request_subject(event, decision->arena, &person));
    if (!ARENA_PUSH(decision->arena, &request->received))
        return RETRY;
    struct received_fact *list = request->received.at;
    memmove(list + at + 1, list + at, (request->received.count - 1 - at) * sizeof(*list));
    list[at] = (struct received_fact){.version = event->version,
                                      .person = person,
                                      .contact_hash = event->as.request.contact_hash,
                                      .channel = event->as.request.channel,
                                      .identity = identity_of(event->as.request.identity)};
    return OK;
}

enum outcome request_received(struct decision *decision, const struct event *event,
                              const uint8_t record_hash[32], enum verdict *verdict) {
    static const struct refusal not_supported = {.reason = REASON_NOT_SUPPORTED};
    if (!text_is(event->as.request.kind, "erasure")) {
        *verdict = VERDICT_DEAD_LETTER;
        return decide_dead_letter(decision, event->topic, event->partition, event->offset,
                                  event->timestamp_ms, &not_supported, record_hash);
    }
    struct request *request = state_request(decision->state, event->as.request.request_id);
    bool entered;
    if (!request)
        return RETRY;
    TRY(enter_received(decision, request, event, &entered));
    if (!entered)
        return OK;
    enum identity identity = identity_of(event->as.request.identity);
    if (identity > request->strongest)
        request->strongest = identity;
    request->touched = true;
    return apply(decision, event, request);
}

/* Monotone, and may precede what it identifies. */
enum outcome request_identified(struct decision *decision, const struct event *event,
                                const uint8_t record_hash[32], enum verdict *verdict) {
    (void)record_hash, (void)verdict;
    struct request *request = state_request(decision->state, event->as.request.request_id);
    if (!request)
        return RETRY;
    enum identity identity = identity_of(event->as.request.identity);
    bool changed = earliest(&request->identified_us, event->version.time_us);
    if (identity > request->strongest) {
        request->strongest = identity;
        changed = true;
    }
    if (!changed)
        return OK;
    request->touched = true;
    return apply(decision, event, request);
}

/* An employee says who the one behind an e-mail address or a phone number is. */
enum outcome command_tied(struct decision *decision, const struct event *event, const uint8_t record_hash[32],
                          enum verdict *verdict) {
    (void)record_hash, (void)verdict;
    struct request *request = state_request(decision->state, event->as.tied.request_id);
    if (!request)
        return RETRY;
    size_t at = request->ties.count;
    while (at && version_compare(&request->ties.at[at - 1].version, &event->version) >= 0)
        at--;
    if (at < request->ties.count && version_compare(&request->ties.at[at].version, &event->version) == 0)
        return OK;
    if (!ARENA_PUSH(decision->arena, &request->ties))
        return RETRY;
    struct tie *list = request->ties.at;
    memmove(list + at + 1, list + at, (request->ties.count - 1 - at) * sizeof(*list));
    list[at] = (struct tie){.version = event->version, .person = event->as.tied.person};
    request->touched = true;
    return apply(decision, event, request);
}
