/* What only the whole policy can tell: names that must exist elsewhere, fields that must be held to be given
 * away, and the bounds that law and contract set. */
#include "core/policy_walk.h"

#include <stdio.h>

static bool has_purpose(const struct policy *policy, struct text name) {
    for (size_t i = 0; i < policy->purpose_count; i++)
        if (text_equal(policy->purposes[i].name, name))
            return true;
    return false;
}

static bool has_marketing(const struct policy *policy, struct text name) {
    for (size_t i = 0; i < policy->marketing_count; i++)
        if (text_equal(policy->marketing[i].purpose, name))
            return true;
    return false;
}

static void check_categories(struct policy_walk *walk) {
    const struct policy *policy = walk->policy;
    for (unsigned i = 0; i < CATEGORIES; i++)
        for (size_t p = 0; p < policy->categories[i].purpose_count; p++)
            if (!has_purpose(policy, policy->categories[i].purposes[p])) {
                char below[100];
                (void)snprintf(below, sizeof(below), ".categories.%s.purpose[%zu]", category_names[i], p);
                walk_complain_below(walk, below, "is no purpose of this policy");
            }
}

/* Walks the list as the file has it, so that the path names the place. */
static void check_service_fields(struct policy_walk *walk, const struct policy_recipient *recipient,
                                 const struct json *fields) {
    enum category from = recipient->country_count ? CATEGORY_DELIVERY : CATEGORY_PROFILE;
    size_t index = 0;
    for (const struct json *item = fields->first; item; item = item->next, index++) {
        size_t mark = walk_into_item(walk, index);
        for (unsigned field = 0; field <= FIELD_PICKUP_POINT; field++)
            if (text_is(item->text, policy_field_name(field)) &&
                !(walk->policy->categories[from].fields & FIELD_BIT(field)))
                walk_complain(walk, "category %s does not hold it", category_names[from]);
        walk_back(walk, mark);
    }
}

/* Without countries a recipient carries nothing: it can only be the house of a marketing purpose. */
static void check_recipient(struct policy_walk *walk, const struct policy_recipient *recipient,
                            const struct json *services) {
    for (const struct json *service = services ? services->first : NULL; service; service = service->next) {
        size_t mark = walk_into(walk, service->key);
        if (service->type == JSON_ARRAY)
            check_service_fields(walk, recipient, service);
        if (!recipient->country_count && !has_marketing(walk->policy, service->key))
            walk_complain(walk, "is no purpose of marketing, and the recipient names no countries");
        else if (recipient->country_count && has_marketing(walk->policy, service->key))
            walk_complain(walk, "is a purpose of marketing, but the recipient names countries");
        walk_back(walk, mark);
    }
}

static void check_recipients(struct policy_walk *walk, const struct json *recipients) {
    size_t index = 0, into_recipients = walk_into(walk, TEXT("recipients"));
    for (const struct json *at = recipients ? recipients->first : NULL;
         at && index < walk->policy->recipient_count; at = at->next, index++) {
        size_t into_one = walk_into(walk, at->key), into_services = walk_into(walk, TEXT("services"));
        const struct json *countries = json_member(at, "countries");
        /* A list of countries that was refused says nothing about what the recipient is. */
        if (!countries || walk->policy->recipients[index].country_count)
            check_recipient(walk, &walk->policy->recipients[index], json_member(at, "services"));
        walk_back(walk, into_services);
        walk_back(walk, into_one);
    }
    walk_back(walk, into_recipients);
}

static void check_marketing(struct policy_walk *walk) {
    const struct policy *policy = walk->policy;
    for (size_t i = 0; i < policy->marketing_count; i++)
        if (!has_purpose(policy, policy->marketing[i].purpose)) {
            char below[100];
            (void)snprintf(below, sizeof(below), ".marketing.%.*s", TEXT_ARGS(policy->marketing[i].purpose));
            walk_complain_below(walk, below, "is no purpose of this policy");
        }
}

/* Terms that may be shorter than law or contract allow, never longer. */
static void check_limits(struct policy_walk *walk) {
    const struct policy *policy = walk->policy;
    const struct {
        const char *path, *limit_text;
        const struct term *term;
        struct term limit;
    } limits[] = {
        {".deadlines.request", "P1M (GDPR 12(3))", &policy->deadlines.request, {.months = 1}},
        {".deadlines.extension", "P2M (GDPR 12(3))", &policy->deadlines.extension, {.months = 2}},
        {".deadlines.breach", "PT72H (GDPR 33(1))", &policy->deadlines.breach, {.hours = 72}},
        {".deadlines.warn", "the deadline itself", &policy->deadlines.warn, policy->deadlines.request},
        {".vault.remnants_max", "P7D", &policy->vault_remnants_max, {.days = 7}},
        {".topics.input_retention_max", "P30D", &policy->input_retention_max, {.days = 30}},
        {".topics.disclosure_retention_max", "P14D", &policy->disclosure_retention_max, {.days = 14}},
    };
    /* A limit that was itself refused is nothing: not told twice. */
    for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++)
        if (walk_term_within(&(struct term){.hours = 1}, &limits[i].limit) &&
            !walk_term_within(limits[i].term, &limits[i].limit))
            walk_complain_below(walk, limits[i].path, "must not be longer than %s", limits[i].limit_text);
}

void policy_check_whole(struct policy_walk *walk, const struct json *root) {
    check_categories(walk);
    check_recipients(walk, json_member(root, "recipients"));
    check_marketing(walk);
    check_limits(walk);
}
