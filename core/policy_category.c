/* The policy's purposes and categories: what may be held, why, and for how long. */
#include "core/policy_walk.h"

#include <stdio.h>

#define IN_CATEGORY(member) offsetof(struct policy_category, member)
#define IN_PURPOSE(member) offsetof(struct policy_purpose, member)
#define CLOCK_BIT(clock) (1u << (clock))
#define CONTACT_SET (FIELD_BIT(CONTACT_FIELDS) - 1)

/* What the program can do with each category: the file chooses within it. */
static const struct category_rule {
    const char *subject;
    field_set fields;
    unsigned clocks; /* those that its aggregate can tell */
    bool needed, may_erase;
} rules[CATEGORIES] = {
    [CATEGORY_PROFILE] = {"customer", CONTACT_SET,
                          CLOCK_BIT(CLOCK_LAST_ACTIVITY) | CLOCK_BIT(CLOCK_RELATIONSHIP_END) |
                              CLOCK_BIT(CLOCK_RECORDED),
                          true, true},
    [CATEGORY_DELIVERY] = {"consignee", CONTACT_SET | FIELD_BIT(FIELD_PICKUP_POINT),
                           CLOCK_BIT(CLOCK_LAST_DELIVERED) | CLOCK_BIT(CLOCK_ORDER_CLOSED) |
                               CLOCK_BIT(CLOCK_RECORDED),
                           true, true},
    [CATEGORY_CLAIM] = {"customer",
                        FIELD_BIT(FIELD_BUYER) | FIELD_BIT(FIELD_LINES) | FIELD_BIT(FIELD_TOTAL) |
                            FIELD_BIT(FIELD_CURRENCY) | FIELD_BIT(FIELD_RETURN_LINES),
                        CLOCK_BIT(CLOCK_LAST_DELIVERED) | CLOCK_BIT(CLOCK_ORDER_CLOSED) |
                            CLOCK_BIT(CLOCK_RELATIONSHIP_END) | CLOCK_BIT(CLOCK_RECORDED),
                        true, true},
    [CATEGORY_VOUCHER] = {"customer",
                          FIELD_BIT(FIELD_ORDER_ID) | FIELD_BIT(FIELD_DATE) | FIELD_BIT(FIELD_LINES) |
                              FIELD_BIT(FIELD_TOTAL) | FIELD_BIT(FIELD_CURRENCY) | FIELD_BIT(FIELD_PAYMENTS) |
                              FIELD_BIT(FIELD_REFUNDS),
                          CLOCK_BIT(CLOCK_FINANCIAL_YEAR_CALENDAR_END) | CLOCK_BIT(CLOCK_CALENDAR_YEAR_END),
                          true, true},
    [CATEGORY_OSS] = {"customer",
                      FIELD_BIT(FIELD_ORDER_ID) | FIELD_BIT(FIELD_DATE) | FIELD_BIT(FIELD_COUNTRY_CODE) |
                          FIELD_BIT(FIELD_TOTAL) | FIELD_BIT(FIELD_REFUNDS),
                      CLOCK_BIT(CLOCK_FINANCIAL_YEAR_CALENDAR_END) | CLOCK_BIT(CLOCK_CALENDAR_YEAR_END), true,
                      true},
    [CATEGORY_CONSENT_PROOF] = {"customer", FIELD_BIT(FIELD_CONSENTS) | FIELD_BIT(FIELD_NOTICES),
                                CLOCK_BIT(CLOCK_CONSENT_ENDED) | CLOCK_BIT(CLOCK_RECORDED), true, false},
    [CATEGORY_SUPPRESSION] = {"any", FIELD_BIT(FIELD_CONTACT_HASH),
                              CLOCK_BIT(CLOCK_LAST_MATCHED) | CLOCK_BIT(CLOCK_RECORDED), true, false},
    [CATEGORY_REQUEST] = {"any", FIELD_BIT(FIELD_REQUESTS),
                          CLOCK_BIT(CLOCK_REQUEST_CLOSED) | CLOCK_BIT(CLOCK_RECORDED), true, false},
    [CATEGORY_LEDGER] = {"any", FIELD_BIT(FIELD_DISCLOSURES),
                         CLOCK_BIT(CLOCK_DISCLOSED) | CLOCK_BIT(CLOCK_RECORDED), true, false},
    [CATEGORY_ACCESS_LOG] = {"any", FIELD_BIT(FIELD_READS), CLOCK_BIT(CLOCK_RECORDED), true, false},
};

