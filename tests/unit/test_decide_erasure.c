/* Cuts, generations and the act of erasure: whatever the order of arrival, the same is gone, the same is
 * kept, and whoever was told is told (SEMANTICS.md, Cuts and generations; golden 3, 8, 11, 14, 16, 17; nasty
 * 23). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/permute.h"
#include "tests/unit/trial.h"

#define DAY (INT64_C(24) * 60)
#define ANONYMIZED "register.customer.anonymized"
#define ANONYMIZE "register.notice.anonymize"
#define STATUS "register.request.status"
static struct fold fold;

#define ALL_ORDERS(events) trial_all_orders(&fold, events, sizeof(events) / sizeof((events)[0]))

static void fold_all(const struct event *events, size_t count) {
    fold_reset(&fold);
    for (size_t i = 0; i < count; i++)
        fold_event(&fold, &events[i]);
}
#define FOLD(events) fold_all(events, sizeof(events) / sizeof((events)[0]))

static int64_t at(int64_t minute) {
    return fold_fact(CUSTOMER_SEEN, "x", minute, "").version.time_us;
}

static const struct person *row(const char *person, int64_t generation) {
    const struct person *found = state_find_person(fold.rows, text_of(person), generation);
    assert_non_null(found);
    return found;
}

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

static const struct request *request(const char *request_id) {
    const struct request *found = state_find_request(fold.rows, text_of(request_id));
    assert_non_null(found);
    return found;
}

static void assert_body(const struct output *output, const char *part) {
    if (!strstr(output->body.at, part))
        fail_msg("not in %.*s", TEXT_ARGS(output->body));
}

static struct event registered(const char *id, int64_t minute) {
    return fold_registered(id, minute, "c1", fold_contact("Ann", "Gatan 1", "Vasa"));
}

/* ---- the golden scenarios ---- */

/* 3: two guests; erasing one leaves the other as it was. */
static void one_guest_erased(void **state) {
    (void)state;
    struct event first = fold_placed("e1", 0, "guest:O1", "O1", 100);
    struct event second = fold_placed("e2", 0, "guest:O2", "O2", 100);
    first.as.order.guest = second.as.order.guest = true;
    const struct event events[] = {first, second, fold_paid("e3", 5, "guest:O1", "O1", 100),
                                   fold_requested("e5", 6, "guest:O2", "O2", "s1", "posti", "2103"),
                                   fold_asked("e6", 10, "r1", "guest:O1", "clerk")};
    ALL_ORDERS(events);
    assert_int_equal(fold_count(&fold, ANONYMIZED), 1);
    assert_body(fold_output(&fold, ANONYMIZED, 0),
                "\"category\":\"voucher\",\"ground\":\"17(3)(b)\",\"until\":\"2032-12-31\"");
    assert_false(row("guest:O2", GENERATION_FIRST)->ended);
    assert_int_equal(shipment("guest:O2", "s1")->erasure, SHIPMENT_KEPT);
}

/* 8: a gift's consignee is forgotten, the buyer's order is not. */
static void gift_consignee(void **state) {
    (void)state;
    struct event gift = fold_requested("e3", 20, "c1", "o1", "s1", "posti", "2103");
    gift.as.shipment.recipient_id = TEXT("r1");
    const struct event events[] = {
        registered("e1", 0),
        fold_placed("e2", 10, "c1", "o1", 3490),
        gift,
        fold_status(&fold, "e4", DAY, "posti", "c1", "s1", 1, STATUS_DELIVERED),
        fold_asked("e5", 2 * DAY, "q1", "recipient:r1", "clerk"),
    };
    ALL_ORDERS(events);
    assert_int_equal(shipment("c1", "s1")->delivery.until, DATE_NONE);
    assert_int_not_equal(order_of("c1", "o1")->claim.until, DATE_NONE);
    assert_int_not_equal(row("c1", GENERATION_FIRST)->profile.until, DATE_NONE);
    assert_int_equal(fold_count(&fold, ANONYMIZE), 1);
    assert_string_equal(row("recipient:r1", GENERATION_FIRST)->ended ? "ended" : "lives", "ended");
    assert_body(fold_output(&fold, ANONYMIZED, 0),
                "\"customer_id\":\"recipient:r1\",\"erased\":[\"delivery\"]");
}

