/* Whether a customer may be written to, for each purpose and channel of the policy: what his consents,
 * objections, addresses and orders come to (SEMANTICS.md, Permission), and the record that says so. */
#include "core/decide/marketing.h"

#include <stdio.h>

#define ROOM(array) (sizeof(array) / sizeof(*(array)))
#define LINES_MOST                                                                                           \
    (ROOM(((struct policy *)NULL)->marketing) * ROOM(((struct policy_marketing *)NULL)->channels))

/* What is looked at for the lines of one generation. */
struct judging {
    const struct policy *policy;
    const struct state *state;
    struct text person;
    int64_t generation, newest;
    struct consent *const *consents;
    size_t consent_count;
};
/* What becomes of a grant, or of all of them. */
struct finding {
    enum permission_reason reason;
    int64_t since_us; /* of a denial */
};

static void deny(struct finding *finding, enum permission_reason reason, int64_t since_us) {
    if (reason > finding->reason)
        finding->reason = reason;
    if (since_us != TIME_NONE)
        (void)earliest(&finding->since_us, since_us);
}

/* ---- grants ---- */

static bool listed(const struct text *list, size_t count, struct text text) {
    for (size_t i = 0; i < count; i++) {
        if (text_equal(list[i], text))
            return true;
    }
    return false;
}

/* A sale that came to something: paid and not cancelled. */
static bool sold(const struct judging *judging, struct text order_id) {
    const struct order *order = state_find_order(judging->state, judging->person, order_id);
    return order && order->payments.count && order->cancelled_us == TIME_NONE;
}

static bool counts(const struct judging *judging, const struct policy_marketing *marketing,
                   struct text channel, const struct consent *grant) {
    if (grant->act != CONSENT_GRANTED || judging->generation != judging->newest ||
        consent_generation(judging->state, grant) != judging->generation ||
        !text_equal(grant->purpose, marketing->purpose) || !text_equal(grant->channel, channel) ||
        !listed(marketing->bases, marketing->basis_count, grant->basis) ||
        !listed(marketing->from, marketing->from_count, grant->method))
        return false;
    if (marketing->double_opt_in && !(grant->has_confirmed && grant->confirmed))
        return false;
    return !text_is(grant->basis, "soft_opt_in") ||
           (marketing->soft_opt_in && sold(judging, grant->order_id));
}

/* ---- addresses ---- */

static bool stated(const struct person *row, enum contact_field field) {
    return row->field[field].time_us != VERSION_NONE && !row->field[field].protective;
}

/* There is somewhere to write to; *hash is its, where one is kept. */
static bool reachable(const struct person *row, struct text channel, struct text *hash) {
    *hash = TEXT_ABSENT;
    if (!row || !person_visible(row))
        return false;
    if (text_is(channel, "post"))
        return stated(row, STREET);
    bool email = text_is(channel, "email");
    *hash = address_seen(row, email ? ADDRESS_EMAIL : ADDRESS_PHONE);
    return stated(row, email ? EMAIL : PHONE);
}

/* The earliest of his objections that is not before the instant; the last is not. */
static int64_t objected_since(const struct address_entry *entry, int64_t time_us) {
    for (size_t i = 0; i < entry->objected_between.count; i++) {
        if (entry->objected_between.at[i] >= time_us)
            return entry->objected_between.at[i];
    }
    return entry->objected_last_us;
}

/* Whoever else objected under the address is not written to, unless he who has it now confirmed his own
 * consent later. */
static void weigh_address(const struct judging *judging, const struct consent *grant, struct text hash,
                          struct finding *finding) {
    if (!text_present(hash))
        return;
    const struct address *address = state_find_address(judging->state, hash);
    assert(address); /* decide_needs must ask for it */
    int64_t granted_us = grant->version.time_us;
    for (size_t i = 0; i < address->entries.count; i++) {
        const struct address_entry *entry = &address->entries.at[i];
        if (entry->objected_first_us == TIME_NONE || text_equal(entry->person, judging->person))
            continue;
        if (!consent_confirmed(grant) || entry->objected_first_us >= granted_us)
            deny(finding, PERMISSION_OBJECTED, entry->objected_first_us);
        else if (entry->objected_last_us >= granted_us)
            deny(finding, PERMISSION_OBJECTED, objected_since(entry, granted_us));
    }
}