/* Clocks that an aggregate may never start. */
#define MAY_NEVER_START                                                                                      \
    (CLOCK_BIT(CLOCK_LAST_DELIVERED) | CLOCK_BIT(CLOCK_ORDER_CLOSED) | CLOCK_BIT(CLOCK_RELATIONSHIP_END))

/* ---- purposes ---- */

static void read_basis(struct policy_walk *walk, const struct json *value, void *into) {
    static const char *const bases[] = {"6(1)(a)", "6(1)(b)", "6(1)(c)", "6(1)(d)",
                                        "6(1)(e)", "6(1)(f)", NULL};
    if (walk_choice(walk, value, bases) >= 0)
        *(struct text *)into = value->text;
}

static void read_form(struct policy_walk *walk, const struct json *value, void *into) {
    static const char *const forms[] = {"aggregate", NULL};
    if (walk_choice(walk, value, forms) >= 0)
        *(struct text *)into = value->text;
}

static void read_purpose(struct policy_walk *walk, const struct json *value, void *into) {
    static const struct walk_member members[] = {
        {"basis", WALK_NEEDED, read_basis, IN_PURPOSE(basis)},
        {"law", WALK_OPTIONAL, walk_text, IN_PURPOSE(law)},
        {"form", WALK_OPTIONAL, read_form, IN_PURPOSE(form)},
    };
    struct policy *policy = into;
    struct policy_purpose *purpose = &policy->purposes[policy->purpose_count++];
    purpose->name = value->key;
    if (!walk_name_is_plain(value->key))
        walk_complain(walk, "a purpose's name is of a-z, 0-9, _ and - only");
    (void)WALK_OBJECT(walk, value, members, purpose);
}

void policy_read_purposes(struct policy_walk *walk, const struct json *value, void *into) {
    struct policy *policy = into;
    (void)walk_map(walk, value, sizeof(policy->purposes) / sizeof(*policy->purposes), read_purpose, policy);
}

/* ---- one category ---- */

/* Where the walk stands: which category is being read. */
static enum category category_at(const struct policy_walk *walk, const void *category) {
    return (enum category)((const struct policy_category *)category - walk->policy->categories);
}

static void read_subject(struct policy_walk *walk, const struct json *value, void *into) {
    struct policy_category *category = into;
    const char *subject = rules[category_at(walk, category)].subject;
    if (!walk_is(walk, value, JSON_STRING))
        return;
    if (!text_is(value->text, subject))
        walk_complain(walk, "must be %s for this category", subject);
    category->subject = value->text;
}

static void read_fields(struct policy_walk *walk, const struct json *value, void *into) {
    struct policy_category *category = into;
    field_set allowed = rules[category_at(walk, category)].fields;
    size_t index = 0;
    if (!walk_is(walk, value, JSON_ARRAY))
        return;
    if (!value->first)
        walk_complain(walk, "must not be empty");
    for (const struct json *item = value->first; item; item = item->next, index++) {
        size_t mark = walk_into_item(walk, index);
        unsigned field = 0;
        if (walk_is(walk, item, JSON_STRING)) {
            while (field < POLICY_FIELDS &&
                   !((allowed & FIELD_BIT(field)) && text_is(item->text, policy_field_name(field))))
                field++;
            if (field == POLICY_FIELDS)
                walk_complain(walk, "is no field that this category can hold");
            else if (category->fields & FIELD_BIT(field))
                walk_complain(walk, "stands there twice");
            else
                category->fields |= FIELD_BIT(field);
        }
        walk_back(walk, mark);
    }
}

