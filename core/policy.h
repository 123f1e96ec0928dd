/* The policy file as structs: what data may be held, why, how long, who may receive which of it (SPEC section
 * 8).
 *
 * One JSON file, checked whole before anything runs; every complaint carries the JSON path. Identified by its
 * digest (SHA-256 of the file's bytes, as 64 hex digits), which every decision records. Immutable once read:
 * any thread may look. */
#ifndef KR_POLICY_H
#define KR_POLICY_H

#include "core/arena.h"
#include "core/err.h"
#include "core/event.h"
#include "core/term.h"
#include <stdbool.h>
#include <stdint.h>

/* The categories of retention, fixed by the program (a field that no category names does not enter). */
enum category {
    CATEGORY_PROFILE,
    CATEGORY_DELIVERY,
    CATEGORY_CLAIM,
    CATEGORY_VOUCHER,
    CATEGORY_OSS,
    CATEGORY_CONSENT_PROOF,
    CATEGORY_SUPPRESSION,
    CATEGORY_REQUEST,
    CATEGORY_LEDGER,
    CATEGORY_ACCESS_LOG,
    CATEGORIES
};
extern const char *const category_names[CATEGORIES];

enum clock {
    CLOCK_NONE,
    CLOCK_LAST_ACTIVITY,
    CLOCK_RELATIONSHIP_END,
    CLOCK_LAST_DELIVERED,
    CLOCK_ORDER_CLOSED,
    CLOCK_FINANCIAL_YEAR_CALENDAR_END,
    CLOCK_CALENDAR_YEAR_END,
    CLOCK_CONSENT_ENDED,
    CLOCK_REQUEST_CLOSED,
    CLOCK_DISCLOSED,
    CLOCK_RECORDED,
    CLOCK_LAST_MATCHED,
    CLOCKS
};
extern const char *const clock_names[CLOCKS];

/* What a category does when its subject asks to be forgotten. */
enum on_request { ON_REQUEST_ERASE, ON_REQUEST_KEEP, ON_REQUEST_WAIT_PARCELS };

/* Fields that a category may name, as bits. The contact fields come first, in contact order. */
enum policy_field {
    FIELD_PICKUP_POINT = CONTACT_FIELDS,
    FIELD_BUYER,
    FIELD_LINES,
    FIELD_TOTAL,
    FIELD_CURRENCY,
    FIELD_RETURN_LINES,
    FIELD_ORDER_ID,
    FIELD_DATE,
    FIELD_PAYMENTS,
    FIELD_REFUNDS,
    FIELD_COUNTRY_CODE, /* "country" of the oss category */
    FIELD_CONSENTS,
    FIELD_NOTICES,
    FIELD_CONTACT_HASH,
    FIELD_REQUESTS,
    FIELD_DISCLOSURES,
    FIELD_READS,
    POLICY_FIELDS
};
typedef uint32_t field_set; /* bit f = field f */
#define FIELD_BIT(field) ((field_set)1 << (field))

struct policy_clock {
    enum clock clock;
    struct term term;
};

struct policy_product_class {
    struct text product_class;
    struct term term;
};

struct policy_category {
    bool present;
    struct text subject; /* customer, consignee, any */
    field_set fields;
    bool when_paid;               /* voucher: "when": "paid" */
    struct text when_country_not; /* oss: "when": {"country_not": "FI"} */
    struct text purposes[8];
    size_t purpose_count;
    struct policy_clock clock, fallback; /* fallback.clock CLOCK_NONE when there is none */
    bool warns;
    struct term warn;
    enum on_request on_request;
    struct text ground; /* of keep: "17(3)(b)" */
    struct policy_product_class *by_product_class;
    size_t product_class_count;
};

struct policy_purpose {
    struct text name, basis, law, form; /* law, form may be absent */
};

struct policy_service {
    struct text name;
    field_set fields;
};

struct policy_recipient {
    struct text id, name, role, contract;
    struct text countries[64];
    size_t country_count; /* 0: not a carrier (the mail house) */
    struct policy_service services[32];
    size_t service_count;
    bool has_keep;
    struct term keep, answer;
    struct term remind[8];
    size_t remind_count;
};

struct policy_marketing {
    struct text purpose; /* "newsletter" */
    struct text channels[4], bases[2], from[4];
    size_t channel_count, basis_count, from_count;
    bool soft_opt_in, double_opt_in;
};

struct policy_year_exception {
    int32_t first, last; /* a broken or changed financial year, whole dates */
};

struct policy {
    char digest[65];
    struct text version, timezone;
    struct zone *zone;
    struct text languages[8];
    size_t language_count;
    struct {
        struct text name, business_id, address, phone, email, register_name, country, dpo, authority;
    } controller;
    int year_end_month, year_end_day;
    struct policy_year_exception year_exceptions[16];
    size_t year_exception_count;
    struct policy_purpose purposes[32];
    size_t purpose_count;
    struct policy_category categories[CATEGORIES];
    struct policy_recipient recipients[32];
    size_t recipient_count;
    struct policy_marketing marketing[8];
    size_t marketing_count;
    struct {
        struct term request, extension, warn, breach;
        bool identity_pause, working_day_shift;
    } deadlines;
    struct {
        struct term activation_delay;
        int64_t erasures_per_hour;
        struct text two_persons[8];
        size_t two_person_count;
    } brakes;
    struct term vault_remnants_max, input_retention_max, disclosure_retention_max;
    struct arena arena; /* owns every text */
    struct text source; /* the file's bytes */
};

/* Called once for each complaint: path is "categories.profile.clock" or "" for the whole. */
typedef void policy_complain(void *context, const char *path, const char *message);

/* Reads and checks; calls complain for every mistake (all of them, not only the first). NULL when there was
 * any, or when the file cannot be read (err says so). */
struct policy *policy_read(const char *path, policy_complain *complain, void *context, struct err *err);
/* The same from bytes: used with the policy that the register holds. */
struct policy *policy_parse(struct text json, policy_complain *complain, void *context, struct err *err);
void policy_free(struct policy *policy);

/* Index into recipients, or -1. */
int policy_recipient(const struct policy *policy, struct text id);
/* NULL when that recipient has no such service. */
const struct policy_service *policy_service(const struct policy_recipient *recipient, struct text name);
bool policy_serves(const struct policy_recipient *recipient, struct text country);

/* Instants of the clocks that an aggregate can tell; VERSION_NONE (-1) = not started. */
struct clocks {
    int64_t at_us[CLOCKS];
};
/* The local date through which a cell of that category is kept: its clock + term, else its fallback's; the
 * longest product class's term applies to `claim` where the policy names one (product_classes may be NULL).
 * DATE_NONE when neither clock has started (a checked policy gives each category that may lack its clock a
 * fallback). CLOCK_FINANCIAL_YEAR_CALENDAR_END and CLOCK_CALENDAR_YEAR_END take the instant of the voucher's
 * date: the end is 31 December of the calendar year in which the financial year holding that date ended
 * (1336/1997 2:10), or of the date's own calendar year. */
int32_t policy_until(const struct policy *policy, enum category category, const struct clocks *clocks,
                     const struct text *product_classes, size_t class_count);
/* The field's name as the policy writes it. */
const char *policy_field_name(enum policy_field field);

#endif
