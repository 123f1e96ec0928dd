/* What mail houses hold of a customer: a recipient without countries that has a service named as a marketing
 * purpose is told of him while a channel of that purpose is allowed (SEMANTICS.md, Newsletter). */
#include "core/decide/cell_content.h"
#include "core/decide/erasure.h"
#include "core/decide/marketing.h"

#define ADDRESS_FIELDS (FIELD_BIT(STREET) | FIELD_BIT(POSTCODE) | FIELD_BIT(CITY) | FIELD_BIT(COUNTRY))

/* ---- units ---- */

static const struct policy_marketing *marketing_of(const struct policy *policy, struct text purpose) {
    for (size_t m = 0; m < policy->marketing_count; m++) {
        if (text_equal(policy->marketing[m].purpose, purpose))
            return &policy->marketing[m];
    }
    return NULL;
}

bool newsletter_unit(const struct policy *policy, size_t index, struct unit *unit) {
    for (size_t r = 0; r < policy->recipient_count; r++) {
        const struct policy_recipient *recipient = &policy->recipients[r];
        for (size_t s = 0; !recipient->country_count && s < recipient->service_count; s++) {
            if (!marketing_of(policy, recipient->services[s].name) || index--)
                continue;
            *unit = (struct unit){.carrier = recipient->id, .service = recipient->services[s].name};
            return true;
        }
    }
    return false;
}

struct ref letter_ref(const struct ref_key *ref_key, const struct person *row, const struct letter *letter) {
    return ref_disclosure(ref_key, letter->recipient, row->person, row->generation, row->person, TEXT_ABSENT,
                          letter->service, TEXT_ABSENT);
}

/* The letter of that recipient and service, made when there was none; NULL: the arena is full. */
static struct letter *letter_at(struct decision *decision, struct person *row, const struct unit *unit) {
    size_t at = 0;
    for (; at < row->letters.count; at++) {
        struct letter *letter = &row->letters.at[at];
        int order = text_compare(letter->recipient, unit->carrier);
        if (!order)
            order = text_compare(letter->service, unit->service);
        if (!order)
            return letter;
        if (order > 0)
            break;
    }
    if (!ARENA_PUSH(decision->arena, &row->letters))
        return NULL;
    struct letter *list = row->letters.at;
    memmove(list + at + 1, list + at, (row->letters.count - 1 - at) * sizeof(*list));
    list[at] = (struct letter){
        .recipient = unit->carrier, .service = unit->service, .state = UNIT_ANONYMIZED}; /* as if never */
    return &list[at];
}

static struct unit unit_of(const struct person *row, const struct letter *letter) {
    return (struct unit){.carrier = letter->recipient,
                         .service = letter->service,
                         .person = row->person,
                         .generation = row->generation};
}

/* ---- what is allowed ---- */

static bool allowed(const struct person *row, struct text purpose) {
    for (size_t i = 0; i < row->permissions.count; i++) {
        if (text_equal(row->permissions.at[i].purpose, purpose) &&
            row->permissions.at[i].reason == PERMISSION_ALLOWED)
            return true;
    }
    return false;
}

/* Why the mail house is to forget what it was told; NULL: an act of erasure says so itself. */
static const char *ending(const struct decision *decision, const struct person *row, struct text purpose) {
    const struct cut *cut = state_cut_of(decision->state, row->person, row->generation);
    bool stands = state_generation_at(decision->state, row->person, row->generation + 1) == row->generation;
    if (cut && stands)
        return cut->cause == CUT_CLOSED ? "closed" : NULL;
    if (erasure_requested_us(decision, row->person) > row->generation)
        return NULL; /* of a closing that does not stand any more, within what a request ends */
    for (size_t i = 0; i < row->permissions.count; i++) {
        if (text_equal(row->permissions.at[i].purpose, purpose) &&
            row->permissions.at[i].reason == PERMISSION_OBJECTED)
            return "objection";
    }
    return "withdrawn";
}

/* ---- telling ---- */

