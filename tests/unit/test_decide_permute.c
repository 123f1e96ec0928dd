/* Whatever the order of arrival and the batches, the same facts end in the same register, and every carrier
 * ends up knowing the same (SPEC section 5: S, O1, O3; the scenarios marked P). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/permute.h"
#include "tests/unit/trial.h"

#define EVENTS_MOST TRIAL_EVENTS_MOST
static struct fold fold;

static void all_orders(const struct event *events, size_t count) {
    trial_all_orders(&fold, events, count);
}
#define ALL_ORDERS(events) all_orders(events, sizeof(events) / sizeof((events)[0]))

static const struct shipment *shipment(const char *customer_id, const char *shipment_id) {
    const struct shipment *found = state_find_shipment(fold.rows, text_of(customer_id), text_of(shipment_id));
    assert_non_null(found);
    return found;
}

static const struct order *order_of(const char *customer_id, const char *order_id) {
    const struct order *found = state_find_order(fold.rows, text_of(customer_id), text_of(order_id));
    assert_non_null(found);
    return found;
}

static void assert_until(const struct cell *cell, const char *date) {
    int32_t expected = DATE_NONE;
    assert_true(!date || date_parse(text_of(date), &expected));
    assert_int_equal(cell->until, expected);
}

/* ---- the golden scenarios marked P that need no erasure ---- */

/* 2: a status arrives before its shipment. */
static void status_before_its_shipment(void **state) {
    (void)state;
    const struct event events[] = {
        fold_registered("e1", 0, "c1", fold_contact("Ann", "Gatan 1", "Vasa")),
        fold_placed("e2", 10, "c1", "o1", 3490),
        fold_requested("e3", 20, "c1", "o1", "s1", "posti", "2104"),
        fold_status(&fold, "e4", 30, "posti", "c1", "s1", 1, STATUS_IN_TRANSIT),
        fold_status(&fold, "e5", 60 * 24 * 3, "posti", "c1", "s1", 0, STATUS_DELIVERED),
    };
    ALL_ORDERS(events);
    assert_until(&shipment("c1", "s1")->delivery, "2026-08-05");
    assert_until(&order_of("c1", "o1")->claim, "2029-05-05");
    assert_int_equal(fold.verdicts[VERDICT_DEAD_LETTER], 0);
}

/* 3: two guests have nothing in common. */
static void two_guests(void **state) {
    (void)state;
    struct event first = fold_placed("e1", 0, "guest:O1", "O1", 100);
    struct event second = fold_placed("e2", 0, "guest:O2", "O2", 100);
    first.as.order.guest = second.as.order.guest = true;
    const struct event events[] = {first, second, fold_paid("e3", 5, "guest:O1", "O1", 100),
                                   fold_requested("e4", 6, "guest:O1", "O1", "s1", "posti", "2103"),
                                   fold_requested("e5", 6, "guest:O2", "O2", "s1", "posti", "2103")};
    ALL_ORDERS(events);
    assert_until(&order_of("guest:O1", "O1")->voucher, "2032-12-31");
    assert_until(&order_of("guest:O2", "O2")->voucher, NULL);
}

/* 4: cancelled before any shipment: nobody is told, a voucher only if paid. */
static void cancelled_before_shipping(void **state) {
    (void)state;
    const struct event unpaid[] = {fold_placed("e1", 0, "c1", "o1", 100),
                                   fold_cancelled("e2", 5, "c1", "o1")};
    ALL_ORDERS(unpaid);
    assert_int_equal(fold_count(&fold, "register.disclosure.shipment"), 0);
    assert_until(&order_of("c1", "o1")->voucher, NULL);
    const struct event paid[] = {fold_placed("e1", 0, "c1", "o1", 100), fold_cancelled("e2", 5, "c1", "o1"),
                                 fold_paid("e3", 3, "c1", "o1", 60), fold_paid("e4", 2, "c1", "o1", 40)};
    ALL_ORDERS(paid);
    assert_int_equal(fold_count(&fold, "register.disclosure.shipment"), 0);
    assert_string_equal(order_of("c1", "o1")->voucher.content.at ? "kept" : "lost", "kept");
}

