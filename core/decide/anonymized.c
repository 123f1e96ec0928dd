/* What is said of an erasure and of a request: register.customer.anonymized, register.subject.erased,
 * register.request.status. Members stand in canonical order. */
#include "core/decide/erasure.h"

#include <stdio.h>

static void member_time(struct json_writer *writer, const char *key, int64_t time_us) {
    char chars[28];
    instant_write(time_us, chars);
    json_key(writer, key);
    json_string(writer, chars);
}

static void member_date(struct json_writer *writer, const char *key, int32_t date) {
    char chars[11];
    date_write(date, chars);
    json_key(writer, key);
    json_string(writer, chars);
}

static void member_string(struct json_writer *writer, const char *key, const char *value) {
    json_key(writer, key);
    json_string(writer, value);
}

static const char *cause_name(const struct cut *cut) {
    return cut->cause == CUT_REQUEST ? "request" : "closed";
}

/* The generation that the cut ends is named by the one before it. */
static int64_t generation_of(const struct person *guard, const struct cut *cut) {
    int64_t generation = GENERATION_FIRST;
    for (size_t i = 0; i < guard->facts.cuts.count; i++) {
        if (guard->facts.cuts.at[i].valid && guard->facts.cuts.at[i].cut_us < cut->cut_us)
            generation = guard->facts.cuts.at[i].cut_us;
    }
    return generation;
}

bool cut_erases(const struct policy *policy, struct text person, const struct cut *cut,
                enum category category) {
    const struct policy_category *named = &policy->categories[category];
    bool customer = !person_is_recipient(person);
    if (!named->present)
        return false;
    if (category == CATEGORY_DELIVERY)
        return cut->cause == CUT_REQUEST && named->on_request != ON_REQUEST_KEEP;
    return customer && named->on_request == ON_REQUEST_ERASE;
}

/* The output, its body taken from the writer. */
static enum outcome add_output(struct decision *decision, const struct event *event, const char *type,
                               const char *topic, struct text subject, int64_t generation, struct text key,
                               struct text object) {
    struct output_cause cause;
    TRY(output_cause_of(decision, event, &cause));
    struct output *output = ARENA_PUSH(decision->arena, &decision->outputs);
    if (!output)
        return RETRY;
    *output = (struct output){.type = type,
                              .topic = text_of(topic),
                              .key = key,
                              .generation = generation,
                              .category = CATEGORY_LEDGER,
                              .subject = subject,
                              .cause = cause.name};
    output->id =
        output_id_derive(decision->ref_key, TEXT_ABSENT, type, subject, generation, object, cause.bytes, 0);
    output->body = json_writer_take(decision->writer, decision->arena);
    return text_present(output->body) ? OK : RETRY;
}

/* ---- register.customer.anonymized ---- */

static void later(int32_t *until, const struct cell *cell) {
    if (cell_present(cell) && (*until == DATE_NONE || cell->until > *until))
        *until = cell->until;
}

/* The latest end of the category's cells in the person's generations up to the one that the cut ends. */
static int32_t retained_until(const struct decision *decision, const struct person *guard,
                              const struct cut *cut, enum category category) {
    int32_t until = DATE_NONE;
    if (category == CATEGORY_CONSENT_PROOF)
        return consent_proofs_until(decision, guard->person, generation_of(guard, cut));
    for (size_t i = 0; i < guard->whole.orders.count; i++) {
        const struct whole_key *key = &guard->whole.orders.at[i];
        const struct order *order = state_find_order(decision->state, key->customer_id, key->object_id);
        assert(order);
        if (order->generation >= cut->cut_us)
            continue;
        later(&until, category == CATEGORY_CLAIM     ? &order->claim
                      : category == CATEGORY_VOUCHER ? &order->voucher
                                                     : &order->oss);
    }
    return until;
}

static void write_retained(const struct decision *decision, const struct person *guard,
                           const struct cut *cut) {
    struct json_writer *writer = decision->writer;
    json_key(writer, "retained");
    json_array(writer);
    for (enum category c = CATEGORY_CLAIM; c <= CATEGORY_CONSENT_PROOF; c++) {
        const struct policy_category *category = &decision->policy->categories[c];
        if (category->on_request != ON_REQUEST_KEEP)
            continue;
        int32_t until = retained_until(decision, guard, cut, c);
        if (until == DATE_NONE)
            continue;
        json_object(writer);
        member_string(writer, "category", category_names[c]);
        json_key(writer, "ground");
        json_text(writer, category->ground);
        member_date(writer, "until", until);
        json_object_end(writer);
    }
    json_array_end(writer);
}

