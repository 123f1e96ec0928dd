/* Marketing permission where persons are erased, close their accounts and come back (SCENARIOS.md, golden 16
 * and 20): in all orders the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/json_read.h"
#include "tests/unit/marketing_trial.h"
#include "tests/unit/trial.h"

static struct fold fold;

static int64_t minute_us(int64_t minute) {
    return fold_fact(CUSTOMER_SEEN, "at", minute, NULL).version.time_us;
}

static struct event erased(const char *id, int64_t minute, const char *customer_id) {
    struct event event = fold_fact(REQUEST_RECEIVED, id, minute, customer_id);
    event.customer_id = text_of(customer_id);
    event.as.request.request_id = text_of(id);
    event.as.request.kind = TEXT("erasure");
    event.as.request.channel = TEXT("account");
    event.as.request.identity = TEXT("account");
    return event;
}

static struct event closed(const char *id, int64_t minute, const char *customer_id) {
    struct event event = fold_fact(CUSTOMER_CLOSED, id, minute, customer_id);
    event.customer_id = text_of(customer_id);
    return event;
}

static const struct address_entry *entry_of(const char *hash, const char *customer_id) {
    const struct address *address = state_find_address(fold.rows, text_of(hash));
    assert_non_null(address);
    for (size_t i = 0; i < address->entries.count; i++) {
        if (text_is(address->entries.at[i].person, customer_id))
            return &address->entries.at[i];
    }
    return NULL;
}

/* 20: after the erasure, twice: taken in, the address suppressed, one record. */
static void the_link_works_after_erasure(void **context) {
    (void)context;
    struct event events[] = {marketing_registered("e1", 1, "c1", "a@"),
                             marketing_granted("e2", 2, "c1", true), erased("q1", 3, "c1"),
                             marketing_by_token(CONSENT_WITHDRAWN, "e4", 4, "c1", GENERATION_FIRST),
                             marketing_by_token(CONSENT_WITHDRAWN, "e5", 5, "c1", GENERATION_FIRST)};
    marketing_try(events, 3);
    marketing_assert("c1", GENERATION_FIRST, PERMISSION_ERASED, 3);
    assert_int_equal(entry_of("a@", "c1")->withdrawn_us, TIME_NONE);
    assert_false(entry_of("a@", "c1")->current);
    assert_int_equal(fold_count(&fold, "register.disclosure.withdrawn"), 1);
    assert_int_equal(fold_count(&fold, "register.notice.anonymize"), 1);
    size_t records = fold_count(&fold, RECORD);
    marketing_try(events, 5);
    marketing_assert("c1", GENERATION_FIRST, PERMISSION_WITHDRAWN, 4);
    assert_int_equal(entry_of("a@", "c1")->withdrawn_us, minute_us(4));
    assert_int_equal(fold_count(&fold, RECORD), records + 1);
    assert_int_equal(fold.verdicts[VERDICT_APPLIED], 5);
}

/* 16: the objection of a generation that is gone denies in the next, too. */
static void an_objection_survives(void **context) {
    (void)context;
    struct event events[] = {marketing_registered("e1", 1, "c1", "a@"),
                             marketing_said(CONSENT_OBJECTED, "e2", 2, "c1"),
                             erased("q1", 3, "c1"),
                             marketing_registered("e4", 5, "c1", "b@"),
                             marketing_granted("e5", 1, "c1", true),
                             marketing_granted("e6", 6, "c1", true)};
    marketing_try(events, 5);
    marketing_assert("c1", GENERATION_FIRST, PERMISSION_OBJECTED, 2);
    marketing_assert("c1", minute_us(3), PERMISSION_OBJECTED, 2);
    assert_int_equal(entry_of("a@", "c1")->objected_first_us, minute_us(2));
    assert_int_equal(entry_of("b@", "c1")->objected_first_us, minute_us(2));
    marketing_try(events, 6);
    marketing_assert("c1", minute_us(3), PERMISSION_ALLOWED, 6);
    marketing_assert("c1", GENERATION_FIRST, PERMISSION_OBJECTED, 2);
}