/* ---- one purpose and channel ---- */

/* Times alone are compared: a sequence never rescues a grant from a denial of the same instant. */
static struct finding weigh(const struct judging *judging, struct text channel, const struct consent *grant) {
    struct finding finding = {PERMISSION_ALLOWED, TIME_NONE};
    for (size_t i = 0; i < judging->consent_count; i++) {
        const struct consent *against = judging->consents[i];
        int64_t time_us = against->version.time_us;
        if (!consent_against(against, grant))
            continue;
        if (against->act == CONSENT_OBJECTED &&
            (time_us >= grant->version.time_us || !consent_confirmed(grant)))
            deny(&finding, PERMISSION_OBJECTED, time_us);
        if (against->act == CONSENT_WITHDRAWN && time_us >= grant->version.time_us)
            deny(&finding, PERMISSION_WITHDRAWN, time_us);
    }
    struct text hash;
    const struct person *row = state_find_person(judging->state, judging->person, judging->generation);
    if (!reachable(row, channel, &hash))
        deny(&finding, PERMISSION_NO_ADDRESS, TIME_NONE);
    weigh_address(judging, grant, hash, &finding);
    return finding;
}

/* Nothing was granted that counts: an objection or withdrawal says so, or the cut, or nothing does. */
static struct finding without_grant(const struct judging *judging, const struct permission *line) {
    struct finding finding = {PERMISSION_NONE, TIME_NONE};
    for (size_t i = 0; i < judging->consent_count; i++) {
        const struct consent *consent = judging->consents[i];
        if (consent->act == CONSENT_GRANTED || !consent_about(consent, line->purpose, line->channel))
            continue;
        if (consent->act == CONSENT_OBJECTED)
            deny(&finding, PERMISSION_OBJECTED, consent->version.time_us);
        else if (consent_generation(judging->state, consent) == judging->generation)
            deny(&finding, PERMISSION_WITHDRAWN, consent->version.time_us);
    }
    if (finding.reason != PERMISSION_NONE)
        return finding;
    const struct cut *cut = state_cut_of(judging->state, judging->person, judging->generation);
    if (cut)
        deny(&finding, PERMISSION_ERASED, cut->cut_us);
    else if (judging->generation != GENERATION_FIRST)
        deny(&finding, PERMISSION_ERASED, judging->generation);
    return finding;
}

/* The earliest grant that survives allows; else the newest says why not. */
static void judge(const struct judging *judging, const struct policy_marketing *marketing,
                  struct permission *line) {
    const struct consent *first = NULL, *newest = NULL;
    struct finding denial = {PERMISSION_ALLOWED, TIME_NONE};
    for (size_t i = 0; i < judging->consent_count; i++) {
        const struct consent *grant = judging->consents[i];
        if (!counts(judging, marketing, line->channel, grant))
            continue;
        struct finding finding = weigh(judging, line->channel, grant);
        if (finding.reason == PERMISSION_ALLOWED) {
            if (!first || version_compare(&grant->version, &first->version) < 0)
                first = grant;
        } else if (!newest || version_compare(&grant->version, &newest->version) > 0) {
            newest = grant;
            denial = finding;
        }
    }
    if (!first && !newest)
        denial = without_grant(judging, line);
    line->reason = first ? PERMISSION_ALLOWED : denial.reason;
    line->basis = first ? first->basis : TEXT_ABSENT;
    line->since_us = first ? first->version.time_us : denial.since_us;
}

/* ---- lines ---- */

static size_t judge_all(const struct judging *judging, struct permission lines[LINES_MOST]) {
    size_t count = 0;
    for (size_t m = 0; m < judging->policy->marketing_count; m++) {
        const struct policy_marketing *marketing = &judging->policy->marketing[m];
        for (size_t c = 0; c < marketing->channel_count; c++) {
            lines[count] =
                (struct permission){.purpose = marketing->purpose, .channel = marketing->channels[c]};
            judge(judging, marketing, &lines[count++]);
        }
    }
    return count;
}

