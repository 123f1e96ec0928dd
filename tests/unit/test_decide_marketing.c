/* Whatever the order of arrival and the batches, the same facts end in the same permissions, proofs and
 * suppressed addresses, the last record says the same, and mail houses hold the same (SEMANTICS.md,
 * Permission; SCENARIOS.md, golden 1 and 18 to 21). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/json_read.h"
#include "tests/unit/marketing_trial.h"

#include <stdio.h>

static struct fold fold;

/* ---- the scenarios ---- */

static void silence_is_denied(void **context) {
    (void)context;
    struct event events[] = {marketing_registered("e1", 1, "c1", "a@"),
                             fold_placed("e2", 2, "c1", "O1", 100)};
    marketing_try(events, 2);
    marketing_assert("c1", GENERATION_FIRST, PERMISSION_NONE, SINCE_NONE);
    assert_int_equal(fold_count(&fold, RECORD), 1);
    assert_int_equal(fold_count(&fold, LETTER), 0);
    const struct output *record = fold_output(&fold, RECORD, 0);
    struct ref token = ref_token(&fold.ref_key, TEXT("c1"), GENERATION_FIRST);
    char body[512];
    (void)snprintf(
        body, sizeof(body),
        "{\"customer_id\":\"c1\",\"permissions\":[{\"allowed\":false,\"basis\":null,\"channel\":"
        "\"email\",\"purpose\":\"newsletter\",\"reason\":\"none\",\"since\":null,\"token\":\"%s\"}]}",
        token.chars);
    assert_true(text_is(record->body, body));
    assert_true(text_is(record->key, "c1"));
    assert_true(text_is(record->topic, "register.marketing-permission.v1"));
    fold_reset(&fold);
    fold_event(&fold, &events[1]); /* an order alone opens, too */
    assert_int_equal(fold_count(&fold, RECORD), 1);
}

static void withdrawal_before_its_grant(void **context) {
    (void)context;
    struct event events[] = {marketing_registered("e1", 1, "c1", "a@"),
                             marketing_said(CONSENT_WITHDRAWN, "e2", 5, "c1"),
                             marketing_granted("e3", 3, "c1", true)};
    marketing_try(events, 3);
    marketing_assert("c1", GENERATION_FIRST, PERMISSION_WITHDRAWN, 5);
    size_t count;
    struct consent *const *consents = state_consents(fold.rows, &count);
    assert_int_equal(count, 2);
    assert_true(text_is(consents[0]->proof.content, "{\"method\":\"account_page\"}"));
    assert_true(text_is(consents[1]->proof.content,
                        "{\"method\":\"account_page\",\"wording\":{\"id\":\"w1\",\"language\":\"sv\","
                        "\"sha256\":\"00\"}}"));
    assert_int_equal(consents[0]->proof.until, consents[1]->proof.until); /* both from the withdrawal */
    assert_int_equal(fold_count(&fold, LETTER), 0);
}

static void equal_times_protect(void **context) {
    (void)context;
    struct event events[] = {marketing_registered("e1", 1, "c1", "a@"),
                             marketing_granted("e2", 5, "c1", true),
                             marketing_said(CONSENT_WITHDRAWN, "e3", 5, "c1")};
    events[1].version.sequence = TEXT("9");
    marketing_try(events, 3);
    marketing_assert("c1", GENERATION_FIRST, PERMISSION_WITHDRAWN, 5);
    struct event more[] = {marketing_registered("e1", 1, "c1", "a@"), marketing_granted("e2", 5, "c1", true),
                           marketing_said(CONSENT_OBJECTED, "e3", 5, "c1"),
                           marketing_said(CONSENT_WITHDRAWN, "e4", 4, "c1"),
                           marketing_granted("e5", 5, "c1", false)};
    marketing_try(more, 5);
    marketing_assert("c1", GENERATION_FIRST, PERMISSION_OBJECTED, 5);
}

