/* The policy file: the example is read whole; each kind of mistake is told with its path; golden ends of
 * terms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/policy.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef SOURCE_DIR
#define SOURCE_DIR "."
#endif
#define EXAMPLE SOURCE_DIR "/schema/policy/jerone.json"

static char *example; /* its text */

struct heard {
    int count;
    char all[4000]; /* "path: message\n" ... */
};

static void hear(void *context, const char *path, const char *message) {
    struct heard *heard = context;
    size_t used = strlen(heard->all);
    heard->count++;
    (void)snprintf(heard->all + used, sizeof(heard->all) - used, "%s: %s\n", path, message);
}

static int load_example(void **state) {
    (void)state;
    FILE *file = fopen(EXAMPLE, "re");
    example = calloc(1, 100000);
    if (!file || !example || !fread(example, 1, 99999, file))
        return -1;
    return fclose(file);
}

static int drop_example(void **state) {
    (void)state;
    free(example);
    return 0;
}

/* The example with the first `from` after `after` replaced. */
static char *mutated(const char *after, const char *from, const char *to) {
    char *place = strstr(example, after), *text = calloc(1, 200000);
    place = place ? strstr(place, from) : NULL;
    if (!place)
        fail_msg("the example does not hold %s after %s", from, after);
    (void)snprintf(text, 200000, "%.*s%s%s", (int)(place - example), example, to, place + strlen(from));
    return text;
}

static struct policy *parse(const char *text, struct heard *heard) {
    struct err err = {0};
    memset(heard, 0, sizeof(*heard));
    struct policy *policy = policy_parse(text_of(text), hear, heard, &err);
    assert_true(policy ? heard->count == 0 : err.kind == FATAL);
    return policy;
}

static struct policy *parse_mutated(const char *after, const char *from, const char *to) {
    struct heard heard;
    char *text = mutated(after, from, to);
    struct policy *policy = parse(text, &heard);
    if (!policy)
        fail_msg("refused: %s", heard.all);
    free(text);
    return policy;
}

static struct term term(const char *text) {
    struct term result = {0};
    assert_true(term_parse(text_of(text), &result));
    return result;
}

static void assert_term(struct term is, const char *expected) {
    char buffer[32];
    (void)term_write(&is, buffer);
    assert_string_equal(buffer, expected);
}

