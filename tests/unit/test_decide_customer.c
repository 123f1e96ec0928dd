/* Customers' and orders' own events: what is kept, until when, what may be seen, and what is dropped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/fold.h"

static struct fold fold;

static int begin(void **state) {
    (void)state;
    fold_reset(&fold);
    return 0;
}

static const struct person *person(const char *id) {
    const struct person *found = state_find_person(fold.rows, text_of(id), GENERATION_FIRST);
    assert_non_null(found);
    return found;
}

static const struct order *order(const char *order_id) {
    const struct order *found = state_find_order(fold.rows, TEXT("c1"), text_of(order_id));
    assert_non_null(found);
    return found;
}

static void assert_content(const struct cell *cell, const char *expected) {
    if (!text_is(cell->content, expected))
        fail_msg("content is %.*s, not %s", TEXT_ARGS(cell->content), expected);
}

static struct event about(enum event_type type, const char *id, int64_t minute) {
    struct event event = fold_fact(type, id, minute, "");
    event.customer_id = TEXT("c1");
    return event;
}

/* Golden 1: the profile is stored, nobody is told. */
static void a_registration_is_kept(void **state) {
    (void)state;
    struct event event = fold_registered("e1", 0, "c1", fold_contact("Ann", "Gatan 1", "Vasa"));
    assert_int_equal(fold_event(&fold, &event), VERDICT_APPLIED);
    assert_int_equal(fold.outputs.count, fold_count(&fold, "register.marketing.permission"));
    assert_true(person("c1")->opened);
    assert_int_equal(person("c1")->profile.until, date_of(2028, 5, 2));
    assert_content(
        &person("c1")->profile,
        "{\"city\":\"Vasa\",\"email\":\"kundtjänst@jerone.fi\",\"first_name\":\"Ann\",\"last_name\":"
        "\"Öhman \\\"Ö\\\"\",\"phone\":\"+358401234567\",\"postcode\":\"33700\",\"street\":\"Gatan 1\"}");
}

/* Naming one part of the address states all four. */
static void an_address_is_one_thing(void **state) {
    (void)state;
    struct event event = fold_registered("e1", 0, "c1", fold_contact("Ann", "Gatan 1", "Vasa"));
    fold_event(&fold, &event);
    event = fold_changed("e2", 5, "c1", CITY, "Åbo");
    fold_event(&fold, &event);
    assert_content(
        &person("c1")->profile,
        "{\"city\":\"Åbo\",\"email\":\"kundtjänst@jerone.fi\",\"first_name\":\"Ann\",\"last_name\":"
        "\"Öhman \\\"Ö\\\"\",\"phone\":\"+358401234567\"}");
}

/* Kept unseen until a registration comes; an order of his is another matter. */
static void a_change_waits_for_its_registration(void **state) {
    (void)state;
    struct event changed = fold_changed("e2", 5, "c1", FIRST_NAME, "Anna");
    struct event placed = fold_placed("e3", 2, "c1", "o1", 100);
    assert_int_equal(fold_event(&fold, &changed), VERDICT_APPLIED);
    assert_false(person("c1")->opened);
    assert_int_equal(person_last_activity(person("c1")), TIME_NONE);
    assert_null(strstr(fold_dump(&fold).at, "Anna"));
    fold_event(&fold, &placed);
    assert_int_equal(person_last_activity(person("c1")), placed.version.time_us);
    struct event registered = fold_registered("e1", 0, "c1", fold_contact("Ann", "Gatan 1", "Vasa"));
    fold_event(&fold, &registered);
    assert_int_equal(person_last_activity(person("c1")), changed.version.time_us);
    assert_non_null(strstr(fold_dump(&fold).at, "Anna"));
}

/* Among equal times the choice that lets go of more stands. */
static void a_null_wins_a_tie(void **state) {
    (void)state;
    struct event event = fold_registered("e1", 0, "c1", fold_contact("Ann", "Gatan 1", "Vasa"));
    fold_event(&fold, &event);
    event = fold_changed("e2", 5, "c1", PHONE, NULL);
    fold_event(&fold, &event);
    event = fold_changed("e9", 5, "c1", PHONE, "+358500000000");
    event.version.sequence = TEXT("99");
    fold_event(&fold, &event);
    assert_null(strstr(fold_dump(&fold).at, "+358500000000"));
}

static void closing_needs_a_registration(void **state) {
    (void)state;
    struct event closed = about(CUSTOMER_CLOSED, "e2", 50);
    assert_int_equal(fold_event(&fold, &closed), VERDICT_FORGOTTEN);
    assert_int_equal(fold.rows_written, 0);
    assert_int_equal(fold.verdicts[VERDICT_FORGOTTEN], 1);
    struct event event = fold_registered("e1", 60, "c1", fold_contact("Ann", "Gatan 1", "Vasa"));
    fold_event(&fold, &event);
    assert_int_equal(fold_event(&fold, &closed), VERDICT_FORGOTTEN); /* registered later than that */
    event = about(CUSTOMER_CLOSED, "e3", 90);
    assert_int_equal(fold_event(&fold, &event), VERDICT_APPLIED);
    event = about(CUSTOMER_CLOSED, "e4", 70);
    assert_int_equal(fold_event(&fold, &event), VERDICT_APPLIED); /* an earlier cut takes its place */
    const struct person *guard = person("c1");
    assert_int_equal(guard->facts.cuts.count, 2);
    assert_true(guard->facts.cuts.at[0].valid);
    assert_false(guard->facts.cuts.at[1].valid); /* nobody had registered between the two */
    assert_int_equal(guard->profile.until, DATE_NONE);
}