/* 6: two shipments of three parcels: the clock starts with the last one, else the fallback runs. */
static void last_parcel_starts_the_clock(void **state) {
    (void)state;
    struct event first = fold_requested("e2", 10, "c1", "o1", "s1", "posti", "2104");
    struct event second = fold_requested("e3", 20, "c1", "o1", "s2", "matkahuolto", "pickup");
    first.as.shipment.parcels = 2;
    const struct event undelivered[] = {
        fold_placed("e1", 0, "c1", "o1", 100),
        first,
        second,
        fold_status(&fold, "e4", 60 * 24, "posti", "c1", "s1", 0, STATUS_DELIVERED),
        fold_status(&fold, "e5", 60 * 48, "matkahuolto", "c1", "s2", 1, STATUS_RETURN_TO_SENDER),
    };
    ALL_ORDERS(undelivered);
    assert_until(&shipment("c1", "s1")->delivery, "2026-11-02");
    assert_until(&order_of("c1", "o1")->claim, "2029-11-02");
    const struct event delivered[] = {
        fold_placed("e1", 0, "c1", "o1", 100),
        first,
        second,
        fold_status(&fold, "e4", 60 * 24, "posti", "c1", "s1", 1, STATUS_DELIVERED),
        fold_status(&fold, "e5", 60 * 24 * 2, "posti", "c1", "s1", 2, STATUS_DELIVERED),
        fold_status(&fold, "e6", 60 * 24 * 9, "matkahuolto", "c1", "s2", 1, STATUS_DELIVERED),
    };
    ALL_ORDERS(delivered);
    assert_until(&shipment("c1", "s1")->delivery, "2026-08-11");
    assert_until(&shipment("c1", "s2")->delivery, "2026-08-11");
    assert_until(&order_of("c1", "o1")->claim, "2029-05-11");
}

/* What the carrier says that had the shipment before starts no clock; what the present one says does. */
static void only_the_present_carrier_counts(void **state) {
    (void)state;
    struct event moved = fold_requested("e3", 20, "c1", "o1", "s1", "matkahuolto", "pickup");
    moved.type = SHIPMENT_CHANGED;
    const struct event events[] = {
        fold_placed("e1", 0, "c1", "o1", 100),
        fold_requested("e2", 10, "c1", "o1", "s1", "posti", "2104"),
        moved,
        fold_status(&fold, "e4", 60 * 24, "posti", "c1", "s1", 0, STATUS_DELIVERED),
        fold_status(&fold, "e5", 60 * 24 * 9, "matkahuolto", "c1", "s1", 1, STATUS_DELIVERED),
    };
    all_orders(events, 4);
    assert_until(&order_of("c1", "o1")->claim, "2029-11-02");
    ALL_ORDERS(events);
    assert_until(&order_of("c1", "o1")->claim, "2029-05-11");
}

/* 5, 7, 9, 10: exactly what the policy names; a carrier changes; an address is corrected; a return. */
static void carriers_know_what_they_need(void **state) {
    (void)state;
    struct event moved = fold_requested("e2", 10, "c1", "o1", "s1", "matkahuolto", "home");
    struct event corrected = fold_requested("e3", 20, "c1", "o1", "s1", "matkahuolto", "home");
    moved.type = corrected.type = SHIPMENT_CHANGED;
    corrected.as.shipment.consignee = fold_contact("Rut", "Nya gatan 9", "Vasa");
    struct event gift = fold_requested("e4", 30, "c1", "o1", "s2", "posti", "2103");
    gift.as.shipment.recipient_id = TEXT("r1");
    const struct event events[] = {
        fold_requested("e1", 0, "c1", "o1", "s1", "posti", "2103"),
        moved,
        corrected,
        gift,
        fold_requested("e5", 40, "c1", "o1", "s3", "posti", "return"),
        fold_shipment_cancelled("e6", 50, "c1", "o1", "s2"),
    };
    ALL_ORDERS(events);
    assert_true(state_find_person(fold.rows, TEXT("recipient:r1"), GENERATION_FIRST)->opened);
    assert_false(state_find_person(fold.rows, TEXT("c1"), GENERATION_FIRST)->opened);
}