static void assert_bears(const struct output *output, const struct ref *token) {
    assert_non_null(memmem(output->body.at, output->body.size, token->chars, REF_CHARS));
}

static void erased_and_back(void **context) {
    (void)context;
    struct event events[] = {marketing_registered("e1", 1, "c1", "a@"),
                             marketing_granted("e2", 2, "c1", true), erased("q1", 3, "c1"),
                             marketing_registered("e4", 5, "c1", "a@"),
                             marketing_granted("e5", 6, "c1", true)};
    marketing_try(events, 4);
    marketing_assert("c1", minute_us(3), PERMISSION_ERASED, 3);
    marketing_try(events, 5);
    marketing_assert("c1", GENERATION_FIRST, PERMISSION_ERASED, 3);
    marketing_assert("c1", minute_us(3), PERMISSION_ALLOWED, 6);
    assert_true(entry_of("a@", "c1")->current);
    /* his letters and his record bear the link of the generation that he lives in */
    struct ref token = ref_token(&fold.ref_key, TEXT("c1"), minute_us(3));
    assert_bears(fold_output(&fold, LETTER, fold_count(&fold, LETTER) - 1), &token);
    assert_bears(fold_output(&fold, RECORD, fold_count(&fold, RECORD) - 1), &token);
}

/* A token counts against the grants of later generations that are not later than its use. */
static void an_old_token_against_a_new_grant(void **context) {
    (void)context;
    struct event events[] = {marketing_registered("e1", 1, "c1", "a@"),
                             erased("q1", 3, "c1"),
                             marketing_registered("e3", 4, "c1", "b@"),
                             marketing_granted("e4", 6, "c1", true),
                             marketing_by_token(CONSENT_WITHDRAWN, "e5", 6, "c1", GENERATION_FIRST),
                             marketing_granted("e6", 7, "c1", true)};
    marketing_try(events, 5);
    marketing_assert("c1", minute_us(3), PERMISSION_WITHDRAWN, 6);
    marketing_assert("c1", GENERATION_FIRST, PERMISSION_WITHDRAWN, 6);
    marketing_try(events, 6);
    marketing_assert("c1", minute_us(3), PERMISSION_ALLOWED, 7);
}

static void closing_ends_it(void **context) {
    (void)context;
    struct event events[] = {marketing_registered("e1", 1, "c1", "a@"),
                             marketing_granted("e2", 2, "c1", true), closed("e3", 3, "c1"),
                             marketing_registered("e4", 4, "c1", "a@")};
    marketing_try(events, 3);
    marketing_assert("c1", GENERATION_FIRST, PERMISSION_ERASED, 3);
    const struct output *notice = fold_output(&fold, "register.notice.anonymize", 0);
    struct json *body;
    assert_int_equal(json_parse(notice->body, 0, &fold.kept, &body), JSON_FINE);
    assert_true(text_is(json_member_text(body, "cause"), "closed"));
    marketing_try(events, 4);
    marketing_assert("c1", minute_us(3), PERMISSION_ERASED, 3);
}

/* A stranger is bound by objections only, not by what was withdrawn. */
static void a_withdrawal_is_only_shown(void **context) {
    (void)context;
    struct event events[] = {marketing_registered("e1", 1, "c1", "a@"),
                             marketing_said(CONSENT_WITHDRAWN, "e2", 2, "c1"), erased("q1", 3, "c1"),
                             marketing_registered("e4", 1, "c2", "a@"),
                             marketing_granted("e5", 1, "c2", true)};
    marketing_try(events, 5);
    assert_int_equal(entry_of("a@", "c1")->withdrawn_us, minute_us(2));
    marketing_assert("c2", GENERATION_FIRST, PERMISSION_ALLOWED, 1);
}