static void the_example_is_read_whole(void **state) {
    (void)state;
    struct err err = {0};
    struct heard heard = {0};
    struct policy *policy = policy_read(EXAMPLE, hear, &heard, &err);
    if (!policy)
        fail_msg("%s\n%s", err.text, heard.all);
    assert_true(text_is(policy->version, "2026-11-22.1"));
    assert_int_equal(strlen(policy->digest), 64);
    assert_int_equal(zone_offset_s(policy->zone, 0), 7200);
    assert_int_equal(policy->language_count, 3);
    assert_true(text_is(policy->controller.email, "kundtjänst@jerone.fi"));
    assert_false(text_present(policy->controller.dpo));
    assert_int_equal(policy->year_end_month, 12);
    assert_int_equal(policy->year_end_day, 31);
    assert_int_equal(policy->purpose_count, 8);
    assert_true(text_is(policy->purposes[6].form, "aggregate"));

    const struct policy_category *delivery = &policy->categories[CATEGORY_DELIVERY];
    assert_true(delivery->present);
    assert_int_equal(delivery->fields, FIELD_BIT(FIELD_PICKUP_POINT + 1) - 1);
    assert_int_equal(delivery->clock.clock, CLOCK_LAST_DELIVERED);
    assert_term(delivery->clock.term, "P3M");
    assert_int_equal(delivery->fallback.clock, CLOCK_RECORDED);
    assert_int_equal(delivery->on_request, ON_REQUEST_WAIT_PARCELS);
    assert_true(policy->categories[CATEGORY_PROFILE].warns);
    assert_int_equal(policy->categories[CATEGORY_PROFILE].on_request, ON_REQUEST_ERASE);
    assert_int_equal(policy->categories[CATEGORY_CLAIM].on_request, ON_REQUEST_KEEP);
    assert_true(text_is(policy->categories[CATEGORY_CLAIM].ground, "17(3)(e)"));
    assert_true(policy->categories[CATEGORY_VOUCHER].when_paid);
    assert_true(text_is(policy->categories[CATEGORY_OSS].when_country_not, "FI"));
    assert_true(policy->categories[CATEGORY_OSS].fields & FIELD_BIT(FIELD_COUNTRY_CODE));
    assert_false(policy->categories[CATEGORY_OSS].fields & FIELD_BIT(COUNTRY));

    int posti = policy_recipient(policy, TEXT("posti"));
    assert_int_equal(posti, 1);
    assert_int_equal(policy_recipient(policy, TEXT("dhl")), -1);
    const struct policy_recipient *recipient = &policy->recipients[posti];
    assert_true(policy_serves(recipient, TEXT("EE")));
    assert_false(policy_serves(recipient, TEXT("NO")));
    assert_null(policy_service(recipient, TEXT("home")));
    assert_int_equal(policy_service(recipient, TEXT("2103"))->fields,
                     FIELD_BIT(FIRST_NAME) | FIELD_BIT(LAST_NAME) | FIELD_BIT(POSTCODE) | FIELD_BIT(CITY) |
                         FIELD_BIT(PHONE) | FIELD_BIT(FIELD_PICKUP_POINT));
    assert_int_equal(recipient->remind_count, 2);
    assert_true(recipient->has_keep);
    assert_false(policy->recipients[2].has_keep);
    assert_int_equal(policy->marketing_count, 1);
    assert_true(policy->marketing[0].double_opt_in);
    assert_false(policy->marketing[0].soft_opt_in);
    assert_term(policy->deadlines.breach, "PT72H");
    assert_int_equal(policy->brakes.erasures_per_hour, 200);
    assert_int_equal(policy->brakes.two_person_count, 3);
    assert_term(policy->disclosure_retention_max, "P14D");
    policy_free(policy);
}

static void the_digest_is_of_the_bytes(void **state) {
    (void)state;
    struct heard heard;
    struct policy *a = parse(example, &heard), *b = parse_mutated("{", "\n", "\n\n");
    assert_non_null(a);
    assert_string_not_equal(a->digest, b->digest);
    assert_string_equal(policy_field_name(FIELD_COUNTRY_CODE), "country");
    policy_free(a);
    policy_free(b);
}

