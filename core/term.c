/* Calendar arithmetic: terms, dates and instants. The time zones stand in zone.c. */
#include "core/term.h"

#include <stdio.h>
#include <string.h>

#define DAY_S INT64_C(86400)
#define SECOND_US INT64_C(1000000)
/* Larger numbers are mistakes, and without a bound they would overflow a date. */
#define TERM_NUMBER_MAX 100000

/* ---- terms ---- */

/* Takes a whole number off the front of the text. */
static bool take_number(struct text *text, int32_t *number) {
    size_t digits = 0;
    int32_t value = 0;
    while (digits < text->size && text->at[digits] >= '0' && text->at[digits] <= '9') {
        value = value * 10 + (text->at[digits] - '0');
        if (value > TERM_NUMBER_MAX)
            return false;
        digits++;
    }
    if (!digits)
        return false;
    *number = value;
    text->at += digits;
    text->size -= digits;
    return true;
}

bool term_parse(struct text text, struct term *term) {
    struct term result = {0};
    static const char order[] = "YMWDTH"; /* designators may only move forward in this row */
    size_t place = 0;
    bool parts = false, weeks = false, time = false;

    if (!text.at || text.size < 3 || text.size > 31 || text.at[0] != 'P')
        return false;
    text.at++, text.size--;
    while (text.size) {
        if (text.at[0] == 'T') {
            if (time || text.size == 1)
                return false;
            time = true;
            place = 5;
            text.at++, text.size--;
            continue;
        }
        int32_t number;
        if (!take_number(&text, &number) || !text.size)
            return false;
        const char *found = memchr(order + place, text.at[0], sizeof(order) - 1 - place);
        if (!found || *found == 'T' || (*found == 'H') != time)
            return false;
        if (weeks || (*found == 'W' && parts))
            return false; /* ISO 8601: weeks stand alone */
        place = (size_t)(found - order) + 1;
        parts = true;
        switch (*found) {
        case 'Y':
            result.years = number;
            break;
        case 'M':
            result.months = number;
            break;
        case 'W':
            result.days = number * 7;
            weeks = true;
            break;
        case 'D':
            result.days = number;
            break;
        default:
            result.hours = number;
        }
        text.at++, text.size--;
    }
    if (!parts)
        return false;
    *term = result;
    return true;
}

size_t term_write(const struct term *term, char buffer[32]) {
    size_t used = 0;
    const struct {
        int32_t number;
        char designator;
    } parts[] = {{term->years, 'Y'}, {term->months, 'M'}, {term->days, 'D'}};

    buffer[used++] = 'P';
    for (size_t i = 0; i < 3; i++)
        if (parts[i].number)
            used += (size_t)snprintf(buffer + used, 32 - used, "%d%c", parts[i].number % 1000000,
                                     parts[i].designator);
    if (term->hours)
        used += (size_t)snprintf(buffer + used, 32 - used, "T%dH", term->hours % 1000000);
    if (used == 1)
        used += (size_t)snprintf(buffer + used, 32 - used, "0D");
    return used;
}

/* ---- dates ---- */

/* Days from the civil calendar and back, after Howard Hinnant, "chrono-compatible low-level date algorithms":
 * years are counted from March so that the leap day comes last. */
int32_t date_of(int year, int month, int day) {
    int64_t y = (int64_t)year - (month <= 2);
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return (int32_t)(era * 146097 + day_of_era - 719468);
}

void date_parts(int32_t date, int *year, int *month, int *day) {
    int64_t z = (int64_t)date + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t day_of_era = z - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted = (5 * day_of_year + 2) / 153;
    *day = (int)(day_of_year - (153 * shifted + 2) / 5 + 1);
    *month = (int)(shifted < 10 ? shifted + 3 : shifted - 9);
    *year = (int)(year_of_era + era * 400 + (*month <= 2));
}

static int days_in_month(int year, int month) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap);
}

int32_t date_add(int32_t date, const struct term *term) {
    if (date == DATE_NONE)
        return DATE_NONE;
    int year, month, day;
    date_parts(date, &year, &month, &day);
    int64_t months = (int64_t)year * 12 + (month - 1) + (int64_t)term->years * 12 + term->months;
    int64_t new_year = (months >= 0 ? months : months - 11) / 12;
    month = (int)(months - new_year * 12) + 1;
    year = (int)new_year;
    int last = days_in_month(year, month);
    if (day > last)
        day = last;
    /* A date knows no hours: a part of a day counts as the whole. */
    return date_of(year, month, day) + term->days + (term->hours + 23) / 24;
}

int32_t date_year_end(int32_t date) {
    if (date == DATE_NONE)
        return DATE_NONE;
    int year, month, day;
    date_parts(date, &year, &month, &day);
    return date_of(year, 12, 31);
}

