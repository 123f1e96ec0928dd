/* The notices of an erasing step: one for each recipient and generation, naming whatever it was told of the
 * person that does not wait. */
#include "core/decide/erasure.h"
#include "core/decide/needs.h"

#include <stdlib.h>

#define NOTICE_DISCLOSURES 100 /* events.json: an anonymize names so many at most */

int64_t erasure_requested_us(const struct decision *decision, struct text person) {
    const struct person *guard = state_find_guard(decision->state, person);
    int64_t latest_us = TIME_NONE;
    for (size_t i = 0; guard && i < guard->facts.cuts.count; i++) {
        const struct cut *cut = &guard->facts.cuts.at[i];
        if (cut->valid && cut->cause == CUT_REQUEST)
            latest_us = cut->cut_us;
    }
    return latest_us;
}

/* It was told under the refs of a generation to which the shipment does not belong any more. */
static bool strayed(const struct shipment *shipment, const struct unit *unit) {
    return text_equal(shipment->person, unit->person) && unit->generation != shipment->generation &&
           (unit->state == UNIT_HELD || unit->state == UNIT_WITHDRAWN);
}

bool erasure_names(const struct decision *decision, const struct shipment *shipment,
                   const struct unit *unit) {
    int64_t cut_us = erasure_requested_us(decision, unit->person);
    bool his = text_equal(shipment->person, unit->person);
    if (unit->state == UNIT_ERASED || cut_us == TIME_NONE ||
        decision->policy->categories[CATEGORY_DELIVERY].on_request == ON_REQUEST_KEEP)
        return false;
    if (his && shipment->erasure == SHIPMENT_WAITS && unit->generation == shipment->generation)
        return false;
    return unit->generation < cut_us || (his && shipment->generation < cut_us);
}

/* ---- what is named ---- */

struct named {
    struct text recipient, service, role;
    int64_t generation;
    struct text ref;
    const struct shipment *shipment; /* NULL: a letter */
    bool requested;                  /* else it strayed because of a closed */
};
struct naming {
    struct decision *decision;
    struct text person;
    bool closed;   /* the event is one: what strayed is no more than moved */
    bool restored; /* it brings back what a register had lost, with whom it had told */
    LIST(struct named) list;
};

static enum outcome name(struct naming *naming, const struct named *named, const struct ref *ref) {
    struct named *listed = ARENA_PUSH(naming->decision->arena, &naming->list);
    if (!listed)
        return RETRY;
    *listed = *named;
    listed->ref = arena_text(naming->decision->arena, text_of(ref->chars));
    return text_present(listed->ref) ? OK : RETRY;
}

static enum outcome name_units(struct naming *naming, struct shipment *shipment) {
    for (size_t u = 0; u < shipment->units.count; u++) {
        struct unit *unit = &shipment->units.at[u];
        if (!text_equal(unit->person, naming->person))
            continue;
        bool erased = erasure_names(naming->decision, shipment, unit);
        if (!erased && !strayed(shipment, unit))
            continue;
        struct ref ref = unit_ref(naming->decision->ref_key, shipment, unit);
        const struct named named = {.recipient = unit->carrier,
                                    .service = unit->service,
                                    .role = unit->role,
                                    .generation = unit->generation,
                                    .shipment = shipment,
                                    .requested = erased || !naming->closed};
        TRY(name(naming, &named, &ref));
        unit->state = named.requested ? UNIT_ERASED : UNIT_ANONYMIZED;
        TRY(shipment_touch(naming->decision, shipment));
    }
    return OK;
}

/* Under the refs of each generation that has ended the carrier may have been told, before the register was
 * restored. */