enum outcome anonymized_tell(struct decision *decision, const struct event *event, const struct person *guard,
                             const struct cut *cut) {
    struct json_writer *writer = decision->writer;
    int64_t generation = generation_of(guard, cut);
    char object[24];
    json_writer_reset(writer);
    json_object(writer);
    member_string(writer, "cause", cause_name(cut));
    json_key(writer, "complete");
    json_bool(writer, cut->complete);
    json_key(writer, "customer_id");
    json_text(writer, guard->person);
    json_key(writer, "erased");
    json_array(writer);
    for (enum category c = CATEGORY_PROFILE; c < CATEGORIES; c++) {
        if (cut_erases(decision->policy, guard->person, cut, c) && (c != CATEGORY_DELIVERY || cut->complete))
            json_string(writer, category_names[c]);
    }
    json_array_end(writer);
    if (generation != GENERATION_FIRST)
        member_time(writer, "generation", generation);
    write_retained(decision, guard, cut);
    json_key(writer, "waiting");
    json_array(writer);
    if (!cut->complete) {
        json_object(writer);
        member_string(writer, "category", category_names[CATEGORY_DELIVERY]);
        member_string(writer, "event", "parcels_closed");
        json_object_end(writer);
    }
    json_array_end(writer);
    json_object_end(writer);
    /* the instant of the cut: one event may complete several */
    int size = snprintf(object, sizeof(object), "%lld", (long long)cut->cut_us);
    return add_output(decision, event, "register.customer.anonymized", "register.anonymization.v1",
                      guard->person, generation, guard->person, (struct text){object, (size_t)size});
}

/* ---- register.subject.erased ---- */

static void write_erasure(const struct decision *decision, const struct person *guard, const struct cut *cut,
                          enum category category) {
    struct json_writer *writer = decision->writer;
    int64_t generation = generation_of(guard, cut);
    json_object(writer);
    member_string(writer, "category", category_names[category]);
    member_string(writer, "cause", cause_name(cut));
    json_key(writer, "complete");
    json_bool(writer, category != CATEGORY_DELIVERY || cut->complete);
    member_time(writer, "cut", cut->cut_us);
    if (generation != GENERATION_FIRST)
        member_time(writer, "generation", generation);
    json_object_end(writer);
}

enum outcome anonymized_tell_subject(struct decision *decision, const struct event *event,
                                     const struct person *guard) {
    struct json_writer *writer = decision->writer;
    char subject[SUBJECT_CHARS + 1];
    ref_subject(decision->ref_key, guard->person, subject);
    struct text key = arena_text(decision->arena, text_of(subject));
    if (!text_present(key))
        return RETRY;
    json_writer_reset(writer);
    json_object(writer);
    json_key(writer, "erasures");
    json_array(writer);
    for (size_t i = 0; i < guard->facts.cuts.count; i++) {
        const struct cut *cut = &guard->facts.cuts.at[i];
        for (enum category c = CATEGORY_PROFILE; cut->valid && c < CATEGORIES; c++) {
            if (cut_erases(decision->policy, guard->person, cut, c))
                write_erasure(decision, guard, cut, c);
        }
    }
    json_array_end(writer);
    member_string(writer, "subject", subject);
    json_object_end(writer);
    return add_output(decision, event, "register.subject.erased", "register.erasure.v1", guard->person,
                      GENERATION_FIRST, key, key);
}

/* ---- register.request.status ---- */

enum outcome anonymized_tell_request(struct decision *decision, const struct request *request) {
    struct json_writer *writer = decision->writer;
    json_writer_reset(writer);
    json_object(writer);
    if (request->due != DATE_NONE)
        member_date(writer, "due", request->due);
    json_key(writer, "request_id");
    json_text(writer, request->request_id);
    member_string(writer, "state", request_state_names[request->state]);
    json_object_end(writer);
    return add_output(decision, request->last, "register.request.status", "register.request.v1",
                      request->request_id, GENERATION_FIRST, request->request_id, request->request_id);
}
