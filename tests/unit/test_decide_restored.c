/* A register that came back from a backup (restore reconcile): what it had lost is erased and told as if it
 * had not, and nothing that was told since the backup stands (consumer/reconcile.h; SCENARIOS.md, nasty 16,
 * 22). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/decide/effect.h"
#include "tests/unit/marketing_trial.h"

#define ANONYMIZE "register.notice.anonymize"
static struct fold fold;

static int64_t at(int64_t minute) {
    return fold_fact(CUSTOMER_SEEN, "x", minute, "").version.time_us;
}

static void restored_at(int64_t minute) {
    fold_reset(&fold);
    fold.restored_us = at(minute);
}

static void one(const struct event *event) {
    (void)fold_event(&fold, event);
}

static struct event registered(const char *id, int64_t minute) {
    return fold_registered(id, minute, "c1", fold_contact("Ann", "Gatan 1", "Vasa"));
}

static struct event act(enum event_type type, int64_t minute, bool by_request) {
    struct event event = fold_fact(type, "subject", minute, "");
    event.as.restored.person = TEXT("c1");
    event.as.restored.by_request = by_request;
    return event;
}

/* A restored register reads the registration only after the closing was brought in: it stands meanwhile, for
 * the keys are gone. */
static void closing_brought_in(void **state) {
    (void)state;
    const struct event events[] = {fold_changed("e1", 5, "c1", FIRST_NAME, "Ann"),
                                   act(CALENDAR_RESTORED, 10, false), registered("e2", 1)};
    restored_at(50);
    one(&events[0]);
    one(&events[1]);
    for (int more = 0; more < 2; more++) {
        const struct person *row = state_find_person(fold.rows, TEXT("c1"), GENERATION_FIRST);
        assert_non_null(row);
        assert_true(row->ended);
        assert_false(text_present(row->profile.content));
        one(&events[2]);
    }
}

/* Nobody knows what it had sealed: the keys of what a request erases go without a row that says so, those of
 * each generation that has ended, and no others. */
static void what_a_register_lost_is_doomed(void **state) {
    (void)state;
    const struct event first = act(CALENDAR_RESTORED, 10, true), second = act(CALENDAR_RESTORED, 20, true);
    restored_at(50);
    one(&first);
    one(&second);
    assert_true(fold_doomed(&fold, "c1", GENERATION_FIRST, CATEGORY_PROFILE));
    assert_true(fold_doomed(&fold, "c1", at(10), CATEGORY_PROFILE));
    assert_false(fold_doomed(&fold, "c1", at(20), CATEGORY_PROFILE));
    assert_false(fold_doomed(&fold, "c1", GENERATION_FIRST, CATEGORY_CLAIM));
}

/* A parcel that is closed already when it is read again of an erased person is never sealed; it was, before.
 */
static void what_arrives_closed_was_sealed(void **state) {
    (void)state;
    const struct event asked = fold_asked("e1", 10, "q1", "c1", "account");
    const struct event cancelled = fold_shipment_cancelled("e2", 6, "c1", "o1", "s1");
    const struct event requested = fold_requested("e3", 5, "c1", "o1", "s1", "posti", "2103");
    for (int restored = 0; restored < 2; restored++) {
        fold_reset(&fold);
        one(&asked);
        fold.restored_us = restored ? at(50) : 0;
        fold.dooms.count = 0; /* the act's own */
        one(&cancelled);
        one(&requested);
        assert_int_equal(fold_doomed(&fold, "c1", GENERATION_FIRST, CATEGORY_DELIVERY), restored);
    }
}

/* A closing that ends nothing now began a generation, before, while a cut was not known yet. */
static void what_a_lost_closing_began(void **state) {
    (void)state;
    const struct event asked = fold_asked("e1", 4, "q1", "c1", "account");
    const struct event closed = fold_about(CUSTOMER_CLOSED, "e2", 5, "c1");
    for (int restored = 0; restored < 2; restored++) {
        fold_reset(&fold);
        fold.restored_us = restored ? at(50) : 0;
        one(&asked);
        one(&closed);
        assert_int_equal(fold.verdicts[VERDICT_FORGOTTEN], 1);
        assert_int_equal(fold_doomed(&fold, "c1", at(5), CATEGORY_PROFILE), restored);
        assert_int_equal(fold_doomed(&fold, "c1", at(5), CATEGORY_CLAIM), 0);
    }
}

static void assert_forgets(const char *carrier) {
    struct ref ref = ref_disclosure(&fold.ref_key, text_of(carrier), TEXT("c1"), GENERATION_FIRST, TEXT("c1"),
                                    TEXT("s1"), TEXT("2103"), TEXT("consignee"));
    assert_int_equal(fold_count(&fold, ANONYMIZE), 1);
    assert_non_null(strstr(fold_output(&fold, ANONYMIZE, 0)->body.at, ref.chars));
}

/* What it reads again of an erased person is refused, and may have been told since the backup: the carrier
 * forgets what the event says, under the ref that it would have had, once. */