static const struct mutation {
    const char *after, *from, *to, *complaint; /* the one complaint: "path: message" */
} mutations[] = {
    /* unknown keys, missing keys, wrong types, at each level */
    {"{", "\"version\"", "\"verzion\": 1, \"version\"", "verzion: is no key that belongs here"},
    {"{", "\"version\": \"2026-11-22.1\",", "", "version: is missing"},
    {"{", "\"2026-11-22.1\"", "5", "version: must be a string, not an integer"},
    {"{", "\"2026-11-22.1\"", "\"\"", "version: must have 1 to 500 bytes"},
    {"controller", "\"dpo\": null", "\"dpo\": []", "controller.dpo: must be a string, not an array"},
    {"controller", "\"dpo\": null,", "", "controller.dpo: is missing"},
    {"controller", "\"name\"", "\"fax\": \"1\", \"name\"", "controller.fax: is no key that belongs here"},
    {"\"profile\"", "\"clock\": \"last_activity\", ", "", "categories.profile.clock: is missing"},
    {"\"profile\"", "\"warn\"", "\"warnn\"", "categories.profile.warnn: is no key that belongs here"},
    {"\"categories\"", "\"profile\"", "\"nothing\": {}, \"profile\"",
     "categories.nothing: is no key that belongs here"},
    {"\"access_log\"", "\"access_log\"", "\"access_lag\"",
     "categories.access_lag: is no key that belongs here\n"
     "categories.access_log: is missing"},
    /* values */
    {"timezone", "Europe/Helsinki", "Europe/Nowhere",
     "timezone: time zone Europe/Nowhere is not in the tz database (package tzdata)"},
    {"timezone", "Europe/Helsinki", "../etc/passwd", "timezone: that is no name of a time zone"},
    {"languages", "\"fi\"", "\"xx\"", "languages[1]: must be sv, fi or en"},
    {"languages", "\"fi\"", "\"sv\"", "languages[1]: stands there twice"},
    {"languages", "[\"sv\", \"fi\", \"en\"]", "[]", "languages: must not be empty"},
    {"controller", "\"country\": \"FI\"", "\"country\": \"XX\"",
     "controller.country: is no ISO 3166-1 alpha-2 country"},
    {"default_end", "12-31", "12-32", "financial_years.default_end: is no month and day such as 12-31"},
    {"default_end", "12-31", "1231", "financial_years.default_end: is no month and day such as 12-31"},
    {"exceptions", "[]", "[{\"first\": \"2026-01-01\", \"last\": \"2026-06-31\"}]",
     "financial_years.exceptions[0].last: is no date such as 2027-04-30"},
    {"exceptions", "[]", "[{\"first\": \"2026-01-01\"}]", "financial_years.exceptions[0].last: is missing"},
    {"exceptions", "[]", "[{\"first\": \"2026-07-01\", \"last\": \"2026-06-30\"}]",
     "financial_years.exceptions[0]: ends before it begins"},
    {"exceptions", "[]", "[{\"first\": \"2026-01-01\", \"last\": \"2027-07-01\"}]",
     "financial_years.exceptions[0]: is longer than 18 months"},
    {"exceptions", "[]",
     "[{\"first\": \"2026-01-01\", \"last\": \"2026-06-30\"}, {\"first\": \"2026-06-30\", \"last\": "
     "\"2026-12-31\"}]",
     "financial_years.exceptions[1]: overlaps another exception"},
    /* purposes */
    {"\"order\":", "6(1)(b)", "6(1)(g)",
     "purposes.order.basis: must be 6(1)(a), 6(1)(b), 6(1)(c), 6(1)(d), 6(1)(e) or 6(1)(f)"},
    {"\"quality\":", "\"aggregate\"", "\"names\"", "purposes.quality.form: must be aggregate"},
    {"\"quality\":", "\"quality\"", "\"Quality!\"",
     "purposes.Quality!: a purpose's name is of a-z, 0-9, _ and - only"},
    /* categories */
    {"\"profile\":", "\"phone\"", "\"shoe_size\"",
     "categories.profile.fields[6]: is no field that this category can hold"},
    {"\"profile\":", "\"phone\"", "\"pickup_point\"",
     "categories.profile.fields[6]: is no field that this category can hold"},
    {"\"profile\":", "\"phone\"", "\"city\"", "categories.profile.fields[6]: stands there twice"},
    {"\"profile\":", "\"phone\"", "7", "categories.profile.fields[6]: must be a string, not an integer"},
    {"\"voucher\":", "\"refunds\"", "\"buyer\"",
     "categories.voucher.fields[6]: is no field that this category can hold"},
    {"\"ledger\":", "[\"disclosures\"]", "[]", "categories.ledger.fields: must not be empty"},
    {"\"profile\":", "\"last_activity\"", "\"last_moon\"", "categories.profile.clock: is no clock"},
    {"\"profile\":", "\"last_activity\"", "\"disclosed\"",
     "categories.profile.clock: is no clock that this category can tell"},
    {"\"profile\":", "\"last_activity\"", "\"relationship_end\"",
     "categories.profile.fallback: is missing: clock relationship_end may never start"},
    {"\"delivery\":", "\"fallback\": {\"clock\": \"recorded\", \"term\": \"P6M\"},", "",
     "categories.delivery.fallback: is missing: clock last_delivered may never start"},
    {"\"delivery\":",
     "\"last_delivered\", \"term\": \"P3M\", \"fallback\": {\"clock\": \"recorded\", \"term\": \"P6M\"},",
     "\"order_closed\", \"term\": \"P3M\",",
     "categories.delivery.fallback: is missing: clock order_closed may never start"},
    {"\"delivery\":", "\"clock\": \"recorded\"", "\"clock\": \"order_closed\"",
     "categories.delivery.fallback.clock: may never start: a fallback must"},
    {"\"profile\":", "[\"account\"]", "[]", "categories.profile.purpose: must not be empty"},
    {"\"profile\":", "[\"account\"]", "[\"order\", \"fun\"]",
     "categories.profile.purpose[1]: is no purpose of this policy"},
    {"\"profile\":", "\"P2Y\"", "\"2Y\"",
     "categories.profile.term: is no ISO 8601 term such as P3Y6M, P14D or PT72H"},
    {"\"ledger\":", "\"P3Y\"", "\"P0D\"", "categories.ledger.term: must be longer than nothing"},
    {"\"ledger\":", "\"P3Y\"", "\"PT72H\"",
     "categories.ledger.term: must be in years, months and days: it ends with a date"},
    {"\"profile\":", "\"P1M\"", "\"P3Y\"", "categories.profile.warn: is longer than the term"},
    {"\"profile\":", "\"customer\"", "\"consignee\"",
     "categories.profile.subject: must be customer for this category"},
    {"\"profile\":", "\"erase\"", "\"forget\"",
     "categories.profile.on_request: must be \"erase\", {\"keep\": ground} or {\"wait\": "
     "\"parcels_closed\"}"},
    {"\"profile\":", "\"on_request\": \"erase\"", "\"on_request\": {\"wait\": \"parcels_closed\"}",
     "categories.profile.on_request.wait: only delivery can wait for its parcels"},
    {"\"profile\":", "\"on_request\": \"erase\"", "\"on_request\": {\"keep\": \"17(3)(b)\", \"wait\": \"x\"}",
     "categories.profile.on_request: must have one member: keep or wait"},
    {"\"delivery\":", "parcels_closed", "winter",
     "categories.delivery.on_request.wait: must be parcels_closed"},
    {"\"claim\":", "17(3)(e)", "we like it",
     "categories.claim.on_request.keep: must be 17(3)(a), 17(3)(b), 17(3)(c), 17(3)(d), 17(3)(e) or 21(3)"},
    {"\"ledger\":", "{\"keep\": \"17(3)(b)\"}", "\"erase\"",
     "categories.ledger.on_request: this category proves what was done: it must be kept on a ground"},
    {"\"claim\":", "\"by_product_class\": {}", "\"by_product_class\": {\"tools\": \"5 years\"}",
     "categories.claim.by_product_class.tools: is no ISO 8601 term such as P3Y6M, P14D or PT72H"},
    {"\"profile\":", "\"subject\"", "\"by_product_class\": {}, \"subject\"",
     "categories.profile.by_product_class: only claim knows product classes"},
    {"\"voucher\":", "\"paid\"", "\"sent\"", "categories.voucher.when: must be \"paid\" for this category"},
    {"\"voucher\":", "\"when\": \"paid\", ", "",
     "categories.voucher.when: is missing: this category begins on a condition"},
    {"\"oss\": ", "{\"country_not\": \"FI\"}", "{\"country_not\": \"Finland\"}",
     "categories.oss.when.country_not: is no ISO 3166-1 alpha-2 country"},
    {"\"profile\":", "\"subject\"", "\"when\": \"paid\", \"subject\"",
     "categories.profile.when: this category knows no condition"},
    /* recipients */
    {"\"posti\":", "[\"first_name\", \"last_name\", \"postcode\"",
     "[\"first_name\", \"last_name\", \"total\"",
     "recipients.posti.services.2103[2]: is no field of a contact, nor pickup_point"},
    {"\"delivery\":", "\"phone\", ", "",
     "recipients.matkahuolto.services.pickup[2]: category delivery does not hold it\n"
     "recipients.matkahuolto.services.home[6]: category delivery does not hold it\n"
     "recipients.matkahuolto.services.return[2]: category delivery does not hold it\n"
     "recipients.posti.services.2103[4]: category delivery does not hold it\n"
     "recipients.posti.services.2104[6]: category delivery does not hold it\n"
     "recipients.posti.services.return[2]: category delivery does not hold it"},
    {"\"letterhouse\":", "[\"email\"]", "[\"pickup_point\"]",
     "recipients.letterhouse.services.newsletter[0]: category profile does not hold it"},
    {"\"letterhouse\":", "{\"newsletter\": [\"email\"]}", "{}",
     "recipients.letterhouse.services: must not be empty: a recipient without service is given nothing"},
    {"\"letterhouse\":", "[\"email\"]", "[]",
     "recipients.letterhouse.services.newsletter: must not be empty: name the fields that this service is "
     "given"},
    {"\"letterhouse\":", "\"services\": {\"newsletter\": [\"email\"]}, ", "",
     "recipients.letterhouse.services: is missing"},
    {"\"letterhouse\":", "{\"newsletter\"", "{\"catalogue\"",
     "recipients.letterhouse.services.catalogue: is no purpose of marketing, and the recipient names no "
     "countries"},
    {"\"letterhouse\":", "\"role\"", "\"countries\": [\"FI\"], \"role\"",
     "recipients.letterhouse.services.newsletter: is a purpose of marketing, but the recipient names "
     "countries"},
    {"\"letterhouse\":", "\"contract\": \"28(3)\",", "",
     "recipients.letterhouse.contract: is missing: a processor works under a contract (GDPR 28(3))"},
    {"\"letterhouse\":", "\"processor\"", "\"friend\"",
     "recipients.letterhouse.role: must be controller or processor"},
    {"\"letterhouse\":", "\"letterhouse\"", "\"Letter House\"",
     "recipients.Letter House: a recipient's id stands in topic names: a-z, 0-9, _ and - only, at most 64"},
    {"\"posti\":", "\"SE\"", "\"SWE\"", "recipients.posti.countries[1]: is no ISO 3166-1 alpha-2 country"},
    {"\"posti\":", "\"SE\"", "\"FI\"", "recipients.posti.countries[1]: stands there twice"},
    {"\"posti\":", "\"keep\": \"P6M\"", "\"keep\": \"half a year\"",
     "recipients.posti.keep: is no ISO 8601 term such as P3Y6M, P14D or PT72H"},
    {"\"posti\":", "\"answer\": \"P14D\", ", "", "recipients.posti.answer: is missing"},
    {"\"posti\":", "\"P7D\"", "7", "recipients.posti.remind[1]: must be a string, not an integer"},
    /* marketing */
    {"\"marketing\":", "\"newsletter\": {\"channels\"", "\"marketing\": {\"channels\"",
     "recipients.letterhouse.services.newsletter: is no purpose of marketing, and the recipient names no "
     "countries\n"
     "marketing.marketing: is no purpose of this policy"},
    {"\"marketing\":", "\"newsletter\": {\"channels\"", "\"order\": {\"channels\"",
     "marketing.order: no consent event can name it: events know newsletter and marketing\n"
     "recipients.letterhouse.services.newsletter: is no purpose of marketing, and the recipient names no "
     "countries"},
    {"\"marketing\":", "[\"email\"]", "[\"pigeon\"]",
     "marketing.newsletter.channels[0]: must be email, sms, phone or post"},
    {"\"marketing\":", "[\"consent\"]", "[\"silence\"]",
     "marketing.newsletter.bases[0]: must be consent or soft_opt_in"},
    {"\"marketing\":", "\"soft_opt_in\": false", "\"soft_opt_in\": true",
     "marketing.newsletter.soft_opt_in: is true, but bases do not name soft_opt_in"},
    {"\"marketing\":", "[\"consent\"]", "[\"consent\", \"soft_opt_in\"]",
     "marketing.newsletter.soft_opt_in: is false, but bases name soft_opt_in"},
    {"\"marketing\":", "\"double_opt_in\"", "\"maybe\"",
     "marketing.newsletter.confirm: must be double_opt_in or none"},
    {"\"marketing\":", "\"account_page\"", "\"street\"",
     "marketing.newsletter.from[1]: must be registration_form, account_page, checkout or customer_service"},
    /* deadlines, brakes, vault, topics */
    {"\"deadlines\":", "\"P1M\"", "\"P31D\"", "deadlines.request: must not be longer than P1M (GDPR 12(3))"},
    {"\"deadlines\":", "\"P2M\"", "\"P3M\"", "deadlines.extension: must not be longer than P2M (GDPR 12(3))"},
    {"\"deadlines\":", "\"P7D\"", "\"P2M\"", "deadlines.warn: must not be longer than the deadline itself"},
    {"\"deadlines\":", "PT72H", "P4D", "deadlines.breach: must not be longer than PT72H (GDPR 33(1))"},
    {"\"deadlines\":", "\"identity_pause\": true", "\"identity_pause\": 1",
     "deadlines.identity_pause: must be true or false, not an integer"},
    {"\"brakes\":", "200", "0", "brakes.erasures_per_hour: must be from 1 to 1000000"},
    {"\"brakes\":", "200", "2.5", "brakes.erasures_per_hour: must be an integer, not a number"},
    {"\"brakes\":", "\"restore\"", "\"lunch\"",
     "brakes.two_persons[2]: must be policy, authority or restore"},
    {"\"vault\":", "\"P7D\"", "\"P8D\"", "vault.remnants_max: must not be longer than P7D"},
    {"\"topics\":", "\"P30D\"", "\"P1M\"", "topics.input_retention_max: must not be longer than P30D"},
    {"\"topics\":", "\"P14D\"", "\"P15D\"", "topics.disclosure_retention_max: must not be longer than P14D"},
    {"\"topics\":", "\"P14D\"", "\"PT14H\"",
     "topics.disclosure_retention_max: must be in years, months and days: it ends with a date"},
    /* no JSON at all */
    {"{", "{", "", ": is no strict JSON: not_json"},
    {"\"dpo\"", "\"dpo\"", "\"name\": \"again\", \"dpo\"", ": is no strict JSON: duplicate_key"},
};