static void double_opt_in(void **context) {
    (void)context;
    struct event events[] = {marketing_registered("e1", 1, "c1", "a@"),
                             marketing_granted("e2", 2, "c1", false), marketing_granted("e3", 3, "c1", true)};
    fold_reset(&fold);
    fold_event(&fold, &events[0]);
    fold_event(&fold, &events[1]);
    struct event silent = marketing_granted("e0", 2, "c1", false);
    silent.as.consent.has_confirmed = false; /* says nothing of it: that is no confirmation either */
    fold_event(&fold, &silent);
    marketing_assert("c1", GENERATION_FIRST, PERMISSION_NONE, SINCE_NONE);
    assert_int_equal(fold_count(&fold, RECORD), 1);
    marketing_try(events, 3);
    marketing_assert("c1", GENERATION_FIRST, PERMISSION_ALLOWED, 3);
    assert_true(text_is(marketing_line("c1", GENERATION_FIRST)->basis, "consent"));
    assert_int_equal(fold_count(&fold, RECORD), 2);
    assert_int_equal(fold_count(&fold, LETTER), 1);
}

static void other_purposes_are_proofs_only(void **context) {
    (void)context;
    struct event events[] = {marketing_registered("e1", 1, "c1", "a@"),
                             marketing_granted("e2", 2, "c1", true), marketing_granted("e3", 3, "c1", true),
                             marketing_said(CONSENT_WITHDRAWN, "e4", 4, "c1"),
                             marketing_said(CONSENT_WITHDRAWN, "e5", 5, "c1")};
    events[1].as.consent.channel = TEXT("sms");
    events[3].as.consent.purpose = TEXT("marketing"); /* the policy has no such purpose */
    events[4].as.consent.channel = TEXT("sms");
    marketing_try(events, 5);
    marketing_assert("c1", GENERATION_FIRST, PERMISSION_ALLOWED, 3);
    size_t count;
    (void)state_consents(fold.rows, &count);
    assert_int_equal(count, 4);
    events[3].as.consent.purpose = TEXT_ABSENT; /* all */
    marketing_try(events, 5);
    marketing_assert("c1", GENERATION_FIRST, PERMISSION_WITHDRAWN, 4);
}

/* Lets soft opt-ins in, and grants without confirmation. */
static void soften(bool soft) {
    struct policy_marketing *marketing = &fold.policy->marketing[0];
    marketing->soft_opt_in = soft;
    marketing->double_opt_in = !soft;
    marketing->bases[1] = TEXT("soft_opt_in");
    marketing->basis_count = soft ? 2 : 1;
    marketing->from[2] = TEXT("checkout");
    marketing->from_count = soft ? 3 : 2;
}

static void soft_opt_in_needs_its_sale(void **context) {
    (void)context;
    struct event events[] = {marketing_registered("e1", 1, "c1", "a@"),
                             marketing_soft_opt_in("e2", 2, "c1", "O1"),
                             fold_placed("e3", 2, "c1", "O1", 100), fold_paid("e4", 3, "c1", "O1", 100),
                             fold_cancelled("e5", 9, "c1", "O1")};
    marketing_try(events, 4); /* the policy says no */
    marketing_assert("c1", GENERATION_FIRST, PERMISSION_NONE, SINCE_NONE);
    soften(true);
    marketing_try(events, 3);
    marketing_assert("c1", GENERATION_FIRST, PERMISSION_NONE, SINCE_NONE);
    marketing_try(events, 4);
    marketing_assert("c1", GENERATION_FIRST, PERMISSION_ALLOWED, 2);
    assert_true(text_is(marketing_line("c1", GENERATION_FIRST)->basis, "soft_opt_in"));
    marketing_try(events, 5);
    marketing_assert("c1", GENERATION_FIRST, PERMISSION_NONE, SINCE_NONE);
    soften(false);
}

static void objection_and_soft_opt_in(void **context) {
    (void)context;
    struct event events[] = {
        marketing_registered("e1", 1, "c1", "a@"),  marketing_said(CONSENT_OBJECTED, "e2", 2, "c1"),
        marketing_soft_opt_in("e3", 3, "c1", "O1"), fold_paid("e4", 3, "c1", "O1", 100),
        marketing_granted("e5", 4, "c1", false),    marketing_granted("e6", 5, "c1", true)};
    soften(true);
    marketing_try(events, 4);
    marketing_assert("c1", GENERATION_FIRST, PERMISSION_OBJECTED, 2);
    marketing_try(events, 5); /* a consent that nobody confirmed frees from nothing */
    marketing_assert("c1", GENERATION_FIRST, PERMISSION_OBJECTED, 2);
    marketing_try(events, 6);
    marketing_assert("c1", GENERATION_FIRST, PERMISSION_ALLOWED, 5);
    soften(false);
}

