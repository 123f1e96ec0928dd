/* Calendar arithmetic of the policy: ISO 8601 terms, local dates in the policy's time zone, ends of financial
 * and calendar years and quarters. PURE: no clock. The zone is read once from the system's tz database.
 *
 * A date is days since 1970-01-01 (int32_t), an instant is microseconds since 1970 UTC (int64_t). Months are
 * calendar months clamped to the month's end (Regulation 1182/71): 31 January + P1M = 28 or 29 February. */
#ifndef KR_TERM_H
#define KR_TERM_H

#include "core/err.h"
#include "core/text.h"
#include <stdbool.h>
#include <stdint.h>

#define DATE_NONE INT32_MIN /* no date */

struct term {
    int32_t years, months, days; /* PnYnMnD (weeks are days); PTnH counts whole hours */
    int32_t hours;
};

struct zone; /* a loaded time zone, immutable, callable from any thread */

/* "P3Y6M", "P14D", "PT72H". False when it is none. */
bool term_parse(struct text text, struct term *term);
/* Writes it back in canonical form; returns the length. */
size_t term_write(const struct term *term, char buffer[32]);

struct zone *zone_new(const char *name, struct err *err);
void zone_free(struct zone *zone);
/* Offset from UTC at that instant, in seconds. */
int32_t zone_offset_s(const struct zone *zone, int64_t instant_us);
/* The local date of an instant. */
int32_t date_local(const struct zone *zone, int64_t instant_us);
/* The instant at which that local date begins. */
int64_t date_begins_us(const struct zone *zone, int32_t date);

int32_t date_of(int year, int month, int day);
void date_parts(int32_t date, int *year, int *month, int *day);
/* date + term (years and months first, clamped, then days). */
int32_t date_add(int32_t date, const struct term *term);
/* The 31 December of the date's calendar year. */
int32_t date_year_end(int32_t date);
/* Quarters since 1970: the key period of a cell that ends on that date. */
int32_t date_quarter(int32_t date);
/* "YYYY-MM-DD"; false when it is no such date. */
bool date_parse(struct text text, int32_t *date);
void date_write(int32_t date, char buffer[11]);
/* RFC 3339 with offset to microseconds UTC, finer fractions truncated; false when it is none, for second 60
 * and before 1970. */
bool instant_parse(struct text text, int64_t *instant_us);
/* "2026-11-22T20:31:05.000000Z" */
void instant_write(int64_t instant_us, char buffer[28]);

#endif