static void refused_and_told_before(void **state) {
    (void)state;
    const struct event cut = act(CALENDAR_RESTORED, 30, true);
    const struct event requested = fold_requested("e1", 20, "c1", "o1", "s1", "posti", "2103");
    restored_at(50);
    one(&cut);
    for (size_t times = 1; times < 3; times++) {
        one(&requested);
        assert_int_equal(fold.verdicts[VERDICT_FORGOTTEN], times);
        assert_int_equal(fold_count(&fold, "register.disclosure.shipment"), 0);
        assert_forgets("posti");
    }
}

/* ... or is disclosed under the refs of a generation after a cut that was not known when it was told before.
 */
static void told_before_under_other_refs(void **state) {
    (void)state;
    const struct event asked = fold_asked("e1", 10, "q1", "c1", "account");
    const struct event requested = fold_requested("e2", 20, "c1", "o1", "s1", "posti", "2103");
    restored_at(50);
    one(&asked);
    one(&requested);
    one(&requested);
    assert_int_equal(fold_count(&fold, "register.disclosure.shipment"), 1);
    assert_forgets("posti");
    assert_non_null(strstr(fold_output(&fold, ANONYMIZE, 0)->body.at, "\"cause\":\"request\""));
    const struct event closed = fold_about(CUSTOMER_CLOSED, "e3", 10, "c1"), opened = registered("e4", 5);
    restored_at(50);
    one(&opened);
    one(&closed);
    one(&requested);
    assert_forgets("posti");
    assert_non_null(strstr(fold_output(&fold, ANONYMIZE, 0)->body.at, "\"cause\":\"closed\""));
    restored_at(15); /* it happened after that: nobody can have told it before */
    one(&asked);
    one(&requested);
    assert_int_equal(fold_count(&fold, ANONYMIZE), 0);
}

/* ... or was told by what is not read again: the shipment stood in the backup, and another of its facts, or
 * of its person's, moved it to another generation since. */
static void moved_and_told_before(void **state) {
    (void)state;
    const struct event asked = fold_asked("e1", 10, "q1", "c1", "account");
    const struct event requested = fold_requested("e2", 20, "c1", "o1", "s1", "posti", "2103");
    const struct event cut = act(CALENDAR_RESTORED, 30, true);
    struct ref refs[2];
    for (int i = 0; i < 2; i++)
        refs[i] = ref_disclosure(&fold.ref_key, TEXT("posti"), TEXT("c1"), i ? at(10) : GENERATION_FIRST,
                                 TEXT("c1"), TEXT("s1"), TEXT("2103"), TEXT("consignee"));
    fold_reset(&fold);
    one(&asked);
    one(&requested);
    assert_int_equal(fold_count(&fold, ANONYMIZE), 0);
    fold.restored_us = at(50);
    one(&cut);
    assert_int_equal(fold_count(&fold, ANONYMIZE), 2);
    for (size_t i = 0; i < 2; i++)
        assert_non_null(strstr(fold_output(&fold, ANONYMIZE, i)->body.at, refs[i].chars));
}

/* Permission records have other ids than those of the lost future, which the topic holds; the last one, told
 * again, says what stands. */
static void permissions_are_told_anew(void **state) {
    (void)state;
    const struct event event = registered("e1", 1), retold = act(CALENDAR_RETOLD, 50, false);
    fold_reset(&fold);
    one(&event);
    struct output_id before = fold_output(&fold, RECORD, 0)->id;
    restored_at(50);
    one(&event);
    assert_int_equal(fold_count(&fold, RECORD), 1);
    assert_memory_not_equal(&fold_output(&fold, RECORD, 0)->id, &before, sizeof before);
    struct text said = fold_output(&fold, RECORD, 0)->body;
    one(&retold);
    assert_int_equal(fold_count(&fold, RECORD), 2);
    assert_true(text_equal(fold_output(&fold, RECORD, 1)->body, said));
    assert_memory_not_equal(&fold_output(&fold, RECORD, 1)->id, &fold_output(&fold, RECORD, 0)->id,
                            sizeof before);
}

/* So have the mail house's messages: what it is told again follows the permission that stands. */
static void newsletters_are_told_anew(void **state) {
    (void)state;
    const struct event events[] = {marketing_registered("e1", 1, "c1", "a@"),
                                   marketing_granted("e2", 2, "c1", true),
                                   marketing_said(CONSENT_WITHDRAWN, "e3", 5, "c1")};
    static const char *const types[] = {LETTER, "register.disclosure.withdrawn", ANONYMIZE};
    struct output_id before[3];
    for (int restored = 0; restored < 2; restored++) {
        fold_reset(&fold);
        fold.restored_us = restored ? at(50) : 0;
        for (size_t i = 0; i < 3; i++)
            one(&events[i]);
        for (size_t i = 0; i < 3; i++) {
            assert_int_equal(fold_count(&fold, types[i]), 1);
            const struct output_id *id = &fold_output(&fold, types[i], 0)->id;
            if (restored)
                assert_memory_not_equal(id, &before[i], sizeof *id);
            before[i] = *id;
        }
    }
}