static void each_mistake_is_told_with_its_path(void **state) {
    (void)state;
    int wrong = 0;
    for (size_t i = 0; i < sizeof(mutations) / sizeof(*mutations); i++) {
        struct heard heard;
        char *text = mutated(mutations[i].after, mutations[i].from, mutations[i].to);
        struct policy *policy = parse(text, &heard);
        size_t size = strlen(heard.all);
        if (size)
            heard.all[size - 1] = '\0';
        if (policy || strcmp(heard.all, mutations[i].complaint) != 0) {
            print_error("mutation %zu\n  expected %s\n  heard    %s\n", i, mutations[i].complaint, heard.all);
            wrong++;
        }
        policy_free(policy);
        free(text);
    }
    assert_int_equal(wrong, 0);
}

static void all_mistakes_are_told_at_once(void **state) {
    (void)state;
    struct heard heard;
    struct err err = {0};
    assert_null(parse("{}", &heard));
    assert_int_equal(heard.count, 13);
    assert_null(parse("[]", &heard));
    assert_string_equal(heard.all, ": must be an object, not an array\n");
    assert_null(policy_parse(TEXT(""), NULL, NULL, &err));
    assert_null(policy_read("/nonexistent/policy.json", hear, &heard, &err));
    assert_non_null(strstr(err.text, "No such file"));
    assert_null(policy_read("/", hear, &heard, &err));
}