static enum outcome name_lost(struct naming *naming, const struct person *guard,
                              const struct shipment *shipment) {
    struct decision *decision = naming->decision;
    struct unit unit = {.carrier = shipment->carrier,
                        .service = shipment->service,
                        .role = text_of(shipment_role(shipment->is_return)),
                        .person = shipment->person,
                        .generation = GENERATION_FIRST};
    if (shipment->version.time_us == VERSION_NONE || !text_equal(shipment->person, naming->person))
        return OK;
    for (size_t g = 0; g <= guard->facts.cuts.count; g++) {
        if (g)
            unit.generation = guard->facts.cuts.at[g - 1].cut_us;
        if (unit_entered(shipment, &unit) || !state_cut_of(decision->state, unit.person, unit.generation))
            continue;
        struct ref ref = unit_ref(decision->ref_key, shipment, &unit);
        const struct named named = {.recipient = unit.carrier,
                                    .service = unit.service,
                                    .role = unit.role,
                                    .generation = unit.generation,
                                    .shipment = shipment,
                                    .requested = true};
        TRY(name(naming, &named, &ref));
    }
    return OK;
}

/* What the mail house was told of the generations that a request has ended. */
static enum outcome name_letters(struct naming *naming, const struct person *guard, int64_t generation) {
    struct person *row = state_find_person(naming->decision->state, guard->person, generation);
    for (size_t i = 0; row && i < row->letters.count; i++) {
        struct letter *letter = &row->letters.at[i];
        if (letter->state == UNIT_ERASED)
            continue;
        struct ref ref = letter_ref(naming->decision->ref_key, row, letter);
        const struct named named = {.recipient = letter->recipient,
                                    .service = letter->service,
                                    .generation = generation,
                                    .requested = true};
        TRY(name(naming, &named, &ref));
        letter->state = UNIT_ERASED;
        TRY(person_touch(naming->decision, row->person, generation));
    }
    return OK;
}

/* ---- telling ---- */

static int by_recipient(const void *a, const void *b) {
    const struct named *left = a, *right = b;
    int order = text_compare(left->recipient, right->recipient);
    if (!order)
        order = (left->generation > right->generation) - (left->generation < right->generation);
    if (!order)
        order = right->requested - left->requested;
    return order ? order : text_compare(left->ref, right->ref);
}

/* Their notices would have the same name, but for its part. */
static bool same_name(const struct named *a, const struct named *b) {
    return a->generation == b->generation && text_equal(a->recipient, b->recipient);
}

/* One notice about the first `count` of them. */
static enum outcome tell(const struct naming *naming, const struct output_cause *cause,
                         const struct named *first, size_t count, int part) {
    const struct unit unit = {.carrier = first->recipient,
                              .service = first->service,
                              .role = first->role,
                              .person = naming->person,
                              .generation = first->generation};
    struct notice_plan plan = {.kind = "anonymize",
                               .cause = first->requested ? "request" : "closed",
                               .part = part,
                               .shipment = first->shipment,
                               .unit = &unit};
    for (size_t i = 0; i < count; i++) {
        struct text *listed = ARENA_PUSH(naming->decision->arena, &plan.disclosures);
        if (!listed)
            return RETRY;
        *listed = first[i].ref;
        if (first[i].shipment != first->shipment)
            plan.shipment = NULL; /* of several */
    }
    return output_notice(naming->decision, cause, &plan);
}

static enum outcome tell_all(const struct naming *naming, const struct event *event) {
    struct output_cause cause;
    size_t at = 0;
    int part = 0;
    TRY(output_cause_of(naming->decision, event, &cause));
    while (at < naming->list.count) {
        const struct named *first = &naming->list.at[at];
        size_t count = 1;
        while (count < NOTICE_DISCLOSURES && at + count < naming->list.count &&
               same_name(first, &naming->list.at[at + count]) &&
               first->requested == naming->list.at[at + count].requested)
            count++;
        TRY(tell(naming, &cause, first, count, part));
        at += count;
        bool goes_on = at < naming->list.count && same_name(first, &naming->list.at[at]);
        part = goes_on ? part + 1 : 0;
    }
    return OK;
}

