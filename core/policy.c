/* The policy file: reads it whole into structs, with the tables of its top level; its other parts are read in
 * policy_category.c and policy_recipient.c, checked together in policy_check.c. */
#include "core/policy_walk.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SOURCE_MAX (1 << 20)
#define ARENA_MAX ((size_t)64 << 20)
#define DEPTH_MAX 16
#define IN_POLICY(member) offsetof(struct policy, member)

const char *const category_names[CATEGORIES] = {
    [CATEGORY_PROFILE] = "profile",
    [CATEGORY_DELIVERY] = "delivery",
    [CATEGORY_CLAIM] = "claim",
    [CATEGORY_VOUCHER] = "voucher",
    [CATEGORY_OSS] = "oss",
    [CATEGORY_CONSENT_PROOF] = "consent_proof",
    [CATEGORY_SUPPRESSION] = "suppression",
    [CATEGORY_REQUEST] = "request",
    [CATEGORY_LEDGER] = "ledger",
    [CATEGORY_ACCESS_LOG] = "access_log",
};

const char *const clock_names[CLOCKS] = {
    [CLOCK_NONE] = "none",
    [CLOCK_LAST_ACTIVITY] = "last_activity",
    [CLOCK_RELATIONSHIP_END] = "relationship_end",
    [CLOCK_LAST_DELIVERED] = "last_delivered",
    [CLOCK_ORDER_CLOSED] = "order_closed",
    [CLOCK_FINANCIAL_YEAR_CALENDAR_END] = "financial_year_calendar_end",
    [CLOCK_CALENDAR_YEAR_END] = "calendar_year_end",
    [CLOCK_CONSENT_ENDED] = "consent_ended",
    [CLOCK_REQUEST_CLOSED] = "request_closed",
    [CLOCK_DISCLOSED] = "disclosed",
    [CLOCK_RECORDED] = "recorded",
    [CLOCK_LAST_MATCHED] = "last_matched",
};

static const char *const field_names[POLICY_FIELDS] = {
    [FIRST_NAME] = "first_name",
    [LAST_NAME] = "last_name",
    [STREET] = "street",
    [POSTCODE] = "postcode",
    [CITY] = "city",
    [COUNTRY] = "country",
    [PHONE] = "phone",
    [EMAIL] = "email",
    [FIELD_PICKUP_POINT] = "pickup_point",
    [FIELD_BUYER] = "buyer",
    [FIELD_LINES] = "lines",
    [FIELD_TOTAL] = "total",
    [FIELD_CURRENCY] = "currency",
    [FIELD_RETURN_LINES] = "return_lines",
    [FIELD_ORDER_ID] = "order_id",
    [FIELD_DATE] = "date",
    [FIELD_PAYMENTS] = "payments",
    [FIELD_REFUNDS] = "refunds",
    [FIELD_COUNTRY_CODE] = "country",
    [FIELD_CONSENTS] = "consents",
    [FIELD_NOTICES] = "notices",
    [FIELD_CONTACT_HASH] = "contact_hash",
    [FIELD_REQUESTS] = "requests",
    [FIELD_DISCLOSURES] = "disclosures",
    [FIELD_READS] = "reads",
};
_Static_assert(POLICY_FIELDS <= 32, "a field_set has 32 bits");

const char *policy_field_name(enum policy_field field) {
    return field < POLICY_FIELDS ? field_names[field] : "";
}

/* ---- the top level ---- */

static void read_timezone(struct policy_walk *walk, const struct json *value, void *into) {
    struct policy *policy = into;
    char name[128];
    struct err err;
    walk_text(walk, value, &policy->timezone);
    if (!text_present(policy->timezone) || policy->zone)
        return;
    (void)snprintf(name, sizeof(name), "%.*s", TEXT_ARGS(policy->timezone));
    policy->zone = zone_new(name, &err);
    if (!policy->zone)
        walk_complain(walk, "%s", err.text);
}

static void read_languages(struct policy_walk *walk, const struct json *value, void *into) {
    static const char *const names[] = {"sv", "fi", "en", NULL};
    struct policy *policy = into;
    policy->language_count = walk_list(walk, value, policy->languages,
                                       sizeof(policy->languages) / sizeof(*policy->languages), names);
}