static bool has_lines(const struct judging *judging) {
    const struct person *row = state_find_person(judging->state, judging->person, judging->generation);
    if (row && row->opened)
        return true;
    for (size_t i = 0; i < judging->consent_count; i++) {
        if (consent_generation(judging->state, judging->consents[i]) == judging->generation)
            return true;
    }
    return false;
}

static bool same_lines(const struct person *row, const struct permission *lines, size_t count) {
    if (row->permissions.count != count)
        return false;
    for (size_t i = 0; i < count; i++) {
        const struct permission *told = &row->permissions.at[i];
        if (!text_equal(told->purpose, lines[i].purpose) || !text_equal(told->channel, lines[i].channel) ||
            told->reason != lines[i].reason || !text_equal(told->basis, lines[i].basis) ||
            told->since_us != lines[i].since_us)
            return false;
    }
    return true;
}

/* The generation's lines become these; *changed when they were others. */
static enum outcome take_lines(struct decision *decision, struct person *row, const struct permission *lines,
                               size_t count, bool *changed) {
    *changed = !same_lines(row, lines, count);
    if (!*changed)
        return OK;
    struct permission *kept = ARENA_ARRAY(decision->arena, struct permission, count ? count : 1);
    if (!kept)
        return RETRY;
    if (count)
        memcpy(kept, lines, count * sizeof(*kept));
    row->permissions.at = kept;
    row->permissions.count = row->permissions.room = count;
    return person_touch(decision, row->person, row->generation);
}

/* ---- the record ---- */

static void write_time(struct json_writer *writer, int64_t time_us) {
    char chars[28];
    if (time_us == TIME_NONE) {
        json_null(writer);
        return;
    }
    instant_write(time_us, chars);
    json_string(writer, chars);
}

static void write_record(struct json_writer *writer, const struct person *row, const struct ref *token) {
    json_writer_reset(writer);
    json_object(writer);
    json_key(writer, "customer_id");
    json_text(writer, row->person);
    json_key(writer, "permissions");
    json_array(writer);
    for (size_t i = 0; i < row->permissions.count; i++) {
        const struct permission *line = &row->permissions.at[i];
        json_object(writer);
        json_key(writer, "allowed");
        json_bool(writer, line->reason == PERMISSION_ALLOWED);
        json_key(writer, "basis");
        json_text(writer, line->basis);
        json_key(writer, "channel");
        json_text(writer, line->channel);
        json_key(writer, "purpose");
        json_text(writer, line->purpose);
        json_key(writer, "reason");
        json_string(writer, permission_reason_names[line->reason]);
        json_key(writer, "since");
        write_time(writer, line->since_us);
        json_key(writer, "token");
        json_string(writer, token->chars);
        json_object_end(writer);
    }
    json_array_end(writer);
    json_object_end(writer);
}

/* Nothing personal is in it: the person stands in the ledger as its subject only. */
static enum outcome tell(struct decision *decision, const struct event *event, const struct person *row) {
    static const char type[] = "register.marketing.permission";
    struct ref token = ref_token(decision->ref_key, row->person, row->generation);
    struct output_cause cause;
    TRY(output_cause_of(decision, event, &cause));
    write_record(decision->writer, row, &token);
    struct output *output = ARENA_PUSH(decision->arena, &decision->outputs);
    if (!output)
        return RETRY;
    *output = (struct output){.type = type,
                              .topic = TEXT("register.marketing-permission.v1"),
                              .key = row->person,
                              .generation = row->generation,
                              .category = CATEGORY_CONSENT_PROOF,
                              .subject = row->person,
                              .cause = cause.name};
    output->body = json_writer_take(decision->writer, decision->arena);
    if (!text_present(output->body))
        return RETRY;
    /* The content is the object: an event that moves it twice makes two outputs. So are a restored register's
     * others than those that it lost: it may decide them in another order, and only the last one counts. */
    output->id = output_id_derive(decision->ref_key, TEXT_ABSENT, type, row->person, row->generation,
                                  output->body, cause.bytes, decision->restored_us);
    return OK;
}

