/* Consents, withdrawals and objections as facts with their proofs: what each speaks of and how long its proof
 * is kept. No fact takes another's proof away. */
#include "core/decide/marketing.h"

struct consent *const *consent_all(const struct state *state, struct text person, size_t *count) {
    const struct person *guard = state_find_guard(state, person);
    struct consent *const *consents = state_consents_of(state, person, count);
    assert(*count == (size_t)(guard ? guard->facts.consents : 0)); /* decide_needs must ask for them */
    return consents;
}

/* ---- what a fact speaks of ---- */

int64_t consent_generation(const struct state *state, const struct consent *consent) {
    if (!consent->by_token)
        return consent->generation;
    /* A token may outlive the cut that named its generation: the generation that took its place then. */
    return state_generation_at(state, consent->person, consent->generation + 1);
}

bool consent_about(const struct consent *consent, struct text purpose, struct text channel) {
    return (!text_present(consent->purpose) || text_equal(consent->purpose, purpose)) &&
           (!text_present(consent->channel) || text_equal(consent->channel, channel));
}

/* Generations need no look: what is later than a grant of the newest is of the newest itself, or by a token
 * of an older one, which counts against it as well. */
bool consent_against(const struct consent *consent, const struct consent *grant) {
    return consent->act != CONSENT_GRANTED && consent_about(consent, grant->purpose, grant->channel);
}

bool consent_confirmed(const struct consent *grant) {
    return text_is(grant->basis, "consent") && grant->has_confirmed && grant->confirmed;
}

/* ---- how long the proofs are kept ---- */

/* When the profile of the newest generation ends, were nothing to come; TIME_NONE: no clock of it runs. */
static int64_t profile_end_us(const struct decision *decision, struct text person) {
    int64_t generation = state_newest_generation(decision->state, person);
    const struct person *row = state_find_person(decision->state, person, generation);
    if (!row)
        return TIME_NONE;
    struct clocks clocks = clocks_none();
    clocks.at_us[CLOCK_LAST_ACTIVITY] =
        row->profile_activity_us > row->order_activity_us ? row->profile_activity_us : row->order_activity_us;
    clocks.at_us[CLOCK_RELATIONSHIP_END] = row->closed_us;
    clocks.at_us[CLOCK_RECORDED] = row->recorded_us;
    int32_t end = policy_until(decision->policy, CATEGORY_PROFILE, &clocks, NULL, 0);
    return end == DATE_NONE ? TIME_NONE : date_begins_us(decision->policy->zone, end);
}

/* What ended a grant; the others end when they are said. */
static int64_t ended_us(const struct decision *decision, const struct consent *consent,
                        struct consent *const *all, size_t count, int64_t profile_us) {
    const struct state *state = decision->state;
    int64_t said_us = consent->version.time_us, end_us = TIME_NONE;
    if (consent->act != CONSENT_GRANTED)
        return said_us;
    for (size_t i = 0; i < count; i++) {
        if (all[i]->version.time_us >= said_us && consent_against(all[i], consent))
            (void)earliest(&end_us, all[i]->version.time_us);
    }
    if (end_us != TIME_NONE)
        return end_us;
    const struct cut *cut = state_cut_of(state, consent->person, consent_generation(state, consent));
    if (cut)
        return cut->cut_us;
    return profile_us != TIME_NONE ? profile_us : said_us;
}

enum outcome consent_keep_until(struct decision *decision, struct text person) {
    const struct person *guard = state_find_guard(decision->state, person);
    size_t count;
    if (!guard || !guard->facts.consents)
        return OK;
    struct consent *const *all = consent_all(decision->state, person, &count);
    int64_t profile_us = profile_end_us(decision, person);
    bool changed = false;
    for (size_t i = 0; i < count; i++) {
        struct clocks clocks = clocks_none();
        clocks.at_us[CLOCK_CONSENT_ENDED] = ended_us(decision, all[i], all, count, profile_us);
        clocks.at_us[CLOCK_RECORDED] = all[i]->version.time_us;
        int32_t until = policy_until(decision->policy, CATEGORY_CONSENT_PROOF, &clocks, NULL, 0);
        if (!cell_keep_until(&all[i]->proof, until))
            continue;
        all[i]->touched = changed = true;
    }
    return changed ? person_touch(decision, person, GENERATION_FIRST) : OK;
}

int32_t consent_proofs_until(const struct decision *decision, struct text person, int64_t generation) {
    int32_t until = DATE_NONE;
    size_t count;
    struct consent *const *all = consent_all(decision->state, person, &count);
    for (size_t i = 0; i < count; i++) {
        if (cell_present(&all[i]->proof) && all[i]->proof.until > until &&
            consent_generation(decision->state, all[i]) <= generation)
            until = all[i]->proof.until;
    }
    return until;
}

