/* Random lives of an erased customer and a gift's consignee: whatever the order and the batches, the same
 * dump, the same rows, the same told (nasty 23 and 26 at length). Shipments' events keep the order of their
 * partition.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/permute.h"
#include "tests/unit/trial.h"

#define DAY (INT64_C(24) * 60)
static struct fold fold;

static struct event shipped(enum event_type type, const char *id, int64_t minute, const char *shipment_id,
                            const char *carrier, const char *service, const char *recipient_id) {
    struct event event = fold_requested(id, minute, "c1", "o1", shipment_id, carrier, service);
    event.type = type;
    event.as.shipment.recipient_id = text_of(recipient_id);
    return event;
}

static size_t add_shipments(struct event *events) {
    size_t count = 0;
    events[count++] = shipped(SHIPMENT_REQUESTED, "s1", 40, "s1", "posti", "2103", NULL);
    events[count++] = shipped(SHIPMENT_CHANGED, "s2", 2 * DAY, "s1", "posti", "2104", NULL);
    events[count++] = shipped(SHIPMENT_CHANGED, "s3", 4 * DAY, "s1", "matkahuolto", "home", NULL);
    events[count] = shipped(SHIPMENT_CHANGED, "s4", 6 * DAY, "s1", "posti", "2104", NULL);
    events[count++].as.shipment.parcels = 2;
    events[count++] = shipped(SHIPMENT_CHANGED, "s5", 7 * DAY, "s1", "posti", "2104", "r1");
    events[count++] = shipped(SHIPMENT_REQUESTED, "s6", 3 * DAY, "s2", "posti", "2103", "r1");
    events[count++] = shipped(SHIPMENT_CHANGED, "s7", 5 * DAY, "s2", "posti", "2103", NULL);
    events[count++] = fold_shipment_cancelled("s8", 8 * DAY, "c1", "o1", "s1");
    events[count++] = fold_shipment_cancelled("s9", 6 * DAY, "c1", "o1", "s2");
    events[count++] = shipped(SHIPMENT_REQUESTED, "sa", 3 * DAY, "s3", "posti", "return", NULL);
    events[count++] = fold_status(&fold, "d1", 3 * DAY, "posti", "c1", "s1", 1, STATUS_DELIVERED);
    events[count++] =
        fold_status(&fold, "d2", 5 * DAY, "matkahuolto", "c1", "s1", 0, STATUS_RETURN_TO_SENDER);
    events[count++] = fold_status(&fold, "d3", 9 * DAY, "posti", "c1", "s1", 0, STATUS_DELIVERED);
    events[count++] = fold_status(&fold, "d4", 6 * DAY, "posti", "c1", "s2", 1, STATUS_DELIVERED);
    events[count++] = fold_status(&fold, "d5", 9 * DAY, "posti", "c1", "s3", 1, STATUS_FAILURE);
    events[count++] = fold_status(&fold, "d6", 4 * DAY, "posti", "c1", "s2", 1, STATUS_IN_TRANSIT);
    return count;
}

static size_t catalogue(struct event *events) {
    size_t count = add_shipments(events);
    events[count++] = fold_registered("k1", 10, "c1", fold_contact("Ann", "Gatan 1", "Vasa"));
    events[count++] = fold_registered("k2", 5 * DAY, "c1", fold_contact("Anna", "Gatan 2", "Vasa"));
    events[count++] = fold_changed("k3", DAY, "c1", CITY, "Åbo");
    events[count++] = fold_changed("k4", 6 * DAY, "c1", EMAIL, NULL);
    events[count++] = fold_about(CUSTOMER_SEEN, "k5", 3 * DAY, "c1");
    events[count++] = fold_about(CUSTOMER_CLOSED, "k6", 2 * DAY, "c1");
    events[count++] = fold_about(CUSTOMER_CLOSED, "k7", 8 * DAY, "c1");
    events[count++] = fold_placed("o1", 20, "c1", "o1", 3490);
    events[count] = fold_placed("o2", 4 * DAY, "c1", "o1", 2000);
    events[count++].type = ORDER_CHANGED;
    events[count++] = fold_placed("o3", 3 * DAY, "c1", "o2", 100);
    events[count++] = fold_paid("o4", 3 * DAY, "c1", "o1", 3000);
    events[count++] = fold_paid("o5", 30, "c1", "o2", 490);
    events[count++] = fold_cancelled("o6", 7 * DAY, "c1", "o1");
    events[count++] = fold_asked("q1", DAY, "q1", "c1", "account");
    events[count++] = fold_asked("q2", 4 * DAY, "q1", "c1", "none");
    events[count++] = fold_asked("q3", 8 * DAY, "q2", "c1", "clerk");
    events[count++] = fold_asked("q4", 4 * DAY, "q3", "recipient:r1", "clerk");
    events[count++] = fold_asked("q5", 2 * DAY, "q4", NULL, "none");
    events[count++] = fold_identified("q6", 5 * DAY, "q4", "email_loop");
    events[count++] = fold_tied("q7", 6 * DAY, "q4", "c1");
    events[count++] = fold_tied("q8", 6 * DAY, "q4", "recipient:r1");
    return count;
}

static bool same_partition(const struct event *a, const struct event *b) {
    return text_equal(a->topic, b->topic) && text_is(a->topic, "shop.shipment.v1");
}

/* A random order in which facts of one partition stay in the order of their times. */
static void shuffle(uint64_t *seed, const struct event *events, size_t *order, size_t count) {
    permute_shuffle(seed, order, count);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = i + 1; j < count; j++) {
            if (!same_partition(&events[order[i]], &events[order[j]]) ||
                events[order[i]].version.time_us <= events[order[j]].version.time_us)
                continue;
            size_t kept = order[i];
            order[i] = order[j];
            order[j] = kept;
        }
    }
}