static void no_address(void **context) {
    (void)context;
    struct event events[] = {marketing_granted("e1", 2, "c1", true),
                             marketing_registered("e2", 3, "c1", "a@"),
                             marketing_changed("e3", 4, "c1", NULL), marketing_changed("e4", 5, "c1", "b@")};
    marketing_try(events, 1);
    marketing_assert("c1", GENERATION_FIRST, PERMISSION_NO_ADDRESS, SINCE_NONE);
    marketing_try(events, 2);
    marketing_assert("c1", GENERATION_FIRST, PERMISSION_ALLOWED, 2);
    marketing_try(events, 3);
    marketing_assert("c1", GENERATION_FIRST, PERMISSION_NO_ADDRESS, SINCE_NONE);
    assert_int_equal(fold_count(&fold, "register.notice.anonymize"), 1);
    marketing_try(events, 4);
    marketing_assert("c1", GENERATION_FIRST, PERMISSION_ALLOWED, 2);
}

static void the_link_works_twice(void **context) {
    (void)context;
    struct event events[] = {marketing_registered("e1", 1, "c1", "a@"),
                             marketing_granted("e2", 2, "c1", true),
                             marketing_by_token(CONSENT_WITHDRAWN, "e3", 3, "c1", GENERATION_FIRST),
                             marketing_by_token(CONSENT_WITHDRAWN, "e4", 4, "c1", GENERATION_FIRST)};
    marketing_try(events, 4);
    marketing_assert("c1", GENERATION_FIRST, PERMISSION_WITHDRAWN, 3);
    assert_int_equal(fold_count(&fold, RECORD), 3); /* the second click says nothing new */
    assert_int_equal(fold_count(&fold, "register.disclosure.withdrawn"), 1);
    size_t count;
    (void)state_consents(fold.rows, &count);
    assert_int_equal(count, 3);
}

static void foreign_refs_are_no_tokens(void **context) {
    (void)context;
    struct event opens = marketing_registered("e1", 1, "c1", "a@");
    struct event ships = fold_requested("e2", 2, "c1", "O1", "S1", "matkahuolto", "pickup");
    struct event says = marketing_by_token(CONSENT_OBJECTED, "e3", 3, "c1", GENERATION_FIRST);
    struct ref shipment = ref_shipment(&fold.ref_key, TEXT("matkahuolto"), TEXT("c1"), TEXT("S1"));
    struct event status = fold_status(&fold, "e4", 4, "matkahuolto", "c1", "S1", 0, STATUS_DELIVERED);
    fold_reset(&fold);
    assert_int_equal(fold_event(&fold, &says), VERDICT_PARKED);
    fold_event(&fold, &opens);
    marketing_assert("c1", GENERATION_FIRST, PERMISSION_OBJECTED, 3);
    fold_event(&fold, &ships);
    says.version.id = TEXT("e5");
    says.as.consent.token = text_of(shipment.chars);
    assert_int_equal(fold_event(&fold, &says), VERDICT_DEAD_LETTER);
    struct ref token = ref_token(&fold.ref_key, TEXT("c1"), GENERATION_FIRST);
    status.as.delivery.shipment_ref = text_of(token.chars);
    assert_int_equal(fold_event(&fold, &status), VERDICT_DEAD_LETTER);
    for (size_t i = 0; i < 2; i++)
        assert_true(text_is(fold_output(&fold, "register.dead-letter", i)->cause, "unknown_ref"));
}

static void an_objection_binds_the_address(void **context) {
    (void)context;
    struct event events[] = {
        marketing_registered("e1", 1, "c1", "a@"), marketing_said(CONSENT_OBJECTED, "e2", 2, "c1"),
        marketing_changed("e3", 3, "c1", "b@"),    marketing_registered("e4", 4, "c2", "a@"),
        marketing_granted("e5", 2, "c2", true),    marketing_granted("e6", 5, "c2", true)};
    marketing_try(events, 5);
    marketing_assert("c1", GENERATION_FIRST, PERMISSION_OBJECTED, 2);
    marketing_assert("c2", GENERATION_FIRST, PERMISSION_OBJECTED, 2); /* of the same instant: not later */
    marketing_try(events, 6);
    marketing_assert("c1", GENERATION_FIRST, PERMISSION_OBJECTED, 2);
    marketing_assert("c2", GENERATION_FIRST, PERMISSION_ALLOWED, 5); /* the stranger's own, later */
    struct event late[] = {marketing_registered("e1", 1, "c1", "a@"),
                           marketing_registered("e2", 2, "c2", "a@"), marketing_granted("e3", 3, "c2", true),
                           marketing_said(CONSENT_OBJECTED, "e4", 4, "c1"),
                           marketing_changed("e5", 5, "c2", "b@")};
    marketing_try(late, 4);
    marketing_assert("c2", GENERATION_FIRST, PERMISSION_OBJECTED, 4);
    assert_int_equal(fold_count(&fold, "register.notice.anonymize"), 1);
    marketing_try(late, 5); /* with another address he is free again */
    marketing_assert("c2", GENERATION_FIRST, PERMISSION_ALLOWED, 3);
}