/* 11: under way; the profile goes now, delivery waits and then goes unasked; one notice a holder. */
static void under_way(void **state) {
    (void)state;
    const struct event events[] = {
        registered("e1", 0),
        fold_placed("e2", 10, "c1", "o1", 3490),
        fold_requested("e3", 20, "c1", "o1", "s1", "posti", "2103"),
        fold_asked("e4", DAY, "q1", "c1", "account"),
        fold_status(&fold, "e5", 3 * DAY, "posti", "c1", "s1", 1, STATUS_DELIVERED),
    };
    FOLD(events);
    assert_int_equal(fold_count(&fold, ANONYMIZED), 2);
    assert_body(fold_output(&fold, ANONYMIZED, 0),
                "\"complete\":false,\"customer_id\":\"c1\",\"erased\":[\"profile\"]");
    assert_body(fold_output(&fold, ANONYMIZED, 0),
                "\"waiting\":[{\"category\":\"delivery\",\"event\":\"parcels_closed\"}]");
    assert_body(fold_output(&fold, ANONYMIZED, 1),
                "\"complete\":true,\"customer_id\":\"c1\",\"erased\":[\"profile\",\"delivery\"]");
    assert_int_equal(fold_count(&fold, ANONYMIZE), 1);
    assert_int_equal(fold_count(&fold, STATUS), 2);
    assert_body(fold_output(&fold, STATUS, 0),
                "{\"due\":\"2026-06-03\",\"request_id\":\"q1\",\"state\":\"open\"}");
    assert_body(fold_output(&fold, STATUS, 1), "\"state\":\"done\"");
    assert_int_equal(fold_count(&fold, "register.subject.erased"), 2);
    ALL_ORDERS(events);
    assert_int_equal(request("q1")->state, REQUEST_DONE);
    assert_int_equal(request("q1")->until, date_of(2029, 5, 5));
}

/* 16, 17, nasty 23: all orders of the whole life of a customer. */
static void whole_life(void **state) {
    (void)state;
    const struct event events[] = {
        registered("e1", 0),
        fold_placed("e2", 10, "c1", "o1", 3490),
        fold_paid("e3", 20, "c1", "o1", 3490),
        fold_requested("e4", 30, "c1", "o1", "s1", "posti", "2103"),
        fold_status(&fold, "e5", 3 * DAY, "posti", "c1", "s1", 1, STATUS_DELIVERED),
        fold_asked("e6", DAY, "q1", "c1", "account"),
        fold_registered("e7", 2 * DAY, "c1", fold_contact("Annika", "Nya gatan 2", "Vasa")),
    };
    ALL_ORDERS(events);
    assert_true(row("c1", GENERATION_FIRST)->ended);
    assert_int_not_equal(row("c1", at(DAY))->profile.until, DATE_NONE);
    assert_non_null(strstr(fold_dump(&fold).at, "Annika"));
    assert_null(strstr(fold_dump(&fold).at, "Gatan 1"));
    assert_int_equal(order_of("c1", "o1")->generation, GENERATION_FIRST);
    assert_int_not_equal(order_of("c1", "o1")->voucher.until, DATE_NONE);
    assert_int_equal(shipment("c1", "s1")->delivery.until, DATE_NONE);
}

/* The same with an order and a parcel of the new generation. */
static void new_life(void **state) {
    (void)state;
    const struct event events[] = {
        registered("e1", 0),
        fold_requested("e4", 30, "c1", "o1", "s1", "posti", "2103"),
        fold_asked("e6", DAY, "q1", "c1", "account"),
        fold_placed("e8", 2 * DAY, "c1", "o2", 100),
        fold_requested("e9", 2 * DAY + 1, "c1", "o2", "s2", "posti", "2103"),
        fold_paid("e3", 3 * DAY, "c1", "o1", 3490),
        fold_status(&fold, "e5", 4 * DAY, "posti", "c1", "s2", 1, STATUS_DELIVERED),
    };
    ALL_ORDERS(events);
    assert_int_equal(shipment("c1", "s1")->erasure, SHIPMENT_WAITS);
    assert_int_equal(shipment("c1", "s2")->erasure, SHIPMENT_KEPT);
    assert_int_equal(shipment("c1", "s2")->generation, at(DAY));
    assert_int_equal(order_of("c1", "o2")->generation, at(DAY));
    assert_true(row("c1", at(DAY))->opened);
    assert_false(text_present(row("c1", at(DAY))->kind));
}