static void too_much_is_refused(void **state) {
    (void)state;
    struct heard heard;
    char list[8000] = "", *text;
    for (int i = 0; i < 40; i++) {
        char one[64];
        (void)snprintf(one, sizeof(one), "\"p%d\": {\"basis\": \"6(1)(b)\"}, ", i);
        (void)strncat(list, one, sizeof(list) - strlen(list) - 1);
    }
    (void)strncat(list, "\"order\":", sizeof(list) - strlen(list) - 1);
    text = mutated("\"purposes\":", "\"order\":", list);
    assert_null(parse(text, &heard));
    assert_non_null(strstr(heard.all, "purposes: has more than 32 members"));
    free(text);
}

/* ---- until ---- */

static int64_t at(const char *instant) {
    int64_t result = -1;
    assert_true(instant_parse(text_of(instant), &result));
    return result;
}

static void assert_until_classes(const struct policy *policy, enum category category, enum clock clock,
                                 const char *instant, const struct text *classes, size_t count,
                                 const char *expected) {
    struct clocks clocks;
    char buffer[11] = "none";
    for (int i = 0; i < CLOCKS; i++)
        clocks.at_us[i] = VERSION_NONE;
    clocks.at_us[clock] = at(instant);
    int32_t until = policy_until(policy, category, &clocks, classes, count);
    if (until != DATE_NONE)
        date_write(until, buffer);
    assert_string_equal(buffer, expected);
}