static void mail_houses_know_what_is_allowed(void **context) {
    (void)context;
    struct event events[] = {marketing_registered("e1", 1, "c1", "a@"),
                             marketing_granted("e2", 2, "c1", true), marketing_changed("e3", 3, "c1", "b@"),
                             marketing_said(CONSENT_WITHDRAWN, "e4", 4, "c1"),
                             marketing_granted("e5", 5, "c1", true)};
    marketing_try(events, 5);
    marketing_assert("c1", GENERATION_FIRST, PERMISSION_ALLOWED, 5);
    assert_int_equal(fold_count(&fold, LETTER), 2);
    const struct output *first = fold_output(&fold, LETTER, 0), *again = fold_output(&fold, LETTER, 1);
    assert_true(text_equal(first->disclosure_ref, again->disclosure_ref));
    assert_true(text_is(first->topic, "disclosure.letterhouse.v1"));
    assert_int_equal(first->fields, FIELD_BIT(EMAIL));
    assert_int_equal(fold_count(&fold, "register.disclosure.corrected"), 1);
    assert_int_equal(fold_count(&fold, "register.disclosure.withdrawn"), 1);
    struct json *body;
    assert_int_equal(json_parse(first->body, 0, &fold.kept, &body), JSON_FINE);
    struct ref token = ref_token(&fold.ref_key, TEXT("c1"), GENERATION_FIRST);
    assert_true(text_is(json_member_text(body, "token"), token.chars));
    assert_true(text_is(json_member_text(json_member(body, "fields"), "email"), "a@"));
    const struct output *notice = fold_output(&fold, "register.notice.anonymize", 0);
    assert_int_equal(json_parse(notice->body, 0, &fold.kept, &body), JSON_FINE);
    assert_true(text_is(json_member_text(body, "cause"), "withdrawn"));
    struct event answer =
        fold_acknowledged(&fold, "a1", 9, "letterhouse", fold_notice_ref(&fold, notice), ACK_ERASED);
    assert_int_equal(fold_event(&fold, &answer), VERDICT_APPLIED);
    assert_int_equal(fold.verdicts[VERDICT_APPLIED], 6);
    answer.sender = TEXT("posti");
    answer.version.id = TEXT("a2");
    assert_int_equal(fold_event(&fold, &answer), VERDICT_DEAD_LETTER);
}

/* Of a stranger's objections only those count that are not before the consent. */
static void a_stranger_objects_again(void **context) {
    (void)context;
    struct event events[] = {
        marketing_registered("e1", 1, "c1", "a@"),       marketing_said(CONSENT_OBJECTED, "e2", 2, "c1"),
        marketing_said(CONSENT_OBJECTED, "e3", 6, "c1"), marketing_said(CONSENT_OBJECTED, "e4", 8, "c1"),
        marketing_registered("e5", 1, "c2", "a@"),       marketing_granted("e6", 5, "c2", true)};
    marketing_try(events, 6);
    marketing_assert("c2", GENERATION_FIRST, PERMISSION_OBJECTED, 6);
}

/* Who has no consents costs no more than before; a second consent writes itself and its guard. */
static void few_rows_are_written(void **context) {
    (void)context;
    struct event events[] = {
        marketing_registered("e1", 1, "c1", "a@"), marketing_granted("e2", 2, "c1", true),
        marketing_said(CONSENT_WITHDRAWN, "e3", 3, "c1"), marketing_said(CONSENT_WITHDRAWN, "e4", 4, "c1")};
    fold_reset(&fold);
    fold_event(&fold, &events[0]);
    assert_int_equal(fold.rows_written, 3); /* person, address, token */
    fold_event(&fold, &events[1]);
    assert_int_equal(fold.rows_written, 2); /* consent, person */
    fold_event(&fold, &events[2]);
    assert_int_equal(fold.rows_written, 7); /* both proofs, person, two notices and their refs */
    fold_event(&fold, &events[3]);
    assert_int_equal(fold.rows_written, 2);
}