static void read_category_purposes(struct policy_walk *walk, const struct json *value, void *into) {
    struct policy_category *category = into;
    category->purpose_count = walk_list(walk, value, category->purposes,
                                        sizeof(category->purposes) / sizeof(*category->purposes), NULL);
}

/* One of the clocks that the category can tell. */
static void read_clock(struct policy_walk *walk, const struct json *value, enum category of,
                       enum clock *into) {
    unsigned clock = CLOCK_NONE + 1;
    if (!walk_is(walk, value, JSON_STRING))
        return;
    while (clock < CLOCKS && !text_is(value->text, clock_names[clock]))
        clock++;
    if (clock == CLOCKS)
        walk_complain(walk, "is no clock");
    else if (!(rules[of].clocks & CLOCK_BIT(clock)))
        walk_complain(walk, "is no clock that this category can tell");
    else
        *into = (enum clock)clock;
}

static void read_main_clock(struct policy_walk *walk, const struct json *value, void *into) {
    struct policy_category *category = into;
    read_clock(walk, value, category_at(walk, category), &category->clock.clock);
}

static void read_fallback_clock(struct policy_walk *walk, const struct json *value, void *into) {
    struct policy_category *category = into;
    read_clock(walk, value, category_at(walk, category), &category->fallback.clock);
    if (MAY_NEVER_START & CLOCK_BIT(category->fallback.clock))
        walk_complain(walk, "may never start: a fallback must");
}

static void read_fallback(struct policy_walk *walk, const struct json *value, void *into) {
    static const struct walk_member members[] = {
        {"clock", WALK_NEEDED, read_fallback_clock, 0},
        {"term", WALK_NEEDED, walk_days, IN_CATEGORY(fallback.term)},
    };
    (void)WALK_OBJECT(walk, value, members, into);
}

static void read_warn(struct policy_walk *walk, const struct json *value, void *into) {
    struct policy_category *category = into;
    category->warns = true;
    walk_days(walk, value, &category->warn);
}

/* "paid", or {"country_not": "FI"}: each where the program knows how. */
static void read_when(struct policy_walk *walk, const struct json *value, void *into) {
    static const struct walk_member members[] = {
        {"country_not", WALK_NEEDED, walk_country, IN_CATEGORY(when_country_not)},
    };
    struct policy_category *category = into;
    enum category of = category_at(walk, category);
    if (of == CATEGORY_VOUCHER) {
        category->when_paid = value->type == JSON_STRING && text_is(value->text, "paid");
        if (!category->when_paid)
            walk_complain(walk, "must be \"paid\" for this category");
    } else if (of == CATEGORY_OSS) {
        (void)WALK_OBJECT(walk, value, members, category);
    } else {
        walk_complain(walk, "this category knows no condition");
    }
}

static void read_ground(struct policy_walk *walk, const struct json *value, void *into) {
    static const char *const grounds[] = {"17(3)(a)", "17(3)(b)", "17(3)(c)", "17(3)(d)",
                                          "17(3)(e)", "21(3)",    NULL};
    struct policy_category *category = into;
    category->on_request = ON_REQUEST_KEEP;
    if (walk_choice(walk, value, grounds) >= 0)
        category->ground = value->text;
}

static void read_wait(struct policy_walk *walk, const struct json *value, void *into) {
    static const char *const events[] = {"parcels_closed", NULL};
    struct policy_category *category = into;
    category->on_request = ON_REQUEST_WAIT_PARCELS;
    if (walk_choice(walk, value, events) >= 0 && category_at(walk, category) != CATEGORY_DELIVERY)
        walk_complain(walk, "only delivery can wait for its parcels");
}

