/* Time zones: reads the system's tz database (RFC 8536, TZif version 2 and later, with the footer's rule for
 * the years after its last transition) into an immutable table that any thread may ask. The C library's own
 * functions keep the zone as state of the whole process, which threads and pure decisions cannot use. */
#include "core/term.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY_S INT64_C(86400)
#define SECOND_US INT64_C(1000000)
#define ZONE_FILE_MAX (1 << 20) /* the largest of the database is about 4 KB */
#define ZONE_FOREVER INT64_MAX

enum rule_form { RULE_MONTH_WEEK_DAY, RULE_JULIAN, RULE_DAY_OF_YEAR };

/* When in a year summer time begins or ends (POSIX TZ, XBD 8.3). */
struct zone_rule {
    enum rule_form form;
    int month, week, day;
    int32_t second; /* of the local day; may be negative or beyond 24 h */
};

struct zone {
    size_t count; /* transitions, ascending; after[i] holds from at_s[i] */
    int64_t *at_s;
    int32_t *after;
    int32_t before; /* the offset before the first */
    bool has_rule, has_summer;
    int32_t standard, summer;
    struct zone_rule begins, ends;
};

/* ---- the footer ---- */

static bool take_digits(const char **at, int max, int *number) {
    int digits = 0, value = 0;
    while (digits < 3 && **at >= '0' && **at <= '9') {
        value = value * 10 + (*(*at)++ - '0');
        digits++;
    }
    *number = value;
    return digits && value <= max;
}

/* [+-]hh[:mm[:ss]] in seconds. */
static bool take_time(const char **at, int32_t *seconds) {
    int sign = 1, hours, minutes = 0, rest = 0;
    if (**at == '+' || **at == '-')
        sign = *(*at)++ == '-' ? -1 : 1;
    if (!take_digits(at, 167, &hours))
        return false;
    if (**at == ':') {
        (*at)++;
        if (!take_digits(at, 59, &minutes))
            return false;
        if (**at == ':') {
            (*at)++;
            if (!take_digits(at, 59, &rest))
                return false;
        }
    }
    *seconds = sign * (hours * 3600 + minutes * 60 + rest);
    return true;
}

static bool skip_name(const char **at) {
    const char *start = *at;
    if (**at == '<') {
        const char *end = strchr(*at, '>');
        if (!end)
            return false;
        *at = end + 1;
        return true;
    }
    while ((**at >= 'A' && **at <= 'Z') || (**at >= 'a' && **at <= 'z'))
        (*at)++;
    return *at - start >= 3;
}

static bool take_rule(const char **at, struct zone_rule *rule) {
    if (*(*at)++ != ',')
        return false;
    if (**at == 'M') {
        (*at)++;
        rule->form = RULE_MONTH_WEEK_DAY;
        if (!take_digits(at, 12, &rule->month) || rule->month < 1 || *(*at)++ != '.' ||
            !take_digits(at, 5, &rule->week) || rule->week < 1 || *(*at)++ != '.' ||
            !take_digits(at, 6, &rule->day))
            return false;
    } else if (**at == 'J') {
        (*at)++;
        rule->form = RULE_JULIAN;
        if (!take_digits(at, 365, &rule->day) || rule->day < 1)
            return false;
    } else {
        rule->form = RULE_DAY_OF_YEAR;
        if (!take_digits(at, 365, &rule->day))
            return false;
    }
    rule->second = 2 * 3600;
    if (**at != '/')
        return true;
    (*at)++;
    return take_time(at, &rule->second);
}

/* "EET-2EEST,M3.5.0/3,M10.5.0/4": offsets there count west. */
static bool parse_footer(struct zone *zone, const char *at) {
    int32_t west;
    if (!skip_name(&at) || !take_time(&at, &west))
        return false;
    zone->standard = -west;
    zone->has_rule = true;
    if (!*at)
        return true;
    if (!skip_name(&at))
        return false;
    zone->summer = zone->standard + 3600;
    if (*at && *at != ',') {
        if (!take_time(&at, &west))
            return false;
        zone->summer = -west;
    }
    zone->has_summer = true;
    return take_rule(&at, &zone->begins) && take_rule(&at, &zone->ends) && !*at;
}