/* Whoever has the address too is written although nothing of his changes: a grant of his that is decided
 * elsewhere at this moment must be decided again. */
static void an_objection_guards_whoever_has_the_address(void **context) {
    (void)context;
    struct event events[] = {marketing_registered("e1", 1, "c1", "a@"),
                             marketing_registered("e2", 2, "c2", "a@"),
                             marketing_said(CONSENT_OBJECTED, "e3", 3, "c1")};
    fold_reset(&fold);
    fold_event(&fold, &events[0]);
    fold_event(&fold, &events[1]);
    int64_t revision = state_find_person(fold.rows, TEXT("c2"), GENERATION_FIRST)->revision;
    fold_event(&fold, &events[2]);
    marketing_assert("c2", GENERATION_FIRST, PERMISSION_NONE, SINCE_NONE);
    assert_int_equal(state_find_person(fold.rows, TEXT("c2"), GENERATION_FIRST)->revision, revision + 1);
}

/* ---- random histories ---- */

/* Times collide, two persons share addresses, tokens come before they are given out. */
static size_t catalogue(struct event *all) {
    size_t count = 0;
    all[count++] = marketing_registered("r1", 3, "c1", "a@");
    all[count++] = marketing_changed("r2", 5, "c1", "b@");
    all[count++] = marketing_changed("r3", 8, "c1", NULL);
    all[count++] = marketing_registered("r4", 4, "c2", "b@");
    all[count++] = marketing_changed("r5", 6, "c2", "a@");
    all[count++] = marketing_granted("g1", 2, "c1", true);
    all[count++] = marketing_granted("g2", 6, "c1", false);
    all[count++] = marketing_granted("g3", 9, "c1", true);
    all[count++] = marketing_granted("g4", 5, "c2", true);
    all[count++] = marketing_soft_opt_in("g5", 7, "c2", "O2");
    all[count++] = marketing_soft_opt_in("g6", 6, "c1", "O1");
    all[count++] = marketing_said(CONSENT_WITHDRAWN, "w1", 6, "c1");
    all[count++] = marketing_said(CONSENT_OBJECTED, "o1", 7, "c1");
    all[count++] = marketing_said(CONSENT_OBJECTED, "o2", 5, "c2");
    all[count++] = marketing_by_token(CONSENT_WITHDRAWN, "t1", 9, "c1", GENERATION_FIRST);
    all[count++] = marketing_by_token(CONSENT_OBJECTED, "t2", 6, "c2", GENERATION_FIRST);
    all[count++] = fold_placed("p1", 5, "c1", "O1", 100);
    all[count++] = fold_paid("p2", 6, "c1", "O1", 100);
    all[count++] = fold_cancelled("p3", 7, "c1", "O1");
    all[count++] = fold_paid("p4", 6, "c2", "O2", 100);
    return count;
}

static void random_histories(void **context) {
    (void)context;
    struct event all[24];
    size_t count = catalogue(all);
    uint64_t seed = 20261123;
    for (size_t round = 0; round < 1500; round++) {
        soften(round % 2);
        marketing_try_some(all, count, &seed);
    }
    soften(false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(silence_is_denied),
        cmocka_unit_test(withdrawal_before_its_grant),
        cmocka_unit_test(equal_times_protect),
        cmocka_unit_test(double_opt_in),
        cmocka_unit_test(other_purposes_are_proofs_only),
        cmocka_unit_test(soft_opt_in_needs_its_sale),
        cmocka_unit_test(objection_and_soft_opt_in),
        cmocka_unit_test(no_address),
        cmocka_unit_test(the_link_works_twice),
        cmocka_unit_test(foreign_refs_are_no_tokens),
        cmocka_unit_test(an_objection_binds_the_address),
        cmocka_unit_test(mail_houses_know_what_is_allowed),
        cmocka_unit_test(a_stranger_objects_again),
        cmocka_unit_test(few_rows_are_written),
        cmocka_unit_test(an_objection_guards_whoever_has_the_address),
        cmocka_unit_test(random_histories),
    };
    marketing_begin(&fold);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fold_release(&fold);
    return failed;
}