static enum outcome disclose(struct decision *decision, const struct output_cause *cause, struct person *row,
                             struct letter *letter) {
    const struct unit unit = unit_of(row, letter);
    const struct policy_service *service = unit_service(decision->policy, &unit);
    struct ref disclosure = letter_ref(decision->ref_key, row, letter);
    struct ref person = ref_person(decision->ref_key, unit.carrier, unit.person, unit.generation);
    struct ref token = ref_token(decision->ref_key, unit.person, unit.generation);
    struct json_writer *writer = decision->writer;
    field_set fields = 0;
    struct flat flat;
    assert(service); /* newsletter_unit made the letter of the policy */
    flat_read(cell_content(&row->profile), &flat);
    for (size_t f = 0; f < FLAT_FIELDS; f++) {
        if (service->fields & FIELD_BIT(f) && text_present(flat.json[f]))
            fields |= FIELD_BIT(f);
    }
    json_writer_reset(writer);
    json_object(writer);
    json_key(writer, "disclosure_ref");
    json_string(writer, disclosure.chars);
    json_key(writer, "fields");
    flat_write(writer, &flat, fields, false);
    json_key(writer, "person_ref");
    json_string(writer, person.chars);
    json_key(writer, "policy");
    json_string(writer, decision->policy->digest);
    json_key(writer, "purpose");
    json_text(writer, unit.service);
    json_key(writer, "service");
    json_text(writer, unit.service);
    json_key(writer, "token");
    json_string(writer, token.chars);
    json_object_end(writer);
    struct output *output = output_to_recipient(decision, cause, "register.disclosure.newsletter", NULL,
                                                &unit, &person, text_of(disclosure.chars), 0);
    if (!output)
        return RETRY;
    output->person = unit.person;
    output->service = output->purpose = unit.service;
    output->disclosure_ref = arena_text(decision->arena, text_of(disclosure.chars));
    output->fields = fields;
    letter->state = UNIT_HELD;
    return text_present(output->disclosure_ref) ? person_touch(decision, row->person, row->generation)
                                                : RETRY;
}

/* A notice about the one disclosure that there is; about it alone: corrected, withdrawn. */
static enum outcome notify(struct decision *decision, const struct output_cause *cause,
                           const struct person *row, const struct letter *letter, struct notice_plan *plan,
                           bool alone) {
    const struct unit unit = unit_of(row, letter);
    struct ref disclosure = letter_ref(decision->ref_key, row, letter);
    struct text *listed = ARENA_PUSH(decision->arena, &plan->disclosures);
    if (!listed)
        return RETRY;
    *listed = arena_text(decision->arena, text_of(disclosure.chars));
    if (!text_present(*listed))
        return RETRY;
    if (alone)
        plan->disclosure = disclosure;
    plan->unit = &unit;
    return output_notice(decision, cause, plan);
}

/* More parts than a notice of one event has: each service's `anonymize` is another notice. */
#define PARTS_MOST 10000

static enum outcome withdraw(struct decision *decision, const struct output_cause *cause, struct person *row,
                             struct letter *letter) {
    struct notice_plan withdrawn = {.kind = "withdrawn", .cause = "permission_ended"};
    struct notice_plan anonymize = {.kind = "anonymize",
                                    .cause = ending(decision, row, letter->service),
                                    .part = (int)(letter - row->letters.at) * PARTS_MOST};
    TRY(notify(decision, cause, row, letter, &withdrawn, true));
    letter->state = UNIT_WITHDRAWN;
    if (anonymize.cause) {
        letter->state = UNIT_ANONYMIZED;
        TRY(notify(decision, cause, row, letter, &anonymize, false));
    }
    return person_touch(decision, row->person, row->generation);
}

static enum outcome correct(struct decision *decision, const struct output_cause *cause, struct person *row,
                            struct letter *letter, struct text profile_before) {
    const struct unit unit = unit_of(row, letter);
    const struct policy_service *service = unit_service(decision->policy, &unit);
    struct flat before, after;
    field_set differs = 0;
    if (!service || !text_present(profile_before))
        return OK;
    flat_read(profile_before, &before);
    flat_read(cell_content(&row->profile), &after);
    for (size_t f = 0; f < FLAT_FIELDS; f++) {
        if (service->fields & FIELD_BIT(f) && !text_equal(before.json[f], after.json[f]))
            differs |= FIELD_BIT(f);
    }
    if (!differs)
        return OK;
    if (differs & ADDRESS_FIELDS)
        differs |= service->fields & ADDRESS_FIELDS;
    struct notice_plan plan = {.kind = "corrected", .cause = "changed", .flat = &after, .fields = differs};
    return notify(decision, cause, row, letter, &plan, true);
}

/* ---- following ---- */

/* What is held and may no longer be, in whatever generation. */
static enum outcome settle_held(struct decision *decision, const struct output_cause *cause,
                                struct person *row, bool newest, struct text profile_before) {
    for (size_t i = 0; i < row->letters.count; i++) {
        struct letter *letter = &row->letters.at[i];
        if (letter->state != UNIT_HELD)
            continue;
        if (newest && allowed(row, letter->service))
            TRY(correct(decision, cause, row, letter, profile_before));
        else
            TRY(withdraw(decision, cause, row, letter));
    }
    return OK;
}

static enum outcome settle_wanted(struct decision *decision, const struct output_cause *cause,
                                  struct person *row) {
    struct unit unit;
    for (size_t n = 0; newsletter_unit(decision->policy, n, &unit); n++) {
        if (!allowed(row, unit.service))
            continue;
        struct letter *letter = letter_at(decision, row, &unit);
        if (!letter)
            return RETRY;
        if (letter->state != UNIT_HELD)
            TRY(disclose(decision, cause, row, letter));
    }
    return OK;
}