static void assert_until(const struct policy *policy, enum category category, enum clock clock,
                         const char *instant, const char *expected) {
    assert_until_classes(policy, category, clock, instant, NULL, 0, expected);
}

static void vouchers_end_with_the_calendar_year(void **state) {
    (void)state;
    const enum clock clock = CLOCK_FINANCIAL_YEAR_CALENDAR_END;
    struct policy *calendar = parse_mutated("{", "\n", "\n"),
                  *april = parse_mutated("default_end", "12-31", "04-30"),
                  *february = parse_mutated("default_end", "12-31", "02-29");
    assert_until(calendar, CATEGORY_VOUCHER, clock, "2026-05-02T10:00:00Z", "2032-12-31");
    assert_until(april, CATEGORY_VOUCHER, clock, "2026-05-02T10:00:00Z", "2033-12-31");
    assert_until(april, CATEGORY_VOUCHER, clock, "2026-04-30T10:00:00Z", "2032-12-31");
    assert_until(april, CATEGORY_VOUCHER, clock, "2017-04-30T10:00:00Z", "2023-12-31");
    assert_until(april, CATEGORY_VOUCHER, clock, "2016-05-01T10:00:00Z", "2023-12-31");
    /* the local date decides: 30 April 21:00 UTC is 1 May in Helsinki */
    assert_until(april, CATEGORY_VOUCHER, clock, "2026-04-30T20:59:59Z", "2032-12-31");
    assert_until(april, CATEGORY_VOUCHER, clock, "2026-04-30T21:00:00Z", "2033-12-31");
    assert_until(calendar, CATEGORY_VOUCHER, clock, "2026-12-31T22:00:00Z", "2033-12-31");
    assert_until(february, CATEGORY_VOUCHER, clock, "2027-02-28T10:00:00Z", "2033-12-31");
    assert_until(february, CATEGORY_VOUCHER, clock, "2027-03-01T10:00:00Z", "2034-12-31");
    assert_until(february, CATEGORY_VOUCHER, clock, "2028-02-29T10:00:00Z", "2034-12-31");
    assert_until(calendar, CATEGORY_OSS, CLOCK_CALENDAR_YEAR_END, "2026-02-03T10:00:00Z", "2036-12-31");
    policy_free(calendar);
    policy_free(april);
    policy_free(february);
}