/* 17: changed and seen are dropped after the cut, whenever they arrive, until he registers again. */
static void changed_after_the_cut(void **state) {
    (void)state;
    const struct event events[] = {
        registered("e1", 0),
        fold_changed("e2", 5, "c1", PHONE, "+358500000000"),
        fold_asked("e3", DAY, "q1", "c1", "account"),
        fold_changed("e4", 2 * DAY, "c1", CITY, "Åbo"),
        fold_about(CUSTOMER_SEEN, "e5", 3 * DAY, "c1"),
        fold_registered("e6", 4 * DAY, "c1", fold_contact("Annika", "Nya gatan 2", "Vasa")),
        fold_changed("e7", 5 * DAY, "c1", FIRST_NAME, "Anna"),
    };
    ALL_ORDERS(events);
    assert_int_equal(row("c1", at(DAY))->profile_activity_us, at(5 * DAY));
    fold_reset(&fold);
    fold_event(&fold, &events[0]);
    fold_event(&fold, &events[2]);
    fold_event(&fold, &events[3]);
    assert_int_equal(fold.verdicts[VERDICT_FORGOTTEN], 1);
    assert_int_equal(fold.rows_written, 0);
    assert_null(state_find_person(fold.rows, TEXT("c1"), at(DAY)));
}

/* ---- several cuts ---- */

static void two_erasures(void **state) {
    (void)state;
    const struct event events[] = {
        registered("e1", 0),
        fold_requested("e2", 10, "c1", "o1", "s1", "posti", "2103"),
        fold_asked("e3", DAY, "q1", "c1", "account"),
        fold_registered("e4", 2 * DAY, "c1", fold_contact("Annika", "Nya gatan 2", "Vasa")),
        fold_requested("e5", 2 * DAY + 5, "c1", "o2", "s2", "matkahuolto", "home"),
        fold_asked("e6", 3 * DAY, "q2", "c1", "account"),
        fold_status(&fold, "e7", 4 * DAY, "matkahuolto", "c1", "s2", 1, STATUS_DELIVERED),
    };
    ALL_ORDERS(events);
    assert_int_equal(request("q1")->state, REQUEST_OPEN);
    assert_int_equal(request("q2")->state, REQUEST_OPEN);
    assert_int_equal(shipment("c1", "s2")->generation, at(DAY));
}

static void closed_and_erased(void **state) {
    (void)state;
    const struct event taken_away[] = {
        registered("e1", 0),
        fold_placed("e2", 10, "c1", "o1", 100),
        fold_asked("e3", DAY, "q1", "c1", "account"),
        fold_about(CUSTOMER_CLOSED, "e4", 2 * DAY, "c1"),
        fold_placed("e5", 3 * DAY, "c1", "o2", 100),
        fold_requested("e6", 3 * DAY, "c1", "o2", "s2", "posti", "2103"),
    };
    ALL_ORDERS(taken_away);
    assert_int_equal(order_of("c1", "o2")->generation, at(DAY));
    const struct event both[] = {
        registered("e1", 0),
        fold_about(CUSTOMER_CLOSED, "e4", DAY, "c1"),
        fold_requested("e6", DAY + 5, "c1", "o2", "s2", "posti", "2103"),
        fold_asked("e3", 2 * DAY, "q1", "c1", "account"),
        fold_registered("e7", 3 * DAY, "c1", fold_contact("Annika", "Nya gatan 2", "Vasa")),
        fold_about(CUSTOMER_CLOSED, "e8", 4 * DAY, "c1"),
    };
    ALL_ORDERS(both);
    assert_int_equal(shipment("c1", "s2")->erasure, SHIPMENT_WAITS);
    assert_int_equal(shipment("c1", "s2")->generation, at(DAY));
    const struct event equal[] = {
        registered("e1", 0),
        fold_about(CUSTOMER_CLOSED, "e4", DAY, "c1"),
        fold_asked("e3", DAY, "q1", "c1", "account"),
        fold_requested("e6", 5, "c1", "o2", "s2", "posti", "2103"),
    };
    ALL_ORDERS(equal);
    assert_int_equal(row("c1", GENERATION_FIRST)->facts.cuts.at[0].cause, CUT_REQUEST);
}

/* Closing leaves parcels alone, and tells no carrier. */
static void closing_tells_no_carrier(void **state) {
    (void)state;
    const struct event events[] = {
        registered("e1", 0),
        fold_placed("e2", 10, "c1", "o1", 100),
        fold_requested("e3", 20, "c1", "o1", "s1", "posti", "2103"),
        fold_about(CUSTOMER_CLOSED, "e4", DAY, "c1"),
    };
    ALL_ORDERS(events);
    assert_int_equal(fold_count(&fold, ANONYMIZE), 0);
    assert_int_not_equal(shipment("c1", "s1")->delivery.until, DATE_NONE);
    assert_body(fold_output(&fold, ANONYMIZED, 0),
                "{\"cause\":\"closed\",\"complete\":true,\"customer_id\":\"c1\",\"erased\":[\"profile\"]");
}

