/* Who holds what of a shipment: the difference between what the carriers were told and what they should know
 * now becomes disclosures, corrections, withdrawals and requests to anonymize (SEMANTICS.md, Disclosures). */
#include "core/decide/cell_content.h"
#include "core/decide/effect.h"

#define ADDRESS_FIELDS (FIELD_BIT(STREET) | FIELD_BIT(POSTCODE) | FIELD_BIT(CITY) | FIELD_BIT(COUNTRY))
#define NOTICE_DISCLOSURES 100 /* events.json: an anonymize names so many at most */

/* ---- units ---- */

bool unit_same_person(const struct unit *a, const struct unit *b) {
    return a->generation == b->generation && text_equal(a->carrier, b->carrier) &&
           text_equal(a->person, b->person);
}

bool unit_same(const struct unit *a, const struct unit *b) {
    return unit_same_person(a, b) && text_equal(a->service, b->service) && text_equal(a->role, b->role);
}

static int unit_compare(const struct unit *a, const struct unit *b) {
    int order = text_compare(a->carrier, b->carrier);
    if (!order)
        order = text_compare(a->service, b->service);
    if (!order)
        order = text_compare(a->role, b->role);
    if (!order)
        order = text_compare(a->person, b->person);
    return order ? order : (a->generation > b->generation) - (a->generation < b->generation);
}

bool unit_wanted(const struct shipment *shipment, struct unit *unit) {
    if (shipment->version.time_us == VERSION_NONE || shipment->cancelled_us != TIME_NONE ||
        shipment->erasure == SHIPMENT_ERASED)
        return false;
    *unit = (struct unit){.carrier = shipment->carrier,
                          .service = shipment->service,
                          .role = text_of(shipment_role(shipment->is_return)),
                          .person = shipment->person,
                          .generation = shipment->generation,
                          .parcels = shipment->parcels,
                          .state = UNIT_HELD};
    return true;
}

struct unit *unit_held(const struct shipment *shipment) {
    for (size_t i = 0; i < shipment->units.count; i++) {
        if (shipment->units.at[i].state == UNIT_HELD)
            return &shipment->units.at[i];
    }
    return NULL;
}

bool unit_entered(const struct shipment *shipment, const struct unit *unit) {
    for (size_t i = 0; i < shipment->units.count; i++) {
        if (unit_same(&shipment->units.at[i], unit))
            return true;
    }
    return false;
}

bool carrier_told(const struct shipment *shipment, struct text carrier) {
    for (size_t i = 0; i < shipment->units.count; i++) {
        if (text_equal(shipment->units.at[i].carrier, carrier))
            return true;
    }
    return false;
}

struct text disclosure_told(const struct shipment *shipment) {
    bool held = shipment->cancelled_us == TIME_NONE && unit_held(shipment);
    return held ? cell_content(&shipment->delivery) : TEXT_ABSENT;
}

/* Enters the unit, or finds it when the shipment goes back to an earlier one: its ref is the same again. */
static enum outcome enter_unit(struct decision *decision, struct shipment *shipment,
                               const struct unit *unit) {
    size_t at = 0;
    while (at < shipment->units.count && unit_compare(&shipment->units.at[at], unit) < 0)
        at++;
    if (at == shipment->units.count || unit_compare(&shipment->units.at[at], unit) != 0) {
        if (!ARENA_PUSH(decision->arena, &shipment->units))
            return RETRY;
        struct unit *list = shipment->units.at;
        memmove(list + at + 1, list + at, (shipment->units.count - 1 - at) * sizeof(*list));
    }
    shipment->units.at[at] = *unit;
    return OK;
}

/* ---- telling ---- */

static enum outcome disclose(struct decision *decision, const struct output_cause *cause,
                             struct shipment *shipment, const struct unit *unit) {
    TRY(enter_unit(decision, shipment, unit));
    return output_disclosure(decision, cause, shipment, unit);
}

/* One request for all that the carrier ever got of this person's shipment, also what a change of service had
 * withdrawn before. */