/* ---- following ---- */

/* The n-th generation that is or was: the first, and one after each cut. */
static int64_t generation_of(const struct person *guard, size_t index) {
    return index ? guard->facts.cuts.at[index - 1].cut_us : GENERATION_FIRST;
}

static struct judging judging_of(const struct decision *decision, struct text person, int64_t generation) {
    struct judging judging = {.policy = decision->policy,
                              .state = decision->state,
                              .person = person,
                              .generation = generation,
                              .newest = state_newest_generation(decision->state, person)};
    judging.consents = consent_all(decision->state, person, &judging.consent_count);
    return judging;
}

/* A generation that no valid cut names has no lines any more: its time belongs to the one before. */
static bool is_generation(const struct person *guard, size_t index) {
    return !index || guard->facts.cuts.at[index - 1].valid;
}

/* What is parked under a token takes effect when it becomes known. */
static enum outcome know_token(struct decision *decision, const struct person *guard, int64_t generation) {
    char decimal[24];
    struct ref token = ref_token(decision->ref_key, guard->person, generation);
    int size = snprintf(decimal, sizeof(decimal), "%lld", (long long)generation);
    struct text object = arena_text(decision->arena, (struct text){decimal, (size_t)size});
    if (!text_present(object))
        return RETRY;
    TRY(person_touch(decision, guard->person, GENERATION_FIRST));
    return ref_known(decision, &token, REF_TOKEN, TEXT("shop"), guard->person, object);
}

/* Unsubscribe tokens are valid while the person exists, or a tombstone of his. *learnt: one is so from now
 * on. */
static enum outcome know_tokens(struct decision *decision, struct person *guard, bool *learnt) {
    if (!decision->policy->marketing_count)
        return OK;
    for (size_t g = 0; g <= guard->facts.cuts.count; g++) {
        bool *known = g ? &guard->facts.cuts.at[g - 1].token : &guard->facts.token;
        if (*known || !is_generation(guard, g))
            continue;
        *known = *learnt = true;
        TRY(know_token(decision, guard, generation_of(guard, g)));
    }
    return OK;
}

static enum outcome follow_lines(struct decision *decision, const struct event *event,
                                 const struct person *guard) {
    struct person *told = NULL; /* the highest generation with lines: its record goes out */
    bool differs = false;
    for (size_t g = 0; g <= guard->facts.cuts.count; g++) {
        struct permission lines[LINES_MOST];
        struct judging judging = judging_of(decision, guard->person, generation_of(guard, g));
        bool has = is_generation(guard, g) && has_lines(&judging), changed = false;
        struct person *row = state_find_person(decision->state, guard->person, judging.generation);
        if (!has && (!row || !row->permissions.count))
            continue;
        if (!row) /* what makes lines makes the row */
            return RETRY;
        TRY(take_lines(decision, row, lines, has ? judge_all(&judging, lines) : 0, &changed));
        told = has ? row : told;
        differs = has ? changed : true; /* a later record was about a generation that is no more */
    }
    return told && differs ? tell(decision, event, told) : OK;
}

enum outcome permission_retold(struct decision *decision, const struct event *event,
                               const uint8_t record_hash[32], enum verdict *verdict) {
    const struct person *guard = state_find_guard(decision->state, event->as.restored.person), *told = NULL;
    (void)record_hash, (void)verdict;
    for (size_t g = 0; guard && g <= guard->facts.cuts.count; g++) {
        const struct person *row = state_find_person(decision->state, guard->person, generation_of(guard, g));
        if (row && row->permissions.count)
            told = row;
    }
    return told ? tell(decision, event, told) : OK;
}

enum outcome permission_follow(struct decision *decision, const struct event *event, struct text person,
                               struct text profile_before) {
    struct person *guard = state_find_guard(decision->state, person);
    bool learnt = false;
    if (!guard || person_is_recipient(person))
        return OK;
    TRY(know_tokens(decision, guard, &learnt));
    TRY(follow_lines(decision, event, guard));
    /* where not even the token was known, nobody was told of a profile */
    return newsletter_settle(decision, event, person, learnt ? TEXT_ABSENT : profile_before);
}
