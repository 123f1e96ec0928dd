/* The table of event types, the names of parts, the order of versions, keyed digests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/digest.h"
#include "core/err.h"
#include "core/event.h"
#include "core/iso.h"
#include <string.h>

static void every_type_reason_and_part_has_its_name(void **state) {
    (void)state;
    for (int a = 0; a < EVENT_TYPES; a++) {
        assert_non_null(event_infos[a].name);
        for (int b = 0; b < a; b++) {
            assert_string_not_equal(event_infos[a].name, event_infos[b].name);
        }
        assert_int_equal(event_infos[a].topic == NULL, a >= EVENT_INPUT_TYPES);
    }
    for (int i = 0; i < REASONS; i++) {
        assert_non_null(reason_names[i]);
    }
    assert_string_equal(reason_names[26], "not_supported"); /* numbered as in SEMANTICS.md */
    assert_string_equal(reason_names[29], "refused_by_database");
    for (int i = 0; i < DELIVERY_STATUSES; i++) {
        assert_non_null(delivery_status_names[i]);
    }
    assert_string_equal(delivery_status_names[7], "cancelled");
    assert_string_equal(delivery_status_names[9], "delivered");
    for (int i = 0; i < CONTACT_FIELDS; i++) {
        assert_non_null(contact_field_names[i]);
    }
    for (int i = 0; i < ACK_OUTCOMES; i++) {
        assert_non_null(ack_outcome_names[i]);
    }
}

/* Ascending: each differs from the one before in one member, the first that versions are compared by. */
static void versions_have_one_order(void **state) {
    (void)state;
    const struct version ascending[] = {
        {.time_us = VERSION_NONE},
        {.time_us = 0, .source = TEXT("z"), .id = TEXT("z")},
        {.time_us = 1, .source = TEXT("z"), .id = TEXT("z")},
        {.time_us = 1, .sequence = TEXT("0"), .source = TEXT("a"), .id = TEXT("a")},
        {.time_us = 1, .sequence = TEXT("9"), .source = TEXT("a"), .id = TEXT("a")},
        {.time_us = 1, .sequence = TEXT("10"), .source = TEXT("a"), .id = TEXT("a")},
        {.time_us = 1, .sequence = TEXT("18446744073709551615"), .source = TEXT("a"), .id = TEXT("a")},
        {.time_us = 1, .sequence = TEXT("99999999999999999999"), .source = TEXT("a"), .id = TEXT("a")},
        {.time_us = 1, .protective = true, .source = TEXT("a"), .id = TEXT("a")},
        {.time_us = 1, .protective = true, .source = TEXT("a"), .id = TEXT("b")},
        {.time_us = 1, .protective = true, .source = TEXT("aa"), .id = TEXT("a")},
        {.time_us = 1, .protective = true, .source = TEXT("b"), .id = TEXT("a")},
        {.time_us = 1, .protective = true, .source = TEXT("b"), .id = TEXT("a"), .digest = {[15] = 1}},
        {.time_us = 1, .protective = true, .source = TEXT("b"), .id = TEXT("a"), .digest = {0xff}},
        {.time_us = 2, .source = TEXT("a"), .id = TEXT("a")},
    };
    const int count = sizeof(ascending) / sizeof(*ascending);
    for (int a = 0; a < count; a++) {
        for (int b = 0; b < count; b++) {
            int order = version_compare(&ascending[a], &ascending[b]);
            assert_int_equal((order > 0) - (order < 0), (a > b) - (a < b));
        }
    }
    const struct version none = {.time_us = VERSION_NONE, .source = TEXT("x"), .digest = {1}};
    assert_int_equal(version_compare(&none, &ascending[0]), 0);
}

static void digests_hang_on_key_and_text(void **state) {
    (void)state;
    const uint8_t key[DIGEST_KEY_BYTES] = {1}, other_key[DIGEST_KEY_BYTES] = {2};
    uint8_t a[16], b[16], c[16], again[16];
    digest_keyed(key, TEXT("text"), a, sizeof(a));
    digest_keyed(key, TEXT("text"), again, sizeof(again));
    digest_keyed(key, TEXT("texu"), b, sizeof(b));
    digest_keyed(other_key, TEXT("text"), c, sizeof(c));
    assert_memory_equal(a, again, sizeof(a));
    assert_memory_not_equal(a, b, sizeof(a));
    assert_memory_not_equal(a, c, sizeof(a));
}

static void codes_are_the_standards(void **state) {
    (void)state;
    assert_true(iso_country(TEXT("AD")));
    assert_true(iso_country(TEXT("FI")));
    assert_true(iso_country(TEXT("AX")));
    assert_true(iso_country(TEXT("ZW")));
    assert_false(iso_country(TEXT("fi")));
    assert_false(iso_country(TEXT("XX")));
    assert_false(iso_country(TEXT("D ")));
    assert_false(iso_country(TEXT("FIN")));
    assert_false(iso_country(TEXT("")));
    assert_true(iso_currency(TEXT("AED")));
    assert_true(iso_currency(TEXT("EUR")));
    assert_true(iso_currency(TEXT("ZWG")));
    assert_false(iso_currency(TEXT("FIM")));
    assert_false(iso_currency(TEXT("eur")));
    assert_false(iso_currency(TEXT("EU ")));
}

static void an_error_is_one_line(void **state) {
    (void)state;
    struct err err;
    assert_int_equal(err_set(&err, FENCED, 7, "lost %d\n", 3), FENCED);
    assert_int_equal(err.code, 7);
    assert_string_equal(err.text, "lost 3 ");
    assert_string_equal(err.sqlstate, "");
    assert_int_equal(err_set(NULL, RETRY, 0, "nobody listens"), RETRY);
    assert_string_equal(outcome_name(POISON), "poison");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_reason_and_part_has_its_name),
        cmocka_unit_test(versions_have_one_order),
        cmocka_unit_test(digests_hang_on_key_and_text),
        cmocka_unit_test(codes_are_the_standards),
        cmocka_unit_test(an_error_is_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