/* ---- what a restored register lost ---- */

static bool is_known(const struct person *row, const struct unit *unit) {
    for (size_t i = 0; i < row->letters.count; i++)
        if (text_equal(row->letters.at[i].recipient, unit->carrier) &&
            text_equal(row->letters.at[i].service, unit->service))
            return true;
    return false;
}

static bool granted(const struct decision *decision, const struct person *row, struct text purpose) {
    size_t count;
    struct consent *const *consents = consent_all(decision->state, row->person, &count);
    for (size_t i = 0; i < count; i++)
        if (consents[i]->act == CONSENT_GRANTED && text_equal(consents[i]->purpose, purpose) &&
            consent_generation(decision->state, consents[i]) == row->generation)
            return true;
    return false;
}

static enum outcome recall(struct decision *decision, const struct output_cause *cause,
                           const struct person *row, const struct unit *unit, size_t number,
                           const char *why) {
    const struct letter letter = {.recipient = unit->carrier, .service = unit->service};
    struct notice_plan plan = {.kind = "anonymize", .cause = why, .part = NOTICE_LOST_PART - (int)number};
    const struct unit told = unit_of(row, &letter);
    plan.unit = &told;
    if (output_notice_known(decision, cause, &plan))
        return OK;
    return notify(decision, cause, row, &letter, &plan, false);
}

/* Of a generation before a cut that was not known when it was told. */
static enum outcome recall_earlier(struct decision *decision, const struct output_cause *cause,
                                   const struct person *guard, const struct person *row,
                                   const struct unit *unit, size_t number) {
    struct person earlier = {.person = row->person, .generation = GENERATION_FIRST};
    for (size_t i = 0; earlier.generation < row->generation; i++) {
        const struct person *held = state_find_person(decision->state, row->person, earlier.generation);
        if (!held || !is_known(held, unit))
            TRY(recall(decision, cause, &earlier, unit, number,
                       erasure_ended_by(decision->state, row->person, earlier.generation)));
        earlier.generation = guard->facts.cuts.at[i].cut_us;
    }
    return OK;
}

/* Nothing is known of him yet that a mail house could be told: it is still to be read. */
static bool is_blank(const struct person *row) {
    bool stated = row->ended;
    for (size_t f = 0; f < CONTACT_FIELDS; f++)
        stated |= row->field[f].time_us != VERSION_NONE;
    return !stated;
}

/* Before the register was restored, what it reads again may have come before what denies it now, or before a
 * cut: a mail house that may have been told is to forget. */
static enum outcome settle_lost(struct decision *decision, const struct output_cause *cause,
                                const struct person *guard, struct person *row) {
    struct unit unit;
    for (size_t n = 0; newsletter_unit(decision->policy, n, &unit); n++) {
        if (!granted(decision, row, unit.service))
            continue;
        TRY(recall_earlier(decision, cause, guard, row, &unit, n));
        if (is_known(row, &unit) || is_blank(row))
            continue;
        const char *why = ending(decision, row, unit.service);
        if (!letter_at(decision, row, &unit)) /* once */
            return RETRY;
        TRY(recall(decision, cause, row, &unit, n, why ? why : "request"));
        TRY(person_touch(decision, row->person, row->generation));
    }
    return OK;
}

/* ---- the whole ---- */

static bool concerned(const struct person *row, bool lost) {
    bool any = row->letters.count > 0 || lost;
    for (size_t i = 0; i < row->permissions.count; i++)
        any |= row->permissions.at[i].reason == PERMISSION_ALLOWED;
    return any;
}

enum outcome newsletter_settle(struct decision *decision, const struct event *event, struct text person,
                               struct text profile_before) {
    const struct person *guard = state_find_guard(decision->state, person);
    int64_t newest = state_newest_generation(decision->state, person);
    bool lost = event->version.time_us < decision->restored_us && event->type < EVENT_INPUT_TYPES;
    struct output_cause cause = {0};
    for (size_t g = 0; g <= guard->facts.cuts.count; g++) { /* rows of all generations that are or were */
        int64_t generation = g ? guard->facts.cuts.at[g - 1].cut_us : GENERATION_FIRST;
        struct person *row = state_find_person(decision->state, person, generation);
        if (!row || !concerned(row, lost))
            continue;
        if (!cause.event)
            TRY(output_cause_of(decision, event, &cause));
        TRY(settle_held(decision, &cause, row, generation == newest, profile_before));
        if (generation == newest)
            TRY(settle_wanted(decision, &cause, row));
        if (lost)
            TRY(settle_lost(decision, &cause, guard, row));
    }
    return OK;
}