static void read_controller(struct policy_walk *walk, const struct json *value, void *into) {
    static const struct walk_member members[] = {
        {"name", WALK_NEEDED, walk_text, IN_POLICY(controller.name)},
        {"business_id", WALK_NEEDED, walk_text, IN_POLICY(controller.business_id)},
        {"address", WALK_NEEDED, walk_text, IN_POLICY(controller.address)},
        {"phone", WALK_NEEDED, walk_text, IN_POLICY(controller.phone)},
        {"email", WALK_NEEDED, walk_text, IN_POLICY(controller.email)},
        {"register", WALK_NEEDED, walk_text, IN_POLICY(controller.register_name)},
        {"country", WALK_NEEDED, walk_country, IN_POLICY(controller.country)},
        {"dpo", WALK_NEEDED, walk_text_or_null, IN_POLICY(controller.dpo)},
        {"authority", WALK_NEEDED, walk_text, IN_POLICY(controller.authority)},
    };
    (void)WALK_OBJECT(walk, value, members, into);
}

/* "12-31"; "02-29" means the last of February. */
static void read_year_end(struct policy_walk *walk, const struct json *value, void *into) {
    struct policy *policy = into;
    char whole[16];
    int32_t date;
    int year;
    if (!walk_is(walk, value, JSON_STRING))
        return;
    /* A leap year, so that 02-29 passes. */
    (void)snprintf(whole, sizeof(whole), "2028-%.*s", value->text.size == 5 ? 5 : 0, value->text.at);
    if (value->text.size != 5 || !date_parse(text_of(whole), &date))
        walk_complain(walk, "is no month and day such as 12-31");
    else
        date_parts(date, &year, &policy->year_end_month, &policy->year_end_day);
}

static void read_date(struct policy_walk *walk, const struct json *value, void *into) {
    if (walk_is(walk, value, JSON_STRING) && !date_parse(value->text, into))
        walk_complain(walk, "is no date such as 2027-04-30");
}

/* {"first": "2026-01-01", "last": "2026-06-30"}: a financial year that is not the default's. */
static void read_year_exceptions(struct policy_walk *walk, const struct json *value, void *into) {
    static const struct walk_member members[] = {
        {"first", WALK_NEEDED, read_date, offsetof(struct policy_year_exception, first)},
        {"last", WALK_NEEDED, read_date, offsetof(struct policy_year_exception, last)},
    };
    static const struct term longest = {.months = 18}; /* Accounting Act 1336/1997 1:4 */
    struct policy *policy = into;
    const size_t room = sizeof(policy->year_exceptions) / sizeof(*policy->year_exceptions);
    size_t index = 0;
    if (!walk_is(walk, value, JSON_ARRAY))
        return;
    for (const struct json *item = value->first; item; item = item->next, index++) {
        struct policy_year_exception year = {DATE_NONE, DATE_NONE};
        size_t mark = walk_into_item(walk, index);
        (void)WALK_OBJECT(walk, item, members, &year);
        if (year.first != DATE_NONE && year.last != DATE_NONE) {
            if (year.first > year.last)
                walk_complain(walk, "ends before it begins");
            else if (year.last >= date_add(year.first, &longest))
                walk_complain(walk, "is longer than 18 months");
            for (size_t i = 0; i < policy->year_exception_count; i++)
                if (year.first <= policy->year_exceptions[i].last &&
                    policy->year_exceptions[i].first <= year.last)
                    walk_complain(walk, "overlaps another exception");
            if (policy->year_exception_count < room)
                policy->year_exceptions[policy->year_exception_count++] = year;
            else
                walk_complain(walk, "is one too many: at most %zu", room);
        }
        walk_back(walk, mark);
    }
}

static void read_financial_years(struct policy_walk *walk, const struct json *value, void *into) {
    static const struct walk_member members[] = {
        {"default_end", WALK_NEEDED, read_year_end, 0},
        {"exceptions", WALK_OPTIONAL, read_year_exceptions, 0},
    };
    (void)WALK_OBJECT(walk, value, members, into);
}

