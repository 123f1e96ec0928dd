/* How long a cell is kept: clock, term, fallback, product classes and financial years (SEMANTICS.md, dates).
 */
#include "core/policy.h"

/* The last day of the financial year that holds the date. A year of the default's length is cut short where
 * an exception begins within it: the year before a change of financial years is itself a broken one. */
static int32_t financial_year_end(const struct policy *policy, int32_t date) {
    int year, month, day;
    for (size_t i = 0; i < policy->year_exception_count; i++)
        if (date >= policy->year_exceptions[i].first && date <= policy->year_exceptions[i].last)
            return policy->year_exceptions[i].last;

    date_parts(date, &year, &month, &day);
    /* The end's own month is reached by adding months to its first, so that 29 February is the last of
     * February. */
    int32_t end = DATE_NONE;
    for (int candidate = year; candidate <= year + 1 && (end == DATE_NONE || end < date); candidate++) {
        int32_t first = date_of(candidate, policy->year_end_month, 1);
        int32_t next = date_add(first, &(struct term){.months = 1});
        end = first + policy->year_end_day - 1;
        if (end >= next)
            end = next - 1;
    }
    for (size_t i = 0; i < policy->year_exception_count; i++)
        if (policy->year_exceptions[i].first > date && policy->year_exceptions[i].first <= end)
            end = policy->year_exceptions[i].first - 1;
    return end;
}

/* The date from which the term counts. */
static int32_t clock_date(const struct policy *policy, enum clock clock, int64_t instant_us) {
    int32_t date = date_local(policy->zone, instant_us);
    if (clock == CLOCK_FINANCIAL_YEAR_CALENDAR_END)
        return date_year_end(financial_year_end(policy, date));
    if (clock == CLOCK_CALENDAR_YEAR_END)
        return date_year_end(date);
    return date;
}

static const struct term *class_term(const struct policy_category *category, struct text product_class) {
    for (size_t i = 0; i < category->product_class_count; i++)
        if (text_equal(category->by_product_class[i].product_class, product_class))
            return &category->by_product_class[i].term;
    return NULL;
}

/* The latest end among the classes; a class that the policy does not name has the category's own term. */
static int32_t end_by_classes(const struct policy_category *category, int32_t from, const struct term *own,
                              const struct text *product_classes, size_t class_count) {
    int32_t latest = DATE_NONE;
    for (size_t i = 0; i < class_count; i++) {
        const struct term *term = class_term(category, product_classes[i]);
        int32_t end = date_add(from, term ? term : own);
        if (end > latest)
            latest = end;
    }
    return latest != DATE_NONE ? latest : date_add(from, own);
}

int32_t policy_until(const struct policy *policy, enum category category, const struct clocks *clocks,
                     const struct text *product_classes, size_t class_count) {
    const struct policy_category *rule = &policy->categories[category];
    const struct policy_clock *clock = &rule->clock;
    if (!rule->present)
        return DATE_NONE;
    if (clocks->at_us[clock->clock] < 0)
        clock = &rule->fallback;
    if (clock->clock == CLOCK_NONE || clocks->at_us[clock->clock] < 0)
        return DATE_NONE;
    int32_t from = clock_date(policy, clock->clock, clocks->at_us[clock->clock]);
    int32_t end =
        end_by_classes(rule, from, &clock->term, product_classes, product_classes ? class_count : 0);
    if (clock == &rule->fallback) {
        /* What stands for a clock that has not started is never shortened by a class. */
        int32_t own = date_add(from, &clock->term);
        if (end < own)
            end = own;
    }
    return end;
}