static void changed_financial_years_are_followed(void **state) {
    (void)state;
    const enum clock clock = CLOCK_FINANCIAL_YEAR_CALENDAR_END;
    /* July to June until 30.6.2026, then half a year, then calendar years; and a long year in 2030. */
    struct policy *policy = parse_mutated(
        "exceptions", "[]",
        "[{\"first\": \"2025-07-01\", \"last\": \"2026-06-30\"}, {\"first\": \"2026-07-01\", \"last\": "
        "\"2026-12-31\"}, {\"first\": \"2030-01-01\", \"last\": \"2031-06-30\"}]");
    assert_until(policy, CATEGORY_VOUCHER, clock, "2025-08-15T10:00:00Z", "2032-12-31");
    assert_until(policy, CATEGORY_VOUCHER, clock, "2025-06-15T10:00:00Z",
                 "2031-12-31"); /* cut short at 30 June */
    assert_until(policy, CATEGORY_VOUCHER, clock, "2026-08-15T10:00:00Z", "2032-12-31");
    assert_until(policy, CATEGORY_VOUCHER, clock, "2027-08-15T10:00:00Z", "2033-12-31");
    assert_until(policy, CATEGORY_VOUCHER, clock, "2030-02-01T10:00:00Z", "2037-12-31");
    policy_free(policy);
}