static void read_deadlines(struct policy_walk *walk, const struct json *value, void *into) {
    static const struct walk_member members[] = {
        {"request", WALK_NEEDED, walk_days, IN_POLICY(deadlines.request)},
        {"extension", WALK_NEEDED, walk_days, IN_POLICY(deadlines.extension)},
        {"warn", WALK_NEEDED, walk_days, IN_POLICY(deadlines.warn)},
        {"identity_pause", WALK_NEEDED, walk_bool, IN_POLICY(deadlines.identity_pause)},
        {"working_day_shift", WALK_NEEDED, walk_bool, IN_POLICY(deadlines.working_day_shift)},
        {"breach", WALK_NEEDED, walk_term, IN_POLICY(deadlines.breach)},
    };
    (void)WALK_OBJECT(walk, value, members, into);
}

static void read_erasures_per_hour(struct policy_walk *walk, const struct json *value, void *into) {
    if (!walk_is(walk, value, JSON_INTEGER))
        return;
    if (value->integer < 1 || value->integer > 1000000)
        walk_complain(walk, "must be from 1 to 1000000");
    else
        *(int64_t *)into = value->integer;
}

static void read_two_persons(struct policy_walk *walk, const struct json *value, void *into) {
    static const char *const names[] = {"policy", "authority", "restore", NULL};
    struct policy *policy = into;
    if (value->type == JSON_ARRAY && !value->first)
        return; /* nothing needs a second person */
    policy->brakes.two_person_count =
        walk_list(walk, value, policy->brakes.two_persons,
                  sizeof(policy->brakes.two_persons) / sizeof(*policy->brakes.two_persons), names);
}

static void read_brakes(struct policy_walk *walk, const struct json *value, void *into) {
    static const struct walk_member members[] = {
        {"activation_delay", WALK_NEEDED, walk_term, IN_POLICY(brakes.activation_delay)},
        {"erasures_per_hour", WALK_NEEDED, read_erasures_per_hour, IN_POLICY(brakes.erasures_per_hour)},
        {"two_persons", WALK_NEEDED, read_two_persons, 0},
    };
    (void)WALK_OBJECT(walk, value, members, into);
}

static void read_vault(struct policy_walk *walk, const struct json *value, void *into) {
    static const struct walk_member members[] = {
        {"remnants_max", WALK_NEEDED, walk_days, IN_POLICY(vault_remnants_max)},
    };
    (void)WALK_OBJECT(walk, value, members, into);
}

static void read_topics(struct policy_walk *walk, const struct json *value, void *into) {
    static const struct walk_member members[] = {
        {"input_retention_max", WALK_NEEDED, walk_days, IN_POLICY(input_retention_max)},
        {"disclosure_retention_max", WALK_NEEDED, walk_days, IN_POLICY(disclosure_retention_max)},
    };
    (void)WALK_OBJECT(walk, value, members, into);
}

static const struct walk_member parts[] = {
    {"version", WALK_NEEDED, walk_text, IN_POLICY(version)},
    {"timezone", WALK_NEEDED, read_timezone, 0},
    {"languages", WALK_NEEDED, read_languages, 0},
    {"controller", WALK_NEEDED, read_controller, 0},
    {"financial_years", WALK_NEEDED, read_financial_years, 0},
    {"purposes", WALK_NEEDED, policy_read_purposes, 0},
    {"categories", WALK_NEEDED, policy_read_categories, 0},
    {"recipients", WALK_NEEDED, policy_read_recipients, 0},
    {"marketing", WALK_NEEDED, policy_read_marketing, 0},
    {"deadlines", WALK_NEEDED, read_deadlines, 0},
    {"brakes", WALK_NEEDED, read_brakes, 0},
    {"vault", WALK_NEEDED, read_vault, 0},
    {"topics", WALK_NEEDED, read_topics, 0},
};

/* ---- the whole ---- */