static size_t catalogue(struct event *all) {
    size_t count = 0;
    all[count++] = marketing_registered("r1", 2, "c1", "a@");
    all[count++] = marketing_changed("r2", 4, "c1", "b@");
    all[count++] = marketing_registered("r3", 7, "c1", "c@");
    all[count++] = marketing_changed("r4", 9, "c1", "a@");
    all[count++] = marketing_registered("r5", 3, "c2", "b@");
    all[count++] = marketing_changed("r6", 6, "c2", "a@");
    all[count++] = closed("x1", 5, "c1");
    all[count++] = erased("q1", 4, "c1");
    all[count++] = erased("q2", 8, "c1");
    all[count++] = erased("q3", 6, "c2");
    all[count++] = marketing_granted("g1", 3, "c1", true);
    all[count++] = marketing_granted("g2", 6, "c1", true);
    all[count++] = marketing_granted("g3", 9, "c1", true);
    all[count++] = marketing_granted("g4", 5, "c2", true);
    all[count++] = marketing_granted("g5", 8, "c2", false);
    all[count++] = marketing_said(CONSENT_WITHDRAWN, "w1", 5, "c1");
    all[count++] = marketing_said(CONSENT_OBJECTED, "o1", 6, "c1");
    all[count++] = marketing_said(CONSENT_OBJECTED, "o2", 4, "c2");
    all[count++] = marketing_by_token(CONSENT_WITHDRAWN, "t1", 9, "c1", GENERATION_FIRST);
    all[count++] = marketing_by_token(CONSENT_OBJECTED, "t2", 6, "c2", GENERATION_FIRST);
    all[count++] = fold_placed("p1", 5, "c1", "O1", 100);
    all[count++] = fold_paid("p2", 6, "c1", "O1", 100);
    return count;
}

static void random_histories(void **context) {
    (void)context;
    struct event all[24];
    size_t count = catalogue(all);
    uint64_t seed = 20261124;
    for (size_t round = 0; round < 1500; round++)
        marketing_try_some(all, count, &seed);
}

/* An order that is placed again and again opens each of the generations that its times lie in, also when they
 * are told apart only later. */
static void placed_in_three_generations(void **context) {
    (void)context;
    const struct event events[] = {
        fold_placed("p1", 1, "c1", "O1", 100),
        fold_placed("p2", 3, "c1", "O1", 100),
        fold_placed("p3", 5, "c1", "O1", 100),
        erased("q1", 2, "c1"),
        erased("q2", 4, "c1"),
    };
    fold_reset(&fold);
    trial_all_orders(&fold, events, sizeof(events) / sizeof(*events));
}

/* A closing falls because a request for an instant before it is identified with one for an instant after it:
 * what the mail house was told after the closing is named in the act's own notice, once. */
static void a_closing_falls_within_an_erasure(void **context) {
    (void)context;
    struct event unknown = erased("q1", 3, "c1");
    unknown.as.request.identity = TEXT("none");
    struct event known = erased("q2", 1, "c1");
    known.as.request.request_id = TEXT("q1");
    const struct event events[] = {unknown,
                                   marketing_granted("e2", 5, "c1", true),
                                   marketing_registered("e3", 1, "c1", "a@"),
                                   closed("e5", 2, "c1"),
                                   marketing_registered("e6", 4, "c1", "b@"),
                                   known};
    marketing_try(events, 6);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_link_works_after_erasure),
        cmocka_unit_test(an_objection_survives),
        cmocka_unit_test(erased_and_back),
        cmocka_unit_test(an_old_token_against_a_new_grant),
        cmocka_unit_test(closing_ends_it),
        cmocka_unit_test(a_withdrawal_is_only_shown),
        cmocka_unit_test(random_histories),
        cmocka_unit_test(placed_in_three_generations),
        cmocka_unit_test(a_closing_falls_within_an_erasure),
    };
    marketing_begin(&fold);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fold_release(&fold);
    return failed;
}