/* 13, as far as it goes: the oss row of a sale abroad. */
static void sale_abroad(void **state) {
    (void)state;
    struct event abroad = fold_requested("e3", 20, "c1", "o1", "s1", "posti", "2103");
    abroad.as.shipment.consignee.field[COUNTRY] = TEXT("SE");
    abroad.as.shipment.consignee.stated[COUNTRY] = true;
    struct event home = fold_requested("e4", 5, "c1", "o2", "s1", "posti", "2103");
    const struct event events[] = {
        fold_placed("e1", 0, "c1", "o1", 3490),
        fold_paid("e2", 10, "c1", "o1", 3490),
        abroad,
        home,
        fold_requested("e5", 25, "c1", "o1", "s2", "posti", "2103"),
        fold_shipment_cancelled("e6", 50, "c1", "o1", "s1"),
    };
    ALL_ORDERS(events);
    assert_until(&order_of("c1", "o1")->oss, "2036-12-31");
    struct text content = order_of("c1", "o1")->oss.content;
    assert_true(
        text_is(content, "{\"country\":\"SE\",\"date\":\"2026-05-02\",\"order_id\":\"o1\",\"total\":3490}"));
}

/* 26: partial changes and ties of one customer. */
static void partial_changes(void **state) {
    (void)state;
    const struct event events[] = {
        fold_registered("e1", 10, "c1", fold_contact("Ann", "Gatan 1", "Vasa")),
        fold_changed("e2", 20, "c1", STREET, "Gatan 2"),
        fold_changed("e3", 20, "c1", STREET, NULL),
        fold_changed("e4", 5, "c1", PHONE, "+358500000000"),
        fold_changed("e5", 30, "c1", FIRST_NAME, "Anna"),
        fold_registered("e6", 15, "c1", fold_contact("Anni", "Gatan 3", "Åbo")),
    };
    ALL_ORDERS(events);
}

/* ---- every built type with every other ---- */

static size_t catalogue(struct event *events) {
    size_t count = 0;
    struct event event;
    events[count++] = fold_registered("k1", 10, "c1", fold_contact("Ann", "Gatan 1", "Vasa"));
    events[count++] = fold_registered("k2", 12, "c1", fold_contact("Anna", "Gatan 2", "Vasa"));
    events[count++] = fold_changed("k3", 11, "c1", CITY, "Åbo");
    events[count++] = fold_changed("k4", 12, "c1", EMAIL, NULL);
    event = fold_fact(CUSTOMER_SEEN, "k5", 60 * 24 * 40, "");
    event.customer_id = TEXT("c1");
    events[count++] = event;
    event = fold_fact(CUSTOMER_CLOSED, "k6", 60 * 24 * 50, "");
    event.customer_id = TEXT("c1");
    events[count++] = event;
    events[count++] = fold_placed("o1", 20, "c1", "o1", 3490);
    event = fold_placed("o2", 25, "c1", "o1", 2000);
    event.type = ORDER_CHANGED;
    event.as.order.line_count = 1;
    events[count++] = event;
    events[count++] = fold_paid("o3", 30, "c1", "o1", 3000);
    events[count++] = fold_paid("o4", 60 * 24 * 300, "c1", "o1", 490);
    events[count++] = fold_paid("o3", 31, "c1", "o1", 3001); /* the same id with other data */
    events[count++] = fold_cancelled("o5", 15, "c1", "o1");
    events[count++] = fold_requested("s1", 40, "c1", "o1", "s1", "posti", "2103");
    event = fold_requested("s2", 50, "c1", "o1", "s1", "posti", "2104");
    event.type = SHIPMENT_CHANGED;
    events[count++] = event;
    event.version.id = TEXT("s3");
    event.version.time_us += 60000000;
    event.as.shipment.consignee = fold_contact("Rut", "Annan väg 3", "Vasa");
    event.as.shipment.parcels = 2;
    events[count++] = event;
    event.version.id = TEXT("s4");
    event.version.time_us += 60000000;
    event.as.shipment.carrier = TEXT("matkahuolto");
    event.as.shipment.service = TEXT("home");
    event.as.shipment.order_id = TEXT("o2");
    events[count++] = event;
    event.version.id = TEXT("s5");
    event.as.shipment.recipient_id = TEXT("r1");
    event.as.shipment.order_id = TEXT("o1");
    events[count++] = event;
    events[count++] = fold_shipment_cancelled("s6", 70, "c1", "o1", "s1");
    event = fold_requested("s7", 45, "c1", "o1", "s2", "posti", "2103");
    event.as.shipment.consignee.field[COUNTRY] = TEXT("SE");
    events[count++] = event;
    events[count++] = fold_requested("s8", 46, "c1", "o1", "s3", "posti", "return");
    events[count++] =
        fold_requested("s9", 70, "c1", "o1", "s1", "posti", "2103"); /* back to the first unit */
    events[count++] = fold_status(&fold, "d1", 90, "posti", "c1", "s1", 1, STATUS_DELIVERED);
    events[count++] = fold_status(&fold, "d2", 80, "posti", "c1", "s1", 0, STATUS_DELIVERED);
    events[count++] = fold_status(&fold, "d3", 85, "matkahuolto", "c1", "s1", 0, STATUS_DELIVERED);
    events[count++] = fold_status(&fold, "d4", 95, "posti", "c1", "s2", 0, STATUS_DELIVERED);
    events[count++] = fold_status(&fold, "d5", 85, "posti", "c1", "s1", 0, STATUS_FAILURE);
    events[count++] = fold_status(&fold, "d6", 99, "posti", "c1", "s3", 1, STATUS_DELIVERED);
    return count;
}

