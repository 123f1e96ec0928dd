/* The policy's recipients and its marketing: who may be given which fields, and what may be permitted how. */
#include "core/policy_walk.h"

#define IN_RECIPIENT(member) offsetof(struct policy_recipient, member)
#define IN_MARKETING(member) offsetof(struct policy_marketing, member)
#define ROOM(array) (sizeof(array) / sizeof(*(array)))

/* ---- recipients ---- */

static void read_role(struct policy_walk *walk, const struct json *value, void *into) {
    static const char *const roles[] = {"controller", "processor", NULL};
    if (walk_choice(walk, value, roles) >= 0)
        *(struct text *)into = value->text;
}

static void read_countries(struct policy_walk *walk, const struct json *value, void *into) {
    struct policy_recipient *recipient = into;
    size_t index = 0;
    recipient->country_count = walk_list(walk, value, recipient->countries, ROOM(recipient->countries), NULL);
    for (const struct json *item = value->first; value->type == JSON_ARRAY && item;
         item = item->next, index++) {
        struct text ignored;
        size_t mark = walk_into_item(walk, index);
        if (item->type == JSON_STRING)
            walk_country(walk, item, &ignored);
        walk_back(walk, mark);
    }
}

static void read_service(struct policy_walk *walk, const struct json *value, void *into) {
    struct policy_recipient *recipient = into;
    struct policy_service *service = &recipient->services[recipient->service_count++];
    size_t index = 0;
    service->name = value->key;
    if (!value->key.size || value->key.size > 64)
        walk_complain(walk, "a service's name has 1 to 64 bytes");
    if (!walk_is(walk, value, JSON_ARRAY))
        return;
    if (!value->first)
        walk_complain(walk, "must not be empty: name the fields that this service is given");
    for (const struct json *item = value->first; item; item = item->next, index++) {
        size_t mark = walk_into_item(walk, index);
        unsigned field = 0;
        if (walk_is(walk, item, JSON_STRING)) {
            while (field <= FIELD_PICKUP_POINT && !text_is(item->text, policy_field_name(field)))
                field++;
            if (field > FIELD_PICKUP_POINT)
                walk_complain(walk, "is no field of a contact, nor pickup_point");
            else if (service->fields & FIELD_BIT(field))
                walk_complain(walk, "stands there twice");
            else
                service->fields |= FIELD_BIT(field);
        }
        walk_back(walk, mark);
    }
}

static void read_services(struct policy_walk *walk, const struct json *value, void *into) {
    struct policy_recipient *recipient = into;
    if (walk_map(walk, value, ROOM(recipient->services), read_service, recipient) && !value->first)
        walk_complain(walk, "must not be empty: a recipient without service is given nothing");
}

static void read_keep(struct policy_walk *walk, const struct json *value, void *into) {
    struct policy_recipient *recipient = into;
    recipient->has_keep = true;
    walk_days(walk, value, &recipient->keep);
}

static void read_remind(struct policy_walk *walk, const struct json *value, void *into) {
    struct policy_recipient *recipient = into;
    size_t index = 0;
    if (!walk_is(walk, value, JSON_ARRAY))
        return;
    for (const struct json *item = value->first; item; item = item->next, index++) {
        size_t mark = walk_into_item(walk, index);
        if (recipient->remind_count == ROOM(recipient->remind))
            walk_complain(walk, "is one too many: at most %zu", ROOM(recipient->remind));
        else
            walk_days(walk, item, &recipient->remind[recipient->remind_count++]);
        walk_back(walk, mark);
    }
}