/* ---- shipments and cuts ---- */

static void cancelled_under_way(void **state) {
    (void)state;
    const struct event events[] = {
        fold_placed("e2", 10, "c1", "o1", 100),
        fold_requested("e3", 20, "c1", "o1", "s1", "posti", "2103"),
        fold_requested("e4", 20, "c1", "o1", "s2", "posti", "2103"),
        fold_asked("e5", DAY, "q1", "c1", "account"),
        fold_shipment_cancelled("e6", 2 * DAY, "c1", "o1", "s1"),
    };
    FOLD(events);
    assert_int_equal(fold_count(&fold, "register.disclosure.withdrawn"), 1);
    assert_int_equal(fold_count(&fold, ANONYMIZE), 1);
    ALL_ORDERS(events);
}

static void carrier_changed_across_the_cut(void **state) {
    (void)state;
    struct event moved = fold_requested("e4", 2 * DAY, "c1", "o1", "s1", "matkahuolto", "home");
    moved.type = SHIPMENT_CHANGED;
    const struct event events[] = {
        fold_placed("e2", 10, "c1", "o1", 100),
        fold_requested("e3", 20, "c1", "o1", "s1", "posti", "2103"),
        fold_asked("e5", DAY, "q1", "c1", "account"),
        moved,
        fold_status(&fold, "e6", 3 * DAY, "matkahuolto", "c1", "s1", 1, STATUS_DELIVERED),
        fold_status(&fold, "e7", 3 * DAY, "posti", "c1", "s1", 1, STATUS_CANCELLED),
    };
    ALL_ORDERS(events);
    assert_int_equal(shipment("c1", "s1")->erasure, SHIPMENT_ERASED);
}

/* What waits becomes another's: it is his then, and named to whoever held it for the first. */
static void consignee_changed_across_the_cut(void **state) {
    (void)state;
    struct event given = fold_requested("e4", 2 * DAY, "c1", "o1", "s1", "posti", "2103");
    given.type = SHIPMENT_CHANGED;
    given.as.shipment.recipient_id = TEXT("r1");
    const struct event events[] = {
        fold_requested("e3", 20, "c1", "o1", "s1", "posti", "2103"),
        fold_asked("e5", DAY, "q1", "c1", "account"),
        given,
        fold_asked("e6", 3 * DAY, "q2", "recipient:r1", "clerk"),
        fold_status(&fold, "e7", 4 * DAY, "posti", "c1", "s1", 1, STATUS_DELIVERED),
    };
    ALL_ORDERS(events);
    assert_int_equal(request("q1")->state, REQUEST_DONE);
}

/* A closed one stays empty; only a change that wins and leaves it open fills it again. */
static void changed_refills(void **state) {
    (void)state;
    struct event more = fold_requested("e4", 2 * DAY, "c1", "o1", "s1", "posti", "2103");
    more.type = SHIPMENT_CHANGED;
    more.as.shipment.parcels = 2;
    more.as.shipment.consignee = fold_contact("Rut", "Andra vägen 9", "Vasa");
    const struct event events[] = {
        fold_requested("e3", 20, "c1", "o1", "s1", "posti", "2104"),
        fold_asked("e5", DAY, "q1", "c1", "account"),
        fold_status(&fold, "e6", DAY + 5, "posti", "c1", "s1", 1, STATUS_DELIVERED),
        more,
        fold_requested("e7", 25, "c1", "o1", "s2", "posti", "2104"),
    };
    ALL_ORDERS(events);
    assert_int_equal(shipment("c1", "s1")->erasure, SHIPMENT_WAITS);
    assert_non_null(strstr(fold_dump(&fold).at, "Andra"));
}