static void every_pair_and_triple(void **state) {
    (void)state;
    struct event all[EVENTS_MOST];
    size_t count = catalogue(all);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = i + 1; j < count; j++) {
            for (size_t k = j; k < count; k++) {
                const struct event events[] = {all[i], all[j], all[k]};
                struct trial trial = {.fold = &fold, .events = events, .batch = 1};
                arena_init(&trial.arena, 1 << 22);
                permute_all(k == j ? 2 : 3, trial_order, &trial);
                arena_release(&trial.arena);
            }
        }
    }
}

/* More of them at once, in random orders and batches. */
static void random_histories(void **state) {
    (void)state;
    struct event all[EVENTS_MOST], events[EVENTS_MOST];
    size_t count = catalogue(all), chosen[EVENTS_MOST], order[EVENTS_MOST];
    uint64_t seed = 20261122;
    for (size_t round = 0; round < 500; round++) {
        size_t taken = 4 + permute_random(&seed) % (count - 4);
        struct trial trial = {.fold = &fold, .events = events};
        for (size_t i = 0; i < count; i++)
            chosen[i] = i;
        permute_shuffle(&seed, chosen, count);
        for (size_t i = 0; i < taken; i++) {
            events[i] = all[chosen[i]];
            order[i] = i;
        }
        arena_init(&trial.arena, 1 << 22);
        for (size_t again = 0; again < 6; again++) {
            trial.batch = 1 + permute_random(&seed) % taken;
            trial_order(&trial, order, taken);
            permute_shuffle(&seed, order, taken);
        }
        arena_release(&trial.arena);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_before_its_shipment),
        cmocka_unit_test(two_guests),
        cmocka_unit_test(cancelled_before_shipping),
        cmocka_unit_test(last_parcel_starts_the_clock),
        cmocka_unit_test(only_the_present_carrier_counts),
        cmocka_unit_test(carriers_know_what_they_need),
        cmocka_unit_test(sale_abroad),
        cmocka_unit_test(partial_changes),
        cmocka_unit_test_teardown(every_pair_and_triple, trial_explain),
        cmocka_unit_test_teardown(random_histories, trial_explain),
    };
    fold_init(&fold);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fold_release(&fold);
    return failed;
}