int32_t date_quarter(int32_t date) {
    int year, month, day;
    date_parts(date, &year, &month, &day);
    return (year - 1970) * 4 + (month - 1) / 3;
}

/* Exactly `digits` decimal digits at `at`. */
static bool fixed_number(const char *at, int digits, int *number) {
    int value = 0;
    for (int i = 0; i < digits; i++) {
        if (at[i] < '0' || at[i] > '9')
            return false;
        value = value * 10 + (at[i] - '0');
    }
    *number = value;
    return true;
}

bool date_parse(struct text text, int32_t *date) {
    int year, month, day;
    if (!text.at || text.size != 10 || text.at[4] != '-' || text.at[7] != '-')
        return false;
    if (!fixed_number(text.at, 4, &year) || !fixed_number(text.at + 5, 2, &month) ||
        !fixed_number(text.at + 8, 2, &day))
        return false;
    if (month < 1 || month > 12 || day < 1 || day > days_in_month(year, month))
        return false;
    *date = date_of(year, month, day);
    return true;
}

static void write_fixed(char *at, int digits, int number) {
    while (digits--) {
        at[digits] = (char)('0' + number % 10);
        number /= 10;
    }
}

void date_write(int32_t date, char buffer[11]) {
    int year, month, day;
    date_parts(date, &year, &month, &day);
    if (year < 0)
        year = 0, month = 1, day = 1; /* the nearest that four digits can say */
    else if (year > 9999)
        year = 9999, month = 12, day = 31;
    write_fixed(buffer, 4, year);
    buffer[4] = '-';
    write_fixed(buffer + 5, 2, month);
    buffer[7] = '-';
    write_fixed(buffer + 8, 2, day);
    buffer[10] = '\0';
}

/* ---- instants ---- */

/* "Z" or "+hh:mm" as seconds east; the text must be just that. */
static bool parse_offset(struct text text, int *offset_s) {
    int hours, minutes;
    if (text.size == 1 && (text.at[0] == 'Z' || text.at[0] == 'z')) {
        *offset_s = 0;
        return true;
    }
    if (text.size != 6 || (text.at[0] != '+' && text.at[0] != '-') || text.at[3] != ':')
        return false;
    if (!fixed_number(text.at + 1, 2, &hours) || !fixed_number(text.at + 4, 2, &minutes) || hours > 23 ||
        minutes > 59)
        return false;
    *offset_s = (hours * 3600 + minutes * 60) * (text.at[0] == '-' ? -1 : 1);
    return true;
}

/* "hh:mm:ss" as seconds of the day. */
static bool parse_clock(const char *at, int *second_of_day) {
    int hour, minute, second;
    if (at[2] != ':' || at[5] != ':' || !fixed_number(at, 2, &hour) || !fixed_number(at + 3, 2, &minute) ||
        !fixed_number(at + 6, 2, &second) || hour > 23 || minute > 59 || second > 59)
        return false;
    *second_of_day = hour * 3600 + minute * 60 + second;
    return true;
}

bool instant_parse(struct text text, int64_t *instant_us) {
    int32_t date;
    int second_of_day, offset_s;
    int64_t fraction_us = 0, scale = SECOND_US;

    if (!text.at || text.size < 20 || !date_parse((struct text){text.at, 10}, &date))
        return false;
    if ((text.at[10] != 'T' && text.at[10] != 't') || !parse_clock(text.at + 11, &second_of_day))
        return false;
    size_t at = 19;
    if (text.at[at] == '.') {
        at++;
        size_t first = at;
        for (; at < text.size && text.at[at] >= '0' && text.at[at] <= '9'; at++) {
            scale /= 10; /* becomes 0 beyond microseconds: what is finer is cut off */
            fraction_us += scale * (text.at[at] - '0');
        }
        if (at == first)
            return false;
    }
    if (!parse_offset((struct text){text.at + at, text.size - at}, &offset_s))
        return false;
    int64_t second = date * DAY_S + second_of_day - offset_s;
    if (second < 0)
        return false;
    *instant_us = second * SECOND_US + fraction_us;
    return true;
}

void instant_write(int64_t instant_us, char buffer[28]) {
    int64_t day = instant_us / (DAY_S * SECOND_US), rest = instant_us % (DAY_S * SECOND_US);
    if (rest < 0)
        day--, rest += DAY_S * SECOND_US;
    int second = (int)(rest / SECOND_US);
    date_write((int32_t)day, buffer);
    buffer[10] = 'T';
    write_fixed(buffer + 11, 2, second / 3600);
    buffer[13] = ':';
    write_fixed(buffer + 14, 2, second / 60 % 60);
    buffer[16] = ':';
    write_fixed(buffer + 17, 2, second % 60);
    buffer[19] = '.';
    write_fixed(buffer + 20, 6, (int)(rest % SECOND_US));
    buffer[26] = 'Z';
    buffer[27] = '\0';
}