/* complete: true, false once more when an earlier parcel turns up, true again. */
static void late_shipment(void **state) {
    (void)state;
    const struct event events[] = {
        registered("e1", 0),
        fold_asked("e2", DAY, "q1", "c1", "account"),
        fold_requested("e3", 20, "c1", "o1", "s1", "posti", "2103"),
        fold_status(&fold, "e4", 2 * DAY, "posti", "c1", "s1", 1, STATUS_DELIVERED),
    };
    FOLD(events);
    assert_int_equal(fold_count(&fold, ANONYMIZED), 3);
    assert_body(fold_output(&fold, ANONYMIZED, 0), "\"complete\":true");
    assert_body(fold_output(&fold, ANONYMIZED, 1), "\"complete\":false");
    assert_body(fold_output(&fold, ANONYMIZED, 2), "\"complete\":true");
    assert_int_equal(fold_count(&fold, "register.disclosure.shipment"), 1);
    assert_int_equal(fold_count(&fold, STATUS), 3);
    ALL_ORDERS(events);
}

/* 30 days after it was complete nothing of the kind is taken in any more. */
static void thirty_days_later(void **state) {
    (void)state;
    int64_t now_us = fold.now_us;
    const struct event events[] = {registered("e1", 0), fold_asked("e2", DAY, "q1", "c1", "account")};
    struct event late = fold_requested("e3", 20, "c1", "o1", "s1", "posti", "2103");
    struct event paid = fold_paid("e4", 30, "c1", "o1", 100);
    FOLD(events);
    fold.now_us += (30 * DAY + 2 * DAY) * 60000000;
    assert_int_equal(fold_event(&fold, &late), VERDICT_FORGOTTEN);
    assert_int_equal(fold.rows_written, 0);
    assert_null(state_find_shipment(fold.rows, TEXT("c1"), TEXT("s1")));
    assert_int_equal(fold_event(&fold, &paid), VERDICT_APPLIED);
    assert_int_not_equal(order_of("c1", "o1")->voucher.until, DATE_NONE);
    fold.now_us = now_us;
}

/* ---- requests ---- */

static void identity(void **state) {
    (void)state;
    const struct event waiting[] = {registered("e1", 0), fold_asked("e2", DAY, "q1", "c1", "none")};
    ALL_ORDERS(waiting);
    assert_int_equal(request("q1")->state, REQUEST_AWAITING_IDENTITY);
    assert_int_equal(fold_count(&fold, ANONYMIZED), 0);
    assert_body(fold_output(&fold, STATUS, 0), "{\"request_id\":\"q1\",\"state\":\"awaiting_identity\"}");
    const struct event events[] = {
        registered("e1", 0),
        fold_asked("e2", DAY, "q1", "c1", "none"),
        fold_identified("e3", 2 * DAY, "q1", "strong"),
        fold_identified("e4", 3 * DAY, "q1", "clerk"),
        fold_asked("e2", DAY, "q1", "c1", "none"),
    };
    ALL_ORDERS(events);
    assert_int_equal(request("q1")->state, REQUEST_DONE);
    assert_int_equal(request("q1")->due, date_of(2026, 6, 4));
    assert_int_equal(request("q1")->received.count, 1);
    assert_int_equal(request("q1")->strongest, IDENTITY_CLERK);
}

static void sent_twice(void **state) {
    (void)state;
    const struct event events[] = {
        registered("e1", 0),
        fold_asked("e2", DAY, "q1", "c1", "account"),
        fold_asked("e3", 2 * DAY, "q1", "c1", "none"),
        fold_asked("e4", 2 * DAY, "q2", "c1", "account"), /* an equal cut of another request */
        fold_registered("e5", DAY + 5, "c1", fold_contact("Annika", "Nya gatan 2", "Vasa")),
    };
    ALL_ORDERS(events);
    assert_int_equal(row("c1", GENERATION_FIRST)->facts.cuts.count, 2);
    assert_int_equal(request("q1")->received.count, 2);
    assert_true(row("c1", at(DAY))->ended);
}

/* An e-mail's case, tied before or after anything else. */
static void tied(void **state) {
    (void)state;
    const struct event events[] = {
        registered("e1", 0),
        fold_requested("e2", 10, "c1", "o1", "s1", "posti", "2103"),
        fold_asked("e3", DAY, "q1", NULL, "none"),
        fold_identified("e4", 2 * DAY, "q1", "email_loop"),
        fold_tied("e5", 3 * DAY, "q1", "c1"),
        fold_tied("e6", 3 * DAY, "q1", "recipient:r9"), /* nobody knows him */
    };
    ALL_ORDERS(events);
    assert_int_equal(request("q1")->state, REQUEST_OPEN);
    assert_true(row("recipient:r9", GENERATION_FIRST)->ended);
}