static void set_digest(struct policy *policy) {
    unsigned char hash[crypto_hash_sha256_BYTES];
    _Static_assert(sizeof(policy->digest) == 2 * crypto_hash_sha256_BYTES + 1, "64 hex digits");
    crypto_hash_sha256(hash, (const unsigned char *)policy->source.at, policy->source.size);
    sodium_bin2hex(policy->digest, sizeof(policy->digest), hash, sizeof(hash));
}

struct policy *policy_parse(struct text json, policy_complain *complain, void *context, struct err *err) {
    struct json *root = NULL;
    struct policy_walk walk = {.complain = complain, .context = context};
    struct policy *policy = calloc(1, sizeof(*policy)), *result = NULL;
    if (!policy) {
        (void)err_set(err, FATAL, errno, "no memory for the policy");
        return NULL;
    }
    walk.policy = policy;
    arena_init(&policy->arena, ARENA_MAX);
    if (json.size > SOURCE_MAX) {
        (void)err_set(err, FATAL, 0, "the policy is larger than %d bytes", SOURCE_MAX);
        goto out;
    }
    policy->source = arena_text(&policy->arena, json.at ? json : TEXT(""));
    if (!text_present(policy->source)) {
        (void)err_set(err, FATAL, 0, "no memory for the policy");
        goto out;
    }
    set_digest(policy);
    enum json_fault fault = json_parse(policy->source, DEPTH_MAX, &policy->arena, &root);
    if (fault == JSON_NO_MEMORY) {
        (void)err_set(err, FATAL, 0, "no memory for the policy");
        goto out;
    }
    if (fault != JSON_FINE) {
        walk_complain(&walk, "is no strict JSON: %s", json_fault_name(fault));
    } else {
        (void)WALK_OBJECT(&walk, root, parts, policy);
        policy_check_whole(&walk, root);
    }
    if (walk.mistakes) {
        (void)err_set(err, FATAL, 0, "the policy has %d mistake%s", walk.mistakes,
                      walk.mistakes == 1 ? "" : "s");
        goto out;
    }
    result = policy;
    policy = NULL;
out:
    policy_free(policy);
    return result;
}

struct policy *policy_read(const char *path, policy_complain *complain, void *context, struct err *err) {
    struct policy *policy = NULL;
    struct stat status;
    char *bytes = NULL;
    size_t size = 0;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0 || fstat(file, &status) != 0 || !S_ISREG(status.st_mode)) {
        (void)err_set(err, FATAL, errno, "the policy file %s cannot be read: %s", path,
                      file < 0 ? strerrordesc_np(errno) : "not an ordinary file");
        goto out;
    }
    bytes = malloc(SOURCE_MAX + 1);
    if (!bytes) {
        (void)err_set(err, FATAL, errno, "no memory for the policy");
        goto out;
    }
    while (size <= SOURCE_MAX) {
        ssize_t got = read(file, bytes + size, SOURCE_MAX + 1 - size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            (void)err_set(err, FATAL, errno, "the policy file %s cannot be read: %s", path,
                          strerrordesc_np(errno));
            goto out;
        }
        if (!got)
            break;
        size += (size_t)got;
    }
    policy = policy_parse((struct text){bytes, size}, complain, context, err);
out:
    free(bytes);
    if (file >= 0)
        close(file);
    return policy;
}

void policy_free(struct policy *policy) {
    if (!policy)
        return;
    zone_free(policy->zone);
    arena_release(&policy->arena);
    free(policy);
}

/* ---- looking up ---- */

int policy_recipient(const struct policy *policy, struct text id) {
    for (size_t i = 0; i < policy->recipient_count; i++)
        if (text_equal(policy->recipients[i].id, id))
            return (int)i;
    return -1;
}

const struct policy_service *policy_service(const struct policy_recipient *recipient, struct text name) {
    for (size_t i = 0; i < recipient->service_count; i++)
        if (text_equal(recipient->services[i].name, name))
            return &recipient->services[i];
    return NULL;
}

bool policy_serves(const struct policy_recipient *recipient, struct text country) {
    for (size_t i = 0; i < recipient->country_count; i++)
        if (text_equal(recipient->countries[i], country))
            return true;
    return false;
}
