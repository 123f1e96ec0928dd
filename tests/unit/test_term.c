/* Calendar arithmetic: terms, clamped months, year ends, quarters, RFC 3339 and the edges of summer time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/term.h"
#include <string.h>

static struct term term(const char *text) {
    struct term result = {0};
    assert_true(term_parse(text_of(text), &result));
    return result;
}

static int32_t date(const char *text) {
    int32_t result = DATE_NONE;
    assert_true(date_parse(text_of(text), &result));
    return result;
}

static int64_t instant(const char *text) {
    int64_t result = -1;
    assert_true(instant_parse(text_of(text), &result));
    return result;
}

static struct zone *zone(const char *name) {
    struct err err = {0};
    struct zone *result = zone_new(name, &err);
    if (!result)
        fail_msg("%s", err.text);
    return result;
}

static void terms_are_read_and_written(void **state) {
    (void)state;
    static const struct {
        const char *text, *canonical;
    } good[] = {{"P3Y6M", "P3Y6M"}, {"P14D", "P14D"},       {"PT72H", "PT72H"},   {"P2W", "P14D"},
                {"P0D", "P0D"},     {"P1Y2M3D", "P1Y2M3D"}, {"P1DT6H", "P1DT6H"}, {"P06M", "P6M"}};
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        struct term parsed = term(good[i].text);
        char buffer[32];
        assert_int_equal(term_write(&parsed, buffer), strlen(good[i].canonical));
        assert_string_equal(buffer, good[i].canonical);
    }
    static const char *const bad[] = {
        "",      "P",   "PT",      "P1",   "1Y",   "P1D1Y", "P1W1D", "P1D1W",   "PT1M",          "P-1D",
        "P1.5D", "p1d", "P1YT",    "P1Y ", " P1Y", "P1Y1Y", "P1H",   "PT1HT1H", "P99999999999D", "PT1D",
        "PTT1H", "P1X", "P100001D"};
    struct term ignored;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        if (term_parse(text_of(bad[i]), &ignored))
            fail_msg("%s was taken for a term", bad[i]);
    assert_false(term_parse(TEXT_ABSENT, &ignored));
}

static void months_are_clamped_to_their_end(void **state) {
    (void)state;
    static const struct {
        const char *from, *term, *to;
    } cases[] = {{"2027-01-31", "P1M", "2027-02-28"},   {"2028-01-31", "P1M", "2028-02-29"},
                 {"2027-01-31", "P3M", "2027-04-30"},   {"2028-02-29", "P1Y", "2029-02-28"},
                 {"2028-02-29", "P4Y", "2032-02-29"},   {"2026-12-31", "P2M", "2027-02-28"},
                 {"2026-11-30", "P3Y6M", "2030-05-30"}, {"2026-10-31", "P1M1D", "2026-12-01"},
                 {"2026-12-15", "P14D", "2026-12-29"},  {"2026-12-20", "P14D", "2027-01-03"},
                 {"2026-12-31", "P0D", "2026-12-31"},   {"2026-12-31", "PT72H", "2027-01-03"},
                 {"2026-12-31", "PT1H", "2027-01-01"},  {"1999-12-31", "P1200M", "2099-12-31"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct term added = term(cases[i].term);
        char buffer[11];
        date_write(date_add(date(cases[i].from), &added), buffer);
        assert_string_equal(buffer, cases[i].to);
    }
    struct term day = term("P1D");
    assert_int_equal(date_add(DATE_NONE, &day), DATE_NONE);
}

static void every_date_of_four_centuries_round_trips(void **state) {
    (void)state;
    int32_t expected = date("1900-01-01"), last = date("2300-12-31");
    for (int32_t at = expected; at <= last; at++) {
        int year, month, day;
        char buffer[11];
        date_parts(at, &year, &month, &day);
        assert_int_equal(date_of(year, month, day), at);
        date_write(at, buffer);
        assert_int_equal(date(buffer), at);
    }
    assert_int_equal(date("1970-01-01"), 0);
    assert_int_equal(date("2000-03-01"), 11017);
}

static void impossible_dates_are_refused(void **state) {
    (void)state;
    static const char *const bad[] = {"2026-02-29", "2100-02-29", "2026-13-01", "2026-00-01",  "2026-04-31",
                                      "2026-04-00", "2026-4-01",  "20260401",   "2026-04-01 ", "x026-04-01"};
    int32_t ignored;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        if (date_parse(text_of(bad[i]), &ignored))
            fail_msg("%s was taken for a date", bad[i]);
}

static void years_end_and_quarters_count(void **state) {
    (void)state;
    assert_int_equal(date_year_end(date("2026-01-01")), date("2026-12-31"));
    assert_int_equal(date_year_end(date("2026-12-31")), date("2026-12-31"));
    assert_int_equal(date_year_end(DATE_NONE), DATE_NONE);
    assert_int_equal(date_quarter(date("1970-01-01")), 0);
    assert_int_equal(date_quarter(date("1970-12-31")), 3);
    assert_int_equal(date_quarter(date("2026-03-31")), 224);
    assert_int_equal(date_quarter(date("2026-04-01")), 225);
}

static void instants_follow_rfc_3339(void **state) {
    (void)state;
    char buffer[28];
    static const struct {
        const char *text, *canonical;
    } good[] = {{"2026-11-22T20:31:05Z", "2026-11-22T20:31:05.000000Z"},
                {"2026-11-22t20:31:05.5z", "2026-11-22T20:31:05.500000Z"},
                {"2026-11-22T20:31:05.1234569Z", "2026-11-22T20:31:05.123456Z"},
                {"2026-11-22T01:31:05+02:00", "2026-11-21T23:31:05.000000Z"},
                {"2026-11-22T20:31:05-00:00", "2026-11-22T20:31:05.000000Z"},
                {"2026-12-31T23:30:00-05:30", "2027-01-01T05:00:00.000000Z"},
                {"1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000000Z"}};
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        instant_write(instant(good[i].text), buffer);
        assert_string_equal(buffer, good[i].canonical);
    }
    static const char *const bad[] = {"2026-11-22T20:31:05",
                                      "2026-11-22 20:31:05Z",
                                      "2026-11-22T20:31:60Z",
                                      "2026-11-22T24:00:00Z",
                                      "2026-11-22T20:31Z",
                                      "2026-11-22T20:31:05.Z",
                                      "2026-11-22T20:31:05+2",
                                      "2026-11-22T20:31:05+24:00",
                                      "2026-11-22T20:31:05+02:60",
                                      "2026-11-22T20:31:05+0200",
                                      "2026-02-29T00:00:00Z",
                                      "2026-11-22T20:31:05ZZ",
                                      "1970-01-01T00:30:00+01:00",
                                      "1969-12-31T23:59:59Z",
                                      "2026-11-22T20:61:05Z",
                                      "2026-11-22T20:31:05,5Z",
                                      "2026-11-22T20:31:05.5",
                                      "2026-11-22T-1:31:05Z",
                                      "",
                                      "2026-11-22"};
    int64_t ignored;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        if (instant_parse(text_of(bad[i]), &ignored))
            fail_msg("%s was taken for an instant", bad[i]);
}

static void helsinki_keeps_summer_time(void **state) {
    (void)state;
    struct zone *helsinki = zone("Europe/Helsinki");
    static const struct {
        const char *at;
        int32_t offset_s;
    } cases[] = {{"2026-03-29T00:59:59.999999Z", 7200},  {"2026-03-29T01:00:00Z", 10800},
                 {"2026-10-25T00:59:59.999999Z", 10800}, {"2026-10-25T01:00:00Z", 7200},
                 {"1970-06-01T00:00:00Z", 7200},         {"1981-06-01T00:00:00Z", 10800},
                 {"2037-07-01T00:00:00Z", 10800},        {"2038-07-01T00:00:00Z", 10800},
                 {"2199-01-01T00:00:00Z", 7200},         {"2199-03-31T00:59:59Z", 7200},
                 {"2199-03-31T01:00:00Z", 10800},        {"2199-10-27T00:59:59Z", 10800},
                 {"2199-10-27T01:00:00Z", 7200}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        if (zone_offset_s(helsinki, instant(cases[i].at)) != cases[i].offset_s)
            fail_msg("%s: offset %d", cases[i].at, zone_offset_s(helsinki, instant(cases[i].at)));

    assert_int_equal(date_local(helsinki, instant("2026-11-22T21:59:59.999999Z")), date("2026-11-22"));
    assert_int_equal(date_local(helsinki, instant("2026-11-22T22:00:00Z")), date("2026-11-23"));
    assert_int_equal(date_local(helsinki, instant("2026-07-22T20:59:59Z")), date("2026-07-22"));
    assert_int_equal(date_local(helsinki, instant("2026-07-22T21:00:00Z")), date("2026-07-23"));
    assert_int_equal(date_begins_us(helsinki, date("2026-03-29")), instant("2026-03-28T22:00:00Z"));
    assert_int_equal(date_begins_us(helsinki, date("2026-03-30")), instant("2026-03-29T21:00:00Z"));
    assert_int_equal(date_begins_us(helsinki, date("2026-10-25")), instant("2026-10-24T21:00:00Z"));
    assert_int_equal(date_begins_us(helsinki, date("2026-10-26")), instant("2026-10-25T22:00:00Z"));
    zone_free(helsinki);
}

static void each_date_begins_where_the_one_before_ends(void **state) {
    (void)state;
    static const char *const names[] = {"Europe/Helsinki",   "UTC",
                                        "America/St_Johns",  "Pacific/Apia",
                                        "Asia/Beirut",       "America/Santiago",
                                        "Africa/Casablanca", "Australia/Lord_Howe",
                                        "Asia/Kathmandu"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        struct zone *here = zone(names[i]);
        for (int32_t day = 1; day < date("2200-01-01"); day++) {
            int64_t begins = date_begins_us(here, day);
            if (date_local(here, begins) < day || date_local(here, begins - 1) >= day)
                fail_msg("%s, day %d begins elsewhere", names[i], day);
        }
        zone_free(here);
    }
}

static void odd_zones_are_understood(void **state) {
    (void)state;
    struct zone *beirut = zone("Asia/Beirut"); /* leaps at midnight: 29 March begins at one o'clock */
    assert_int_equal(date_begins_us(beirut, date("2026-03-29")), instant("2026-03-28T22:00:00Z"));
    assert_int_equal(zone_offset_s(beirut, instant("2026-03-28T22:00:00Z")), 10800);
    zone_free(beirut);
    struct zone *apia = zone("Pacific/Apia"); /* 30 December 2011 never was */
    assert_int_equal(date_begins_us(apia, date("2011-12-30")), date_begins_us(apia, date("2011-12-31")));
    zone_free(apia);
    struct zone *dublin = zone("Europe/Dublin");
    assert_int_equal(zone_offset_s(dublin, instant("2150-07-01T00:00:00Z")), 3600);
    assert_int_equal(zone_offset_s(dublin, instant("2150-01-01T00:00:00Z")), 0);
    zone_free(dublin);
    struct zone *south = zone("Australia/Sydney");
    assert_int_equal(zone_offset_s(south, instant("2150-01-01T00:00:00Z")), 39600);
    assert_int_equal(zone_offset_s(south, instant("2150-07-01T00:00:00Z")), 36000);
    zone_free(south);
}

static void names_outside_the_database_are_refused(void **state) {
    (void)state;
    static const char *const bad[] = {"",         "/etc/passwd", "../../etc/passwd",  "Europe/Nowhere",
                                      "zone.tab", "Europe",      "Europe/Helsinki\n", "tzdata.zi"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct err err = {0};
        assert_null(zone_new(bad[i], &err));
        assert_int_equal(err.kind, FATAL);
        assert_true(err.text[0] != '\0');
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(terms_are_read_and_written),
        cmocka_unit_test(months_are_clamped_to_their_end),
        cmocka_unit_test(every_date_of_four_centuries_round_trips),
        cmocka_unit_test(impossible_dates_are_refused),
        cmocka_unit_test(years_end_and_quarters_count),
        cmocka_unit_test(instants_follow_rfc_3339),
        cmocka_unit_test(helsinki_keeps_summer_time),
        cmocka_unit_test(each_date_begins_where_the_one_before_ends),
        cmocka_unit_test(odd_zones_are_understood),
        cmocka_unit_test(names_outside_the_database_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