enum outcome consent_recut(struct decision *decision, struct text person) {
    const struct person *guard = state_find_guard(decision->state, person);
    size_t count;
    if (!guard || !guard->facts.consents)
        return OK;
    struct consent *const *all = consent_all(decision->state, person, &count);
    for (size_t i = 0; i < count; i++) {
        int64_t generation = state_generation_at(decision->state, person, all[i]->version.time_us);
        if (all[i]->by_token || all[i]->generation == generation)
            continue;
        all[i]->generation = generation;
        all[i]->touched = true;
        cell_moves(&all[i]->proof); /* to another ring */
        TRY(person_touch(decision, person, GENERATION_FIRST));
    }
    return consent_keep_until(decision, person);
}

int64_t consent_granted_us(const struct state *state, struct text person, int64_t generation) {
    int64_t last_us = TIME_NONE;
    size_t count;
    struct consent *const *all = consent_all(state, person, &count);
    for (size_t i = 0; i < count; i++) {
        int64_t time_us = all[i]->version.time_us;
        if (all[i]->act == CONSENT_GRANTED && state_generation_at(state, person, time_us) == generation)
            (void)latest(&last_us, time_us);
    }
    return last_us;
}

/* ---- a fact comes in ---- */

static enum outcome write_proof(struct decision *decision, const struct event *event,
                                struct consent *consent) {
    const struct notice_text *wording = &event->as.consent.wording;
    struct json_writer *writer = decision->writer;
    json_writer_reset(writer);
    json_object(writer);
    json_key(writer, "method");
    json_text(writer, event->as.consent.method);
    if (text_present(wording->id)) {
        json_key(writer, "wording");
        json_object(writer);
        json_key(writer, "id");
        json_text(writer, wording->id);
        json_key(writer, "language");
        json_text(writer, wording->language);
        json_key(writer, "sha256");
        json_text(writer, wording->sha256);
        json_object_end(writer);
    }
    json_object_end(writer);
    struct text content = json_writer_take(writer, decision->arena);
    if (!text_present(content))
        return RETRY;
    cell_write(&consent->proof, content);
    return OK;
}

/* Who is named by id has a row in the generation of that time; who is named by token in the token's. */
static enum outcome name_person(struct decision *decision, const struct event *event, struct text person,
                                bool by_token, int64_t generation) {
    struct person *row;
    if (event->type == CONSENT_GRANTED)
        return person_ordered(decision, event, true);
    if (!by_token)
        return person_named(decision, person, event->version.time_us, &row);
    generation = state_generation_at(decision->state, person, generation + 1);
    row = state_person(decision->state, person, generation);
    if (!row)
        return RETRY;
    return row->revision || row->touched ? OK : person_touch(decision, person, generation);
}

static enum outcome enter(struct decision *decision, const struct event *event, struct consent *consent,
                          bool by_token, int64_t generation) {
    consent->act = event->type;
    consent->version = event->version;
    consent->version.protective = event->type != CONSENT_GRANTED;
    consent->by_token = by_token;
    consent->generation =
        by_token ? generation : state_generation_at(decision->state, consent->person, event->version.time_us);
    consent->purpose = event->as.consent.purpose;
    consent->channel = event->as.consent.channel;
    consent->basis = event->as.consent.basis;
    consent->order_id = event->as.consent.order_id;
    consent->method = event->as.consent.method;
    consent->has_confirmed = event->as.consent.has_confirmed;
    consent->confirmed = event->as.consent.confirmed;
    consent->touched = true;
    return write_proof(decision, event, consent);
}

enum outcome consent_taken(struct decision *decision, const struct event *event, struct text person,
                           bool by_token, int64_t generation) {
    struct person *guard = state_person(decision->state, person, GENERATION_FIRST);
    struct text cause = event_cause(event, decision->arena);
    size_t count;
    if (!guard || !text_present(cause))
        return RETRY;
    struct ref fact = ref_fact(decision->ref_key, cause);
    struct consent *const *all = consent_all(decision->state, person, &count);
    bool second = false;
    for (size_t i = 0; i < count; i++) {
        if (text_is(all[i]->fact, fact.chars))
            return OK; /* an exact duplicate */
        second |= second_fact(&all[i]->version, &event->version);
    }
    decision->second_facts += second;
    TRY(name_person(decision, event, person, by_token, generation));
    struct consent *consent = state_consent(decision->state, person, text_of(fact.chars));
    if (!consent)
        return RETRY;
    TRY(enter(decision, event, consent, by_token, generation));
    guard->facts.consents++;
    TRY(person_touch(decision, person, GENERATION_FIRST));
    TRY(consent_keep_until(decision, person));
    bool ended = state_cut_of(decision->state, person, consent_generation(decision->state, consent));
    if (event->type == CONSENT_OBJECTED || (event->type == CONSENT_WITHDRAWN && ended))
        TRY(address_consented(decision, event, person));
    return permission_follow(decision, event, person, TEXT_ABSENT);
}

enum outcome consent_stated(struct decision *decision, const struct event *event,
                            const uint8_t record_hash[32], enum verdict *verdict) {
    if (text_present(event->as.consent.token))
        return token_used(decision, event, record_hash, verdict);
    return consent_taken(decision, event, event->customer_id, false, GENERATION_FIRST);
}