enum outcome erasure_notices(struct decision *decision, const struct event *event, struct person *guard) {
    struct naming naming = {.decision = decision,
                            .person = guard->person,
                            .closed = event->type == CUSTOMER_CLOSED,
                            .restored = event->type == CALENDAR_RESTORED};
    int64_t cut_us = erasure_requested_us(decision, guard->person), generation = GENERATION_FIRST;
    for (size_t i = 0; i < guard->whole.shipments.count; i++) {
        struct shipment *shipment = erasure_whole_shipment(decision, guard, i);
        TRY(name_units(&naming, shipment));
        if (naming.restored && cut_us != TIME_NONE)
            TRY(name_lost(&naming, guard, shipment));
    }
    for (size_t i = 0; i < guard->facts.cuts.count; i++) {
        const struct cut *cut = &guard->facts.cuts.at[i];
        if (generation < cut_us)
            TRY(name_letters(&naming, guard, generation));
        generation = cut->cut_us; /* also of one that does not stand: letters may have gone out under it */
    }
    if (!naming.list.count)
        return OK;
    qsort(naming.list.at, naming.list.count, sizeof(*naming.list.at), by_recipient);
    return tell_all(&naming, event);
}

/* ---- what a restored register lost ---- */

const char *erasure_ended_by(const struct state *state, struct text person, int64_t generation) {
    const struct cut *cut = state_cut_of(state, person, generation);
    return cut && cut->cause == CUT_CLOSED ? "closed" : "request";
}

static enum outcome tell_lost(struct decision *decision, const struct output_cause *cause,
                              const struct unit *unit) {
    const struct shipment shipment = {.customer_id = cause->event->customer_id,
                                      .shipment_id = cause->event->as.shipment.shipment_id};
    struct notice_plan plan = {.kind = "anonymize",
                               .cause = erasure_ended_by(decision->state, unit->person, unit->generation),
                               .part = NOTICE_LOST_PART,
                               .shipment = &shipment,
                               .unit = unit};
    struct ref ref = unit_ref(decision->ref_key, &shipment, unit);
    if (output_notice_known(decision, cause, &plan))
        return OK;
    struct text *listed = ARENA_PUSH(decision->arena, &plan.disclosures);
    if (!listed)
        return RETRY;
    *listed = arena_text(decision->arena, text_of(ref.chars));
    return text_present(*listed) ? output_notice(decision, cause, &plan) : RETRY;
}

/* Whether it was told nobody knows: if it was, then under this ref; any other means nothing to the carrier.
 */
enum outcome erasure_tell_lost(struct decision *decision, const struct event *event, struct text consignee) {
    struct unit unit = {.carrier = event->as.shipment.carrier,
                        .service = event->as.shipment.service,
                        .role = text_of(shipment_role(event->as.shipment.is_return)),
                        .person = consignee};
    const struct shipment *shipment =
        state_find_shipment(decision->state, event->customer_id, event->as.shipment.shipment_id);
    struct output_cause cause;
    if (!decision->restored_us)
        return OK;
    TRY(output_cause_of(decision, event, &cause));
    for (size_t i = 0;
         erasure_lost_generation(decision, consignee, event->version.time_us, i, &unit.generation); i++)
        if (!shipment || !unit_entered(shipment, &unit))
            TRY(tell_lost(decision, &cause, &unit));
    return OK;
}

enum outcome erasure_lost_needs(struct asking *asking, struct text consignee) {
    const struct event *event = asking->event;
    const struct decision restored = {
        .policy = asking->policy, .state = asking->state, .restored_us = INT64_MAX};
    int64_t generation;
    for (size_t i = 0; erasure_lost_generation(&restored, consignee, event->version.time_us, i, &generation);
         i++) {
        struct ref about = ref_person(asking->ref_key, event->as.shipment.carrier, consignee, generation);
        TRY(ask_notice_ref(asking, &about, "anonymize", NOTICE_LOST_PART));
    }
    return OK;
}