static void unknown_and_unsupported(void **state) {
    (void)state;
    struct event access = fold_asked("e1", 0, "q1", "c1", "account");
    access.as.request.kind = TEXT("access");
    fold_reset(&fold);
    assert_int_equal(fold_event(&fold, &access), VERDICT_DEAD_LETTER);
    const struct event nobody[] = {fold_asked("e2", 0, "q2", "c9", "account")};
    FOLD(nobody);
    assert_int_equal(request("q2")->state, REQUEST_DONE);
    assert_body(fold_output(&fold, ANONYMIZED, 0),
                "\"erased\":[\"profile\",\"delivery\"],\"retained\":[],\"waiting\":[]");
}

/* 14: every input twice more, in any order: not a row, not an output. */
static void replay(void **state) {
    (void)state;
    struct event gift = fold_requested("e8", 25, "c1", "o1", "s2", "matkahuolto", "home");
    gift.as.shipment.recipient_id = TEXT("r1");
    const struct event events[] = {
        registered("e1", 0),
        fold_placed("e2", 10, "c1", "o1", 3490),
        fold_paid("e3", 20, "c1", "o1", 3490),
        fold_requested("e4", 30, "c1", "o1", "s1", "posti", "2103"),
        gift,
        fold_asked("e5", DAY, "q1", "c1", "none"),
        fold_identified("e6", DAY + 1, "q1", "clerk"),
        fold_asked("e7", DAY, "q2", "recipient:r1", "clerk"),
        fold_status(&fold, "e9", 3 * DAY, "posti", "c1", "s1", 1, STATUS_DELIVERED),
        fold_changed("ea", 2 * DAY, "c1", CITY, "Åbo"),
    };
    size_t count = sizeof(events) / sizeof(events[0]), order[16];
    uint64_t seed = 14;
    FOLD(events);
    struct text dump = fold_dump(&fold);
    size_t outputs = fold.outputs.count;
    for (size_t i = 0; i < count; i++)
        order[i] = i;
    for (size_t again = 0; again < 6; again++) {
        for (size_t i = 0; i < count; i++) {
            fold_event(&fold, &events[order[i]]);
            assert_int_equal(fold.rows_written, 0);
        }
        permute_shuffle(&seed, order, count);
    }
    assert_int_equal(fold.outputs.count, outputs);
    assert_true(text_equal(dump, fold_dump(&fold)));
    assert_null(strstr(dump.at, "Gatan 1"));
}

/* A shipment was meant for the recipient only by a version that never counted: his new generation is opened
 * by it all the same, whichever of the two came first, and however often he asks. */
static void opened_by_what_lost(void **state) {
    (void)state;
    struct event lost = fold_requested("e2", 20, "c1", "o1", "s1", "posti", "2103");
    lost.as.shipment.recipient_id = TEXT("r1");
    const struct event events[] = {fold_requested("e1", 30, "c1", "o1", "s1", "posti", "2103"), lost,
                                   fold_asked("e3", 10, "q1", "recipient:r1", "clerk"),
                                   fold_asked("e4", 5, "q2", "recipient:r1", "clerk"),
                                   fold_shipment_cancelled("e5", 15, "c1", "o1", "s1")};
    ALL_ORDERS(events);
    assert_true(row("recipient:r1", at(10))->opened);
    struct event older = fold_requested("e6", 7, "c1", "o1", "s1", "matkahuolto", "home");
    const struct event receding[] = {events[0], events[1], events[2], events[3], older};
    ALL_ORDERS(receding);
    assert_false(row("recipient:r1", at(10))->opened);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_guest_erased),
        cmocka_unit_test(gift_consignee),
        cmocka_unit_test(under_way),
        cmocka_unit_test(whole_life),
        cmocka_unit_test(new_life),
        cmocka_unit_test(changed_after_the_cut),
        cmocka_unit_test(two_erasures),
        cmocka_unit_test(closed_and_erased),
        cmocka_unit_test(closing_tells_no_carrier),
        cmocka_unit_test(cancelled_under_way),
        cmocka_unit_test(carrier_changed_across_the_cut),
        cmocka_unit_test(consignee_changed_across_the_cut),
        cmocka_unit_test(changed_refills),
        cmocka_unit_test(late_shipment),
        cmocka_unit_test(thirty_days_later),
        cmocka_unit_test(identity),
        cmocka_unit_test(sent_twice),
        cmocka_unit_test(tied),
        cmocka_unit_test(unknown_and_unsupported),
        cmocka_unit_test(replay),
        cmocka_unit_test(opened_by_what_lost),
    };
    fold_init(&fold);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fold_release(&fold);
    return failed;
}