/* The local second (of the clock before the change) at which the rule strikes in that year. */
static int64_t rule_strikes(const struct zone_rule *rule, int year) {
    int32_t date, first = date_of(year, 1, 1);
    if (rule->form == RULE_DAY_OF_YEAR) {
        date = first + rule->day;
    } else if (rule->form == RULE_JULIAN) {
        bool leap = date_of(year + 1, 1, 1) - first == 366;
        date = first + rule->day - 1 + (leap && rule->day >= 60); /* J60 is always 1 March */
    } else {
        int32_t month = date_of(year, rule->month, 1);
        int32_t next = rule->month == 12 ? date_of(year + 1, 1, 1) : date_of(year, rule->month + 1, 1);
        int weekday = (int)((((int64_t)month + 4) % 7 + 7) % 7); /* 1970-01-01 was a Thursday; 0 = Sunday */
        date = month + (rule->day - weekday + 7) % 7 + (rule->week - 1) * 7;
        while (date >= next)
            date -= 7; /* week 5 means the last */
    }
    return date * DAY_S + rule->second;
}

/* ---- looking up ---- */

/* The offset at that second and the second at which it may change next. */
static int32_t rule_segment(const struct zone *zone, int64_t second, int64_t *until) {
    int year, month, day;
    int32_t offset;
    int64_t last = INT64_MIN, next = ZONE_FOREVER;
    *until = ZONE_FOREVER;
    if (!zone->has_summer)
        return zone->standard;

    int64_t local = second + zone->standard;
    date_parts((int32_t)((local >= 0 ? local : local - DAY_S + 1) / DAY_S), &year, &month, &day);
    offset = zone->standard;
    for (int y = year - 1; y <= year + 1; y++) {
        const struct {
            int64_t at;
            int32_t offset;
        } changes[2] = {{rule_strikes(&zone->begins, y) - zone->standard, zone->summer},
                        {rule_strikes(&zone->ends, y) - zone->summer, zone->standard}};
        for (int i = 0; i < 2; i++) {
            if (changes[i].at <= second && changes[i].at >= last)
                last = changes[i].at, offset = changes[i].offset;
            else if (changes[i].at > second && changes[i].at < next)
                next = changes[i].at;
        }
    }
    *until = next;
    return offset;
}

static int32_t zone_segment(const struct zone *zone, int64_t second, int64_t *until) {
    size_t low = 0, high = zone->count; /* how many transitions are not later than it */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (zone->at_s[middle] <= second)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == zone->count && zone->has_rule)
        return rule_segment(zone, second, until);
    *until = low < zone->count ? zone->at_s[low] : ZONE_FOREVER;
    return low ? zone->after[low - 1] : zone->before;
}

static int64_t whole_second(int64_t instant_us) {
    return (instant_us >= 0 ? instant_us : instant_us - SECOND_US + 1) / SECOND_US;
}

int32_t zone_offset_s(const struct zone *zone, int64_t instant_us) {
    int64_t until;
    return zone_segment(zone, whole_second(instant_us), &until);
}

int32_t date_local(const struct zone *zone, int64_t instant_us) {
    int64_t second = whole_second(instant_us), until;
    second += zone_segment(zone, second, &until);
    return (int32_t)((second >= 0 ? second : second - DAY_S + 1) / DAY_S);
}

int64_t date_begins_us(const struct zone *zone, int32_t date) {
    /* Follows the segments of equal offset towards midnight: where clocks leap over midnight, or over the
     * whole date, the date begins with the leap. No zone is further than 26 h from UTC. */
    int64_t midnight = date * DAY_S, second = midnight - 26 * 3600, until;
    for (;;) {
        int64_t begins = midnight - zone_segment(zone, second, &until);
        if (begins < second)
            begins = second;
        if (begins < until)
            return begins * SECOND_US;
        second = until;
    }
}

/* ---- reading the file ---- */

static int64_t big_endian(const unsigned char *at, int bytes) {
    uint64_t value = at[0] & 0x80 ? UINT64_MAX : 0; /* sign */
    for (int i = 0; i < bytes; i++)
        value = value << 8 | at[i];
    return (int64_t)value;
}

/* Counts of a TZif header, in the order of RFC 8536. */
struct tzif_header {
    int64_t ut_indicators, standard_indicators, leaps, transitions, types, characters;
};

static bool read_header(const unsigned char *at, size_t size, struct tzif_header *header) {
    if (size < 44 || memcmp(at, "TZif", 4) != 0 || at[4] < '2')
        return false;
    header->ut_indicators = big_endian(at + 20, 4);
    header->standard_indicators = big_endian(at + 24, 4);
    header->leaps = big_endian(at + 28, 4);
    header->transitions = big_endian(at + 32, 4);
    header->types = big_endian(at + 36, 4);
    header->characters = big_endian(at + 40, 4);
    return header->ut_indicators >= 0 && header->standard_indicators >= 0 && header->leaps >= 0 &&
           header->transitions >= 0 && header->types > 0 && header->types <= 256 && header->characters >= 0;
}

