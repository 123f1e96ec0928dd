/* Whatever the file holds, policy_parse returns; it complains just when it refuses; and what it takes it
 * reads alike from its own source, with terms that are written and read alike, ends that lie behind their
 * beginnings, and services that are found by their names. */
#include "core/policy.h"
#include "tests/fuzz/common.h"

#include <stdlib.h>
#include <string.h>

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t room);

struct heard {
    size_t count;
};

static void hear(void *context, const char *path, const char *message) {
    hold(path && message && *message, "a complaint says something");
    ((struct heard *)context)->count++;
}

static void check_term(const struct term *term) {
    char written[32];
    struct term read;
    size_t size = term_write(term, written);
    hold(term_parse((struct text){written, size}, &read) && memcmp(term, &read, sizeof read) == 0,
         "a term is written and read alike");
}

static bool same_term(const struct term *one, const struct term *two) {
    return memcmp(one, two, sizeof *one) == 0;
}

static void check_category(const struct policy *policy, const struct policy_category *one,
                           const struct policy_category *two, enum category category) {
    hold(one->present == two->present && one->fields == two->fields && one->when_paid == two->when_paid &&
             one->on_request == two->on_request && one->purpose_count == two->purpose_count &&
             one->product_class_count == two->product_class_count && one->clock.clock == two->clock.clock &&
             one->fallback.clock == two->fallback.clock && same_term(&one->clock.term, &two->clock.term) &&
             same_term(&one->fallback.term, &two->fallback.term) && text_equal(one->subject, two->subject) &&
             text_equal(one->ground, two->ground),
         "a category is read alike");
    if (!one->present)
        return;
    check_term(&one->clock.term);
    if (one->fallback.clock != CLOCK_NONE)
        check_term(&one->fallback.term);
    struct clocks clocks;
    for (int clock = 0; clock < CLOCKS; clock++)
        clocks.at_us[clock] = INT64_C(1795000000000000);
    int32_t until = policy_until(policy, category, &clocks, NULL, 0);
    hold(until == DATE_NONE || until >= date_local(policy->zone, clocks.at_us[0]),
         "what is kept from a day on is kept until that day at least");
}

static void check_recipient(const struct policy *policy, size_t index, const struct policy_recipient *two) {
    const struct policy_recipient *one = &policy->recipients[index];
    hold(policy_recipient(policy, one->id) == (int)index, "a recipient is found by its name, the only one");
    hold(text_equal(one->id, two->id) && text_equal(one->name, two->name) &&
             text_equal(one->role, two->role) && one->country_count == two->country_count &&
             one->service_count == two->service_count && one->has_keep == two->has_keep &&
             same_term(&one->keep, &two->keep) && same_term(&one->answer, &two->answer) &&
             one->remind_count == two->remind_count,
         "a recipient is read alike");
    for (size_t i = 0; i < one->service_count; i++)
        hold(policy_service(one, one->services[i].name) == &one->services[i] &&
                 one->services[i].fields == two->services[i].fields,
             "a service is found by its name, the only one");
    for (size_t i = 0; i < one->country_count; i++)
        hold(policy_serves(one, one->countries[i]), "a carrier serves its countries");
}

static void check_same(const struct policy *one, const struct policy *two) {
    hold(strcmp(one->digest, two->digest) == 0 && text_equal(one->version, two->version) &&
             text_equal(one->timezone, two->timezone) && one->language_count == two->language_count &&
             one->purpose_count == two->purpose_count && one->recipient_count == two->recipient_count &&
             one->marketing_count == two->marketing_count &&
             one->year_exception_count == two->year_exception_count &&
             one->year_end_month == two->year_end_month && one->year_end_day == two->year_end_day,
         "a policy is read alike");
    for (int category = 0; category < CATEGORIES; category++)
        check_category(one, &one->categories[category], &two->categories[category], (enum category)category);
    for (size_t i = 0; i < one->recipient_count; i++)
        check_recipient(one, i, &two->recipients[i]);
    check_term(&one->deadlines.request);
    check_term(&one->brakes.activation_delay);
    check_term(&one->vault_remnants_max);
    check_term(&one->input_retention_max);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct heard heard = {0};
    struct err err = {.text = ""};
    struct policy *policy = policy_parse((struct text){(const char *)data, size}, hear, &heard, &err);
    hold((policy == NULL) == (heard.count > 0), "it complains just when it refuses");
    hold(policy || (err.kind == FATAL && err.text[0]), "a refusal is an error with words");
    if (policy) {
        struct policy *again = policy_parse(policy->source, hear, &heard, &err);
        hold(again != NULL, "what was taken is taken again");
        check_same(policy, again);
        policy_free(again);
    }
    policy_free(policy);
    return 0;
}

/* Mostly a value or a member as a whole: the file is long, and a stray byte makes it no JSON. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned seed) {
    size_t mutated = seed % 4 ? mutate_json((char *)data, size, room, seed / 4) : 0;
    return mutated ? mutated : LLVMFuzzerMutate(data, size, room);
}