/* "erase", {"keep": ground} or {"wait": "parcels_closed"}. */
static void read_on_request(struct policy_walk *walk, const struct json *value, void *into) {
    static const struct walk_member members[] = {
        {"keep", WALK_OPTIONAL, read_ground, 0},
        {"wait", WALK_OPTIONAL, read_wait, 0},
    };
    struct policy_category *category = into;
    category->on_request = ON_REQUEST_ERASE;
    if (value->type == JSON_STRING && !text_is(value->text, "erase"))
        walk_complain(walk, "must be \"erase\", {\"keep\": ground} or {\"wait\": \"parcels_closed\"}");
    else if (value->type == JSON_OBJECT && value->count != 1)
        walk_complain(walk, "must have one member: keep or wait");
    else if (value->type != JSON_STRING)
        (void)WALK_OBJECT(walk, value, members, category);
    if (!rules[category_at(walk, category)].may_erase && category->on_request == ON_REQUEST_ERASE)
        walk_complain(walk, "this category proves what was done: it must be kept on a ground");
}

static void read_product_class(struct policy_walk *walk, const struct json *value, void *into) {
    struct policy_category *category = into;
    struct policy_product_class *class = &category->by_product_class[category->product_class_count++];
    class->product_class = value->key;
    walk_days(walk, value, &class->term);
}

static void read_product_classes(struct policy_walk *walk, const struct json *value, void *into) {
    struct policy_category *category = into;
    const size_t room = 1000;
    if (category_at(walk, category) != CATEGORY_CLAIM)
        walk_complain(walk, "only claim knows product classes");
    else if (value->type == JSON_OBJECT && value->count && value->count <= room) {
        category->by_product_class =
            ARENA_ARRAY(&walk->policy->arena, struct policy_product_class, value->count);
        if (!category->by_product_class) {
            walk_complain(walk, "needs more memory than a policy may take");
            return;
        }
        category->product_class_count = 0;
        (void)walk_map(walk, value, room, read_product_class, category);
    } else {
        (void)walk_map(walk, value, room, read_product_class, category); /* empty, or a complaint */
    }
}

static void read_category(struct policy_walk *walk, const struct json *value, void *into) {
    static const struct walk_member members[] = {
        {"subject", WALK_NEEDED, read_subject, 0},
        {"fields", WALK_NEEDED, read_fields, 0},
        {"when", WALK_OPTIONAL, read_when, 0},
        {"purpose", WALK_NEEDED, read_category_purposes, 0},
        {"clock", WALK_NEEDED, read_main_clock, 0},
        {"term", WALK_NEEDED, walk_days, IN_CATEGORY(clock.term)},
        {"fallback", WALK_OPTIONAL, read_fallback, 0},
        {"warn", WALK_OPTIONAL, read_warn, 0},
        {"on_request", WALK_NEEDED, read_on_request, 0},
        {"by_product_class", WALK_OPTIONAL, read_product_classes, 0},
    };
    struct policy_category *category = into;
    enum category of = category_at(walk, category);
    category->present = WALK_OBJECT(walk, value, members, category);
    if (!category->present)
        return;
    if ((MAY_NEVER_START & CLOCK_BIT(category->clock.clock)) && !json_member(value, "fallback"))
        walk_complain_below(walk, ".fallback", "is missing: clock %s may never start",
                            clock_names[category->clock.clock]);
    if ((of == CATEGORY_VOUCHER || of == CATEGORY_OSS) && !json_member(value, "when"))
        walk_complain_below(walk, ".when", "is missing: this category begins on a condition");
    const struct term *term = &category->clock.term; /* nothing when it was refused itself */
    if (category->warns && (term->years || term->months || term->days) &&
        !walk_term_within(&category->warn, term))
        walk_complain_below(walk, ".warn", "is longer than the term");
}

void policy_read_categories(struct policy_walk *walk, const struct json *value, void *into) {
    struct walk_member members[CATEGORIES];
    (void)into;
    for (unsigned i = 0; i < CATEGORIES; i++)
        members[i] = (struct walk_member){category_names[i], rules[i].needed ? WALK_NEEDED : WALK_OPTIONAL,
                                          read_category, sizeof(struct policy_category) * i};
    (void)walk_object(walk, value, members, CATEGORIES, walk->policy->categories);
}