static enum outcome anonymize(struct decision *decision, const struct output_cause *cause,
                              struct shipment *shipment, const struct unit *left) {
    struct notice_plan plan = {.kind = "anonymize", .cause = "withdrawn", .shipment = shipment, .unit = left};
    for (size_t i = 0; i < shipment->units.count; i++) {
        struct unit *unit = &shipment->units.at[i];
        if (!unit_same_person(unit, left) || unit->state == UNIT_ANONYMIZED || unit->state == UNIT_ERASED)
            continue;
        struct ref ref = unit_ref(decision->ref_key, shipment, unit);
        struct text *listed = ARENA_PUSH(decision->arena, &plan.disclosures);
        if (!listed)
            return RETRY;
        *listed = arena_text(decision->arena, text_of(ref.chars));
        if (!text_present(*listed))
            return RETRY;
        unit->state = UNIT_ANONYMIZED;
        if (plan.disclosures.count == NOTICE_DISCLOSURES) {
            TRY(output_notice(decision, cause, &plan));
            plan.part++;
            plan.disclosures.at = NULL;
            plan.disclosures.count = plan.disclosures.room = 0;
        }
    }
    return plan.disclosures.count ? output_notice(decision, cause, &plan) : OK;
}

static enum outcome notify(struct decision *decision, const struct output_cause *cause,
                           struct notice_plan *plan) {
    plan->disclosure = unit_ref(decision->ref_key, plan->shipment, plan->unit);
    struct text *listed = ARENA_PUSH(decision->arena, &plan->disclosures);
    if (!listed)
        return RETRY;
    *listed = arena_text(decision->arena, text_of(plan->disclosure.chars));
    return text_present(*listed) ? output_notice(decision, cause, plan) : RETRY;
}

/* wanted: what will be held instead; NULL: nothing, the shipment is cancelled. */
static enum outcome withdraw(struct decision *decision, const struct output_cause *cause,
                             struct shipment *shipment, struct unit *held, const struct unit *wanted) {
    bool other_carrier = wanted && !text_equal(held->carrier, wanted->carrier);
    bool other_person = wanted && !unit_same_person(held, wanted);
    bool left = !wanted && !text_equal(held->person, shipment->person);
    struct notice_plan plan = {.kind = "withdrawn",
                               .cause = left            ? "recipient_changed"
                                        : !wanted       ? "cancelled"
                                        : other_carrier ? "carrier_changed"
                                        : other_person  ? "recipient_changed"
                                                        : "service_changed",
                               .shipment = shipment,
                               .unit = held};
    TRY(notify(decision, cause, &plan));
    bool erased = erasure_names(decision, shipment, held); /* in the erasing step's own notice */
    if (erased || (wanted && !other_person)) { /* or the carrier goes on working for the same person */
        held->state = UNIT_WITHDRAWN;
        return OK;
    }
    return anonymize(decision, cause, shipment, held);
}

/* The unit stays: more or fewer parcels are disclosed again, changed fields corrected, the address as a
 * group. */
static enum outcome refresh(struct decision *decision, const struct output_cause *cause,
                            struct shipment *shipment, struct unit *held, struct text told) {
    if (held->parcels != shipment->parcels) {
        held->parcels = shipment->parcels;
        return output_disclosure(decision, cause, shipment, held);
    }
    const struct policy_service *service = unit_service(decision->policy, held);
    struct flat before, after;
    field_set visible = service ? service->fields : 0, differs = 0;
    flat_read(told, &before);
    flat_read(cell_content(&shipment->delivery), &after);
    for (size_t f = 0; f < FLAT_FIELDS; f++) {
        if (visible & FIELD_BIT(f) && !text_equal(before.json[f], after.json[f]))
            differs |= FIELD_BIT(f);
    }
    if (!differs)
        return OK;
    if (differs & ADDRESS_FIELDS)
        differs |= visible & ADDRESS_FIELDS;
    struct notice_plan plan = {.kind = "corrected",
                               .cause = "changed",
                               .shipment = shipment,
                               .unit = held,
                               .flat = &after,
                               .fields = differs};
    return notify(decision, cause, &plan);
}

enum outcome disclosure_settle(struct decision *decision, const struct event *event,
                               struct shipment *shipment, struct text told) {
    struct unit wanted;
    bool wants = unit_wanted(shipment, &wanted);
    struct unit *held = unit_held(shipment);
    struct output_cause cause;
    bool closed = shipment->erasure == SHIPMENT_ERASED && held && shipment->cancelled_us == TIME_NONE &&
                  text_equal(held->person, shipment->person);
    if ((!held && !wants) || closed) /* closed: the erasing step names it */
        return OK;
    TRY(output_cause_of(decision, event, &cause));
    if (held && wants && unit_same(held, &wanted))
        return refresh(decision, &cause, shipment, held, told);
    if (held)
        TRY(withdraw(decision, &cause, shipment, held, wants ? &wanted : NULL));
    return wants ? disclose(decision, &cause, shipment, &wanted) : OK;
}