static int64_t body_bytes(const struct tzif_header *header, int time_bytes) {
    return header->transitions * (time_bytes + 1) + header->types * 6 + header->characters +
           header->leaps * (time_bytes + 4) + header->standard_indicators + header->ut_indicators;
}

/* The second block, with 64-bit times, then the footer between two newlines. */
static bool parse_tzif(struct zone *zone, const unsigned char *file, size_t size) {
    struct tzif_header header;
    if (!read_header(file, size, &header))
        return false;
    int64_t skip = 44 + body_bytes(&header, 4);
    if (skip > (int64_t)size || !read_header(file + skip, size - (size_t)skip, &header))
        return false;
    const unsigned char *times = file + skip + 44;
    int64_t left = (int64_t)size - skip - 44, body = body_bytes(&header, 8);
    if (body + 2 > left)
        return false;
    size_t count = (size_t)header.transitions;
    const unsigned char *indexes = times + count * 8, *types = indexes + count;

    zone->count = count;
    zone->at_s = calloc(count + 1, sizeof(*zone->at_s));
    zone->after = calloc(count + 1, sizeof(*zone->after));
    if (!zone->at_s || !zone->after)
        return false;
    zone->before = (int32_t)big_endian(types, 4);
    for (size_t i = 0; i < count; i++) {
        if (indexes[i] >= header.types)
            return false;
        zone->at_s[i] = big_endian(times + i * 8, 8);
        zone->after[i] = (int32_t)big_endian(types + indexes[i] * 6, 4);
        if (i && zone->at_s[i] <= zone->at_s[i - 1])
            return false;
    }
    /* The caller ended the file with a NUL. */
    char *footer = (char *)times + body, *end = footer[0] == '\n' ? strchr(footer + 1, '\n') : NULL;
    if (!end)
        return false;
    *end = '\0';
    return end == footer + 1 || parse_footer(zone, footer + 1);
}

/* Names come from the policy file: nothing but a place inside the database. */
static bool name_is_safe(const char *name) {
    if (!*name || *name == '/' || strlen(name) > 64 || strstr(name, ".."))
        return false;
    for (const char *at = name; *at; at++)
        if (!((*at >= 'A' && *at <= 'Z') || (*at >= 'a' && *at <= 'z') || (*at >= '0' && *at <= '9') ||
              strchr("/_+-", *at)))
            return false;
    return true;
}

static unsigned char *read_whole(const char *path, size_t *size) {
    unsigned char *bytes = NULL;
    FILE *file = fopen(path, "rbe");
    if (!file)
        return NULL;
    bytes = calloc(1, ZONE_FILE_MAX + 1);
    if (bytes) {
        *size = fread(bytes, 1, ZONE_FILE_MAX, file);
        if (ferror(file)) {
            free(bytes);
            bytes = NULL;
        }
    }
    fclose(file);
    return bytes;
}

struct zone *zone_new(const char *name, struct err *err) {
    char path[512];
    const char *directory = getenv("TZDIR");
    struct zone *zone = NULL, *result = NULL;
    unsigned char *file = NULL;
    size_t size = 0;

    if (!directory || !*directory)
        directory = "/usr/share/zoneinfo";
    if (!name_is_safe(name)) {
        (void)err_set(err, FATAL, 0, "that is no name of a time zone");
        goto out;
    }
    if ((size_t)snprintf(path, sizeof(path), "%s/%s", directory, name) >= sizeof(path)) {
        (void)err_set(err, FATAL, ENAMETOOLONG, "the path of the time zone is too long");
        goto out;
    }
    file = read_whole(path, &size);
    if (!file && errno != ENOENT && errno != ENOTDIR) {
        (void)err_set(err, FATAL, errno, "time zone %s cannot be read: %s", name, strerrordesc_np(errno));
        goto out;
    }
    if (!file) {
        (void)err_set(err, FATAL, errno, "time zone %s is not in the tz database (package tzdata)", name);
        goto out;
    }
    errno = 0;
    zone = calloc(1, sizeof(*zone));
    if (!zone || !parse_tzif(zone, file, size)) {
        (void)err_set(err, FATAL, errno, "time zone %s cannot be read: %s", name,
                      errno == ENOMEM ? "no memory" : "not TZif version 2 or later");
        goto out;
    }
    result = zone;
    zone = NULL;
out:
    zone_free(zone);
    free(file);
    return result;
}

void zone_free(struct zone *zone) {
    if (!zone)
        return;
    free(zone->at_s);
    free(zone->after);
    free(zone);
}