static void histories(uint64_t seed, size_t rounds) {
    struct event all[TRIAL_EVENTS_MOST], events[TRIAL_EVENTS_MOST];
    size_t count = catalogue(all), chosen[TRIAL_EVENTS_MOST], order[TRIAL_EVENTS_MOST];
    assert_true(count <= TRIAL_EVENTS_MOST);
    for (size_t i = 0; i < count; i++)
        chosen[i] = i;
    for (size_t round = 0; round < rounds; round++) {
        struct trial trial = {.fold = &fold, .events = events};
        size_t taken = 3 + permute_random(&seed) % 14;
        permute_shuffle(&seed, chosen, count);
        for (size_t i = 0; i < taken; i++) {
            events[i] = all[chosen[i]];
            order[i] = i;
        }
        arena_init(&trial.arena, 1 << 22);
        for (size_t again = 0; again < 8; again++) {
            trial.batch = 1 + permute_random(&seed) % taken;
            shuffle(&seed, events, order, taken);
            trial_order(&trial, order, taken);
        }
        arena_release(&trial.arena);
    }
}

static void as_the_policy_says(void **state) {
    (void)state;
    histories(23, 1500);
}

/* Policies that a shop may write: nothing waits, or nothing of it goes. */
static void delivery_at_once(void **state) {
    (void)state;
    enum on_request *delivery = &fold.policy->categories[CATEGORY_DELIVERY].on_request, kept = *delivery;
    *delivery = ON_REQUEST_ERASE;
    histories(24, 400);
    *delivery = kept;
}

static void delivery_kept(void **state) {
    (void)state;
    enum on_request *delivery = &fold.policy->categories[CATEGORY_DELIVERY].on_request, kept = *delivery;
    *delivery = ON_REQUEST_KEEP;
    fold.policy->categories[CATEGORY_DELIVERY].ground = TEXT("17(3)(e)");
    histories(25, 400);
    *delivery = kept;
}

/* A claim that a request erases: the voucher takes what it can, which hangs on the order of arrival; nothing
 * else does, and nothing breaks. */
static void claim_erased(void **state) {
    (void)state;
    enum on_request *claim = &fold.policy->categories[CATEGORY_CLAIM].on_request, kept = *claim;
    struct event all[TRIAL_EVENTS_MOST];
    size_t count = catalogue(all), order[TRIAL_EVENTS_MOST];
    uint64_t seed = 26;
    *claim = ON_REQUEST_ERASE;
    for (size_t i = 0; i < count; i++)
        order[i] = i;
    for (size_t round = 0; round < 300; round++) {
        shuffle(&seed, all, order, count);
        fold_reset(&fold);
        for (size_t i = 0; i < count; i += 3) {
            const struct event *batch[3];
            size_t taken = count - i < 3 ? count - i : 3;
            for (size_t k = 0; k < taken; k++)
                batch[k] = &all[order[i + k]];
            fold_batch(&fold, batch, taken);
        }
        (void)fold_told(&fold);
        assert_null(strstr(fold_dump(&fold).at, "Köpgatan")); /* the buyer's address, in claims only */
    }
    *claim = kept;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(as_the_policy_says, trial_explain),
        cmocka_unit_test_teardown(delivery_at_once, trial_explain),
        cmocka_unit_test_teardown(delivery_kept, trial_explain),
        cmocka_unit_test(claim_erased),
    };
    fold_init(&fold);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fold_release(&fold);
    return failed;
}