/* It may have been told of a grant that is read again after what denies it: it forgets, once. */
static void granted_and_told_before(void **state) {
    (void)state;
    const struct event events[] = {
        marketing_said(CONSENT_WITHDRAWN, "e1", 30, "c1"), marketing_registered("e2", 1, "c1", "a@"),
        marketing_granted("e3", 20, "c1", true), marketing_changed("e4", 25, "c1", "b@")};
    const struct letter letter = {.recipient = TEXT("letterhouse"), .service = TEXT("newsletter")};
    const struct person row = {.person = TEXT("c1"), .generation = GENERATION_FIRST};
    struct ref ref = letter_ref(&fold.ref_key, &row, &letter);
    restored_at(50);
    for (size_t i = 0; i < 4; i++)
        one(&events[i]);
    assert_int_equal(fold_count(&fold, LETTER), 0);
    assert_int_equal(fold_count(&fold, ANONYMIZE), 1);
    assert_non_null(strstr(fold_output(&fold, ANONYMIZE, 0)->body.at, ref.chars));
    restored_at(15); /* the grant came after that */
    for (size_t i = 0; i < 4; i++)
        one(&events[i]);
    assert_int_equal(fold_count(&fold, ANONYMIZE), 0);
    const struct event asked = fold_asked("e0", 0, "q1", "c1", "account"); /* a cut that was not known then */
    restored_at(50);
    one(&asked);
    one(&events[1]);
    one(&events[2]);
    assert_int_equal(fold_count(&fold, LETTER), 1);
    assert_int_equal(fold_count(&fold, ANONYMIZE), 1);
    assert_non_null(strstr(fold_output(&fold, ANONYMIZE, 0)->body.at, ref.chars));
}

/* Who has been told to forget a person, and is disclosed his parcel again, gets it under another id: the one
 * from before is out already. */
static void disclosed_after_the_recall(void **state) {
    (void)state;
    const struct event asked = fold_asked("e0", 40, "q1", "c1", "account");
    const struct event versions[] = {fold_requested("e2", 21, "c1", "o1", "s1", "matkahuolto", "home"),
                                     fold_requested("e1", 20, "c1", "o1", "s1", "posti", "2103"),
                                     fold_requested("e3", 22, "c1", "o1", "s1", "posti", "2103")};
    struct output_id before = {{0}};
    for (int restored = 0; restored < 2; restored++) {
        fold_reset(&fold);
        fold.restored_us = restored ? at(50) : 0;
        if (restored)
            one(&asked);
        for (size_t i = 0; i < 3; i++)
            one(&versions[i]);
        size_t count = fold_count(&fold, "register.disclosure.shipment");
        const struct output *last = fold_output(&fold, "register.disclosure.shipment", count - 1);
        assert_true(text_is(last->recipient, "posti"));
        assert_memory_not_equal(&last->id, &before, sizeof before);
        before = last->id;
    }
}

/* A mail house with two services: each is recalled, and each withdrawn, in a notice of its own. */
static void each_service_has_its_notice(void **state) {
    (void)state;
    struct policy *policy = fold.policy;
    struct policy_recipient *house = &policy->recipients[policy_recipient(policy, TEXT("letterhouse"))];
    struct event other = marketing_granted("e4", 21, "c1", true);
    const struct event withdrawn = marketing_said(CONSENT_WITHDRAWN, "e1", 30, "c1");
    other.as.consent.purpose = TEXT("marketing");
    policy->marketing[1] = policy->marketing[0];
    policy->marketing[1].purpose = TEXT("marketing");
    house->services[1] = house->services[0];
    house->services[1].name = TEXT("marketing");
    policy->marketing_count = house->service_count = 2;
    const struct event granted[] = {marketing_granted("e3", 20, "c1", true), other,
                                    marketing_registered("e2", 1, "c1", "a@")};
    for (int restored = 0; restored < 2; restored++) {
        fold_reset(&fold);
        fold.restored_us = restored ? at(50) : 0;
        if (restored)
            one(&withdrawn);
        for (size_t i = 0; i < 3; i++)
            one(&granted[i]);
        if (!restored)
            one(&withdrawn);
        assert_int_equal(fold_count(&fold, LETTER), restored ? 0 : 2);
        assert_int_equal(fold_count(&fold, ANONYMIZE), 2);
        assert_memory_not_equal(&fold_output(&fold, ANONYMIZE, 0)->id, &fold_output(&fold, ANONYMIZE, 1)->id,
                                sizeof(struct output_id));
    }
    policy->marketing_count = house->service_count = 1;
}

static int setup(void **state) {
    (void)state;
    marketing_begin(&fold);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    fold_release(&fold);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(closing_brought_in),          cmocka_unit_test(what_a_register_lost_is_doomed),
        cmocka_unit_test(refused_and_told_before),     cmocka_unit_test(told_before_under_other_refs),
        cmocka_unit_test(permissions_are_told_anew),   cmocka_unit_test(newsletters_are_told_anew),
        cmocka_unit_test(granted_and_told_before),     cmocka_unit_test(moved_and_told_before),
        cmocka_unit_test(what_a_lost_closing_began),   cmocka_unit_test(disclosed_after_the_recall),
        cmocka_unit_test(each_service_has_its_notice), cmocka_unit_test(what_arrives_closed_was_sealed),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