/* Activity moves the profile's end across quarters without its content being opened. */
static void activity_extends_the_profile(void **state) {
    (void)state;
    struct event event = fold_registered("e1", 0, "c1", fold_contact("Ann", "Gatan 1", "Vasa"));
    fold_event(&fold, &event);
    event = about(CUSTOMER_SEEN, "e2", 60 * 24 * 100);
    fold_event(&fold, &event);
    assert_int_equal(person("c1")->profile.until, date_of(2028, 8, 10));
    event = fold_placed("e3", 60 * 24 * 200, "c1", "o1", 100);
    fold_event(&fold, &event);
    assert_int_equal(person("c1")->profile.until, date_of(2028, 11, 18));
}

static void a_voucher_begins_with_a_payment(void **state) {
    (void)state;
    struct event paid = fold_paid("p1", 10, "c1", "o1", 3000);
    fold_event(&fold, &paid);
    assert_content(
        &order("o1")->voucher,
        "{\"date\":\"2026-05-02\",\"order_id\":\"o1\",\"payments\":[{\"amount\":3000,\"currency\":\"EUR\","
        "\"id\":\"p1\",\"source\":\"urn:shop\",\"time\":\"2026-05-02T07:10:00.000000Z\"}]}");
    assert_int_equal(order("o1")->voucher.until, date_of(2032, 12, 31));
    assert_int_equal(order("o1")->version.time_us, VERSION_NONE); /* a stub */
    struct event placed = fold_placed("e1", 0, "c1", "o1", 3490);
    fold_event(&fold, &placed);
    struct event earlier = fold_paid("p0", -60 * 24 * 130, "c1", "o1", 490);
    fold_event(&fold, &earlier);
    assert_content(
        &order("o1")->voucher,
        "{\"currency\":\"EUR\",\"date\":\"2025-12-23\",\"lines\":[{\"name\":\"Skor\",\"price\":2490,"
        "\"quantity\":1,\"sku\":\"SKU-1\"},{\"price\":500,\"product_class\":\"shoes\",\"quantity\":2,\"sku\":"
        "\"SKU-2\"}],\"order_id\":\"o1\",\"payments\":[{\"amount\":490,\"currency\":\"EUR\",\"id\":\"p0\","
        "\"source\":\"urn:shop\",\"time\":\"2025-12-23T07:00:00.000000Z\"},{\"amount\":3000,\"currency\":"
        "\"EUR\",\"id\":\"p1\",\"source\":\"urn:shop\",\"time\":\"2026-05-02T07:10:00.000000Z\"}],\"total\":"
        "3490}");
    assert_int_equal(order("o1")->voucher.until, date_of(2031, 12, 31));
    assert_int_equal(order("o1")->claim.until,
                     date_of(2029, 6, 23)); /* the fallback runs from the first fact */
}

static void the_same_id_with_other_data_is_counted(void **state) {
    (void)state;
    struct event paid = fold_paid("p1", 10, "c1", "o1", 3000), again = fold_paid("p1", 11, "c1", "o1", 2999);
    fold_event(&fold, &paid);
    fold_event(&fold, &paid);
    assert_int_equal(fold.second_facts, 0);
    fold_event(&fold, &again);
    assert_int_equal(fold.second_facts, 1);
    assert_int_equal(order("o1")->payments.count, 1);
    assert_non_null(strstr(fold_dump(&fold).at, "2999"));
    assert_null(strstr(fold_dump(&fold).at, "3000,"));
}

static void a_lone_cancel_makes_a_row(void **state) {
    (void)state;
    struct event event = fold_shipment_cancelled("e1", 5, "c1", "o1", "s1");
    fold_event(&fold, &event);
    const struct shipment *shipment = state_find_shipment(fold.rows, TEXT("c1"), TEXT("s1"));
    assert_non_null(shipment);
    assert_true(shipment_closed(shipment));
    assert_null(state_find_order(fold.rows, TEXT("c1"), TEXT("o1")));
    event = fold_requested("e2", 9, "c1", "o1", "s1", "posti", "2103");
    fold_event(&fold, &event);
    assert_int_equal(fold.outputs.count, 0);
}

/* An order that is cancelled leaves its shipments alone. */
static void orders_do_not_recall_shipments(void **state) {
    (void)state;
    struct event event = fold_requested("e1", 0, "c1", "o1", "s1", "posti", "2103");
    fold_event(&fold, &event);
    event = fold_cancelled("e2", 5, "c1", "o1");
    fold_event(&fold, &event);
    assert_int_equal(fold.outputs.count, 1);
    assert_int_equal(order("o1")->cancelled_us, event.version.time_us);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_registration_is_kept, begin),
        cmocka_unit_test_setup(an_address_is_one_thing, begin),
        cmocka_unit_test_setup(a_change_waits_for_its_registration, begin),
        cmocka_unit_test_setup(a_null_wins_a_tie, begin),
        cmocka_unit_test_setup(closing_needs_a_registration, begin),
        cmocka_unit_test_setup(activity_extends_the_profile, begin),
        cmocka_unit_test_setup(a_voucher_begins_with_a_payment, begin),
        cmocka_unit_test_setup(the_same_id_with_other_data_is_counted, begin),
        cmocka_unit_test_setup(a_lone_cancel_makes_a_row, begin),
        cmocka_unit_test_setup(orders_do_not_recall_shipments, begin),
    };
    fold_init(&fold);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fold_release(&fold);
    return failed;
}