static void read_recipient(struct policy_walk *walk, const struct json *value, void *into) {
    static const struct walk_member members[] = {
        {"name", WALK_NEEDED, walk_text, IN_RECIPIENT(name)},
        {"role", WALK_NEEDED, read_role, IN_RECIPIENT(role)},
        {"contract", WALK_OPTIONAL, walk_text, IN_RECIPIENT(contract)},
        {"countries", WALK_OPTIONAL, read_countries, 0},
        {"services", WALK_NEEDED, read_services, 0},
        {"keep", WALK_OPTIONAL, read_keep, 0},
        {"answer", WALK_NEEDED, walk_days, IN_RECIPIENT(answer)},
        {"remind", WALK_OPTIONAL, read_remind, 0},
    };
    struct policy *policy = into;
    struct policy_recipient *recipient = &policy->recipients[policy->recipient_count++];
    recipient->id = value->key;
    if (!walk_name_is_plain(value->key))
        walk_complain(walk, "a recipient's id stands in topic names: a-z, 0-9, _ and - only, at most 64");
    if (!WALK_OBJECT(walk, value, members, recipient))
        return;
    if (text_is(recipient->role, "processor") && !json_member(value, "contract"))
        walk_complain_below(walk, ".contract", "is missing: a processor works under a contract (GDPR 28(3))");
}

void policy_read_recipients(struct policy_walk *walk, const struct json *value, void *into) {
    struct policy *policy = into;
    (void)walk_map(walk, value, ROOM(policy->recipients), read_recipient, policy);
}

/* ---- marketing ---- */

static void read_channels(struct policy_walk *walk, const struct json *value, void *into) {
    static const char *const names[] = {"email", "sms", "phone", "post", NULL};
    struct policy_marketing *marketing = into;
    marketing->channel_count = walk_list(walk, value, marketing->channels, ROOM(marketing->channels), names);
}

static void read_bases(struct policy_walk *walk, const struct json *value, void *into) {
    static const char *const names[] = {"consent", "soft_opt_in", NULL};
    struct policy_marketing *marketing = into;
    marketing->basis_count = walk_list(walk, value, marketing->bases, ROOM(marketing->bases), names);
}

static void read_from(struct policy_walk *walk, const struct json *value, void *into) {
    static const char *const names[] = {"registration_form", "account_page", "checkout", "customer_service",
                                        NULL};
    struct policy_marketing *marketing = into;
    marketing->from_count = walk_list(walk, value, marketing->from, ROOM(marketing->from), names);
}

static void read_confirm(struct policy_walk *walk, const struct json *value, void *into) {
    static const char *const names[] = {"double_opt_in", "none", NULL};
    struct policy_marketing *marketing = into;
    marketing->double_opt_in = walk_choice(walk, value, names) == 0;
}

static void read_marketing_purpose(struct policy_walk *walk, const struct json *value, void *into) {
    static const struct walk_member members[] = {
        {"channels", WALK_NEEDED, read_channels, 0},
        {"bases", WALK_NEEDED, read_bases, 0},
        {"soft_opt_in", WALK_NEEDED, walk_bool, IN_MARKETING(soft_opt_in)},
        {"confirm", WALK_NEEDED, read_confirm, 0},
        {"from", WALK_NEEDED, read_from, 0},
    };
    struct policy *policy = into;
    struct policy_marketing *marketing = &policy->marketing[policy->marketing_count++];
    const struct json *yes = json_member(value, "soft_opt_in");
    bool based = false;
    marketing->purpose = value->key;
    if (!text_is(value->key, "newsletter") && !text_is(value->key, "marketing"))
        walk_complain(walk, "no consent event can name it: events know newsletter and marketing");
    if (!WALK_OBJECT(walk, value, members, marketing) || !yes || yes->type != JSON_BOOL)
        return;
    for (size_t i = 0; i < marketing->basis_count; i++)
        based = based || text_is(marketing->bases[i], "soft_opt_in");
    if (marketing->soft_opt_in && !based)
        walk_complain_below(walk, ".soft_opt_in", "is true, but bases do not name soft_opt_in");
    if (!marketing->soft_opt_in && based)
        walk_complain_below(walk, ".soft_opt_in", "is false, but bases name soft_opt_in");
}

void policy_read_marketing(struct policy_walk *walk, const struct json *value, void *into) {
    struct policy *policy = into;
    (void)walk_map(walk, value, ROOM(policy->marketing), read_marketing_purpose, policy);
}