static void clocks_fall_back(void **state) {
    (void)state;
    struct heard heard;
    struct policy *policy = parse(example, &heard);
    struct clocks clocks;
    for (int i = 0; i < CLOCKS; i++)
        clocks.at_us[i] = VERSION_NONE;
    assert_int_equal(policy_until(policy, CATEGORY_DELIVERY, &clocks, NULL, 0), DATE_NONE);
    assert_until(policy, CATEGORY_DELIVERY, CLOCK_RECORDED, "2026-08-31T10:00:00Z", "2027-02-28");
    assert_until(policy, CATEGORY_DELIVERY, CLOCK_LAST_DELIVERED, "2026-11-30T10:00:00Z", "2027-02-28");
    assert_until(policy, CATEGORY_PROFILE, CLOCK_LAST_ACTIVITY, "2028-02-29T10:00:00Z", "2030-02-28");
    assert_until(policy, CATEGORY_PROFILE, CLOCK_RECORDED, "2028-02-29T10:00:00Z", "none");
    clocks.at_us[CLOCK_RECORDED] = at("2026-01-01T10:00:00Z");
    clocks.at_us[CLOCK_LAST_DELIVERED] = at("2026-01-05T10:00:00Z");
    char buffer[11];
    date_write(policy_until(policy, CATEGORY_DELIVERY, &clocks, NULL, 0), buffer);
    assert_string_equal(buffer, "2026-04-05"); /* the clock itself, though its fallback ends later */
    policy_free(policy);
}

static void the_longest_product_class_counts(void **state) {
    (void)state;
    struct policy *policy = parse_mutated("\"claim\":", "\"by_product_class\": {}",
                                          "\"by_product_class\": {\"tools\": \"P5Y\", \"food\": \"P1Y\"}");
    const struct text food = TEXT("food"), both[] = {TEXT("food"), TEXT("tools")},
                      other[] = {food, TEXT("books")}, none[] = {food, TEXT_ABSENT};
    const char *when = "2026-01-05T10:00:00Z";
    const enum clock delivered = CLOCK_LAST_DELIVERED;
    assert_until_classes(policy, CATEGORY_CLAIM, delivered, when, NULL, 0, "2029-01-05");
    assert_until_classes(policy, CATEGORY_CLAIM, delivered, when, &food, 1, "2027-01-05");
    assert_until_classes(policy, CATEGORY_CLAIM, delivered, when, both, 2, "2031-01-05");
    assert_until_classes(policy, CATEGORY_CLAIM, delivered, when, other, 2, "2029-01-05");
    assert_until_classes(policy, CATEGORY_CLAIM, delivered, when, none, 2, "2029-01-05");
    assert_until_classes(policy, CATEGORY_CLAIM, CLOCK_RECORDED, when, &food, 1, "2029-07-05");
    assert_until_classes(policy, CATEGORY_CLAIM, CLOCK_RECORDED, when, both, 2, "2031-01-05");
    assert_int_equal(policy->categories[CATEGORY_CLAIM].product_class_count, 2);
    struct term longer = term("P5Y");
    assert_memory_equal(&policy->categories[CATEGORY_CLAIM].by_product_class[0].term, &longer,
                        sizeof(longer));
    policy_free(policy);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_is_read_whole),
        cmocka_unit_test(the_digest_is_of_the_bytes),
        cmocka_unit_test(each_mistake_is_told_with_its_path),
        cmocka_unit_test(all_mistakes_are_told_at_once),
        cmocka_unit_test(too_much_is_refused),
        cmocka_unit_test(vouchers_end_with_the_calendar_year),
        cmocka_unit_test(changed_financial_years_are_followed),
        cmocka_unit_test(clocks_fall_back),
        cmocka_unit_test(the_longest_product_class_counts),
    };
    return cmocka_run_group_tests(tests, load_example, drop_example);
}
