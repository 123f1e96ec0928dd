/* What goes out and what comes back: disclosures of exactly what the policy names, notices with refs that
 * only their reader can use, answers, parked refs and their end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/json_read.h"
#include "tests/unit/fold.h"

static struct fold fold;

static int begin(void **state) {
    (void)state;
    fold_reset(&fold);
    return 0;
}

static const struct json *body(const struct output *output) {
    struct json *root;
    assert_int_equal(json_parse(output->body, 0, &fold.kept, &root), JSON_FINE);
    return root;
}

/* The names of an object's members, joined by spaces. */
static void assert_members(const struct json *object, const char *expected) {
    char names[400] = "";
    size_t size = 0;
    for (const struct json *member = object->first; member; member = member->next) {
        assert_true(size + member->key.size + 2 < sizeof(names));
        if (size)
            names[size++] = ' ';
        memcpy(names + size, member->key.at, member->key.size);
        size += member->key.size;
    }
    assert_string_equal(names, expected);
}

static void assert_member(const struct json *object, const char *name, const char *value) {
    struct text text = json_member_text(object, name);
    if (!text_is(text, value))
        fail_msg("%s is %.*s, not %s", name, TEXT_ARGS(text), value);
}

#define SHIPMENT "register.disclosure.shipment"
#define CORRECTED "register.disclosure.corrected"
#define WITHDRAWN "register.disclosure.withdrawn"
#define ANONYMIZE "register.notice.anonymize"
#define DEAD_LETTER "register.dead-letter"

/* Golden 5: Matkahuolto's pickup sees four fields; no street, total or e-mail. */
static void a_pickup_needs_four_fields(void **state) {
    (void)state;
    struct event event = fold_requested("e1", 0, "c1", "o1", "s1", "matkahuolto", "pickup");
    assert_int_equal(fold_event(&fold, &event), VERDICT_APPLIED);
    assert_int_equal(fold.outputs.count, 1);
    const struct output *output = fold_output(&fold, SHIPMENT, 0);
    const struct json *message = body(output);
    assert_members(
        message,
        "disclosure_ref fields keep_until parcels person_ref policy purpose role service shipment_ref");
    assert_members(json_member(message, "fields"), "first_name last_name phone pickup_point");
    assert_member(json_member(message, "fields"), "last_name", "Öhman \"Ö\"");
    assert_member(message, "keep_until", "2026-11-20");
    assert_member(message, "purpose", "order");
    assert_member(message, "role", "consignee");
    assert_member(message, "policy", fold.policy->digest);
    assert_true(text_is(output->topic, "disclosure.matkahuolto.v1"));
    assert_true(text_equal(output->key, json_member_text(message, "person_ref")));
    assert_true(text_is(output->person, "c1"));
    assert_true(text_is(output->cause, "urn:shop e1"));
    assert_int_equal(output->fields, FIELD_BIT(FIRST_NAME) | FIELD_BIT(LAST_NAME) | FIELD_BIT(PHONE) |
                                         FIELD_BIT(FIELD_PICKUP_POINT));
}

/* Golden 7: the old carrier is asked to forget before the new one is told; their refs have nothing in common.
 */
static void a_new_carrier_and_the_old(void **state) {
    (void)state;
    struct event event = fold_requested("e1", 0, "c1", "o1", "s1", "posti", "2104");
    fold_event(&fold, &event);
    event = fold_requested("e2", 5, "c1", "o1", "s1", "matkahuolto", "home");
    fold_event(&fold, &event);
    assert_int_equal(fold.outputs.count, 4);
    assert_string_equal(fold.outputs.at[1].type, WITHDRAWN);
    assert_string_equal(fold.outputs.at[2].type, ANONYMIZE);
    assert_string_equal(fold.outputs.at[3].type, SHIPMENT);
    const struct json *first = body(&fold.outputs.at[0]), *withdrawn = body(&fold.outputs.at[1]);
    const struct json *anonymize = body(&fold.outputs.at[2]), *second = body(&fold.outputs.at[3]);
    assert_members(withdrawn, "answer_by disclosure_ref notice_ref person_ref reason");
    assert_member(withdrawn, "reason", "carrier_changed");
    assert_member(withdrawn, "answer_by", "2026-06-03");
    assert_members(anonymize, "answer_by cause disclosures notice_ref person_ref reminder");
    assert_member(anonymize, "cause", "withdrawn");
    assert_true(text_equal(json_member(anonymize, "disclosures")->first->text,
                           json_member_text(first, "disclosure_ref")));
    static const char *const refs[] = {"disclosure_ref", "person_ref", "shipment_ref"};
    for (size_t i = 0; i < 3; i++) {
        for (size_t j = 0; j < 3; j++)
            assert_false(text_equal(json_member_text(first, refs[i]), json_member_text(second, refs[j])));
    }
    assert_false(text_present(fold.outputs.at[1].person)); /* nothing personal in it */

    /* back to the first carrier: its ref is the same again, a notice's is not */
    event = fold_requested("e3", 9, "c1", "o1", "s1", "posti", "2104");
    fold_event(&fold, &event);
    const struct json *again = body(fold_output(&fold, SHIPMENT, 2));
    assert_true(
        text_equal(json_member_text(first, "disclosure_ref"), json_member_text(again, "disclosure_ref")));
    fold_told(&fold);
}

/* Golden 9: the address is corrected as a group, null clears, and what the service does not name stays here.
 */
static void an_address_is_corrected_as_a_group(void **state) {
    (void)state;
    struct event event = fold_requested("e1", 0, "c1", "o1", "s1", "posti", "2104");
    event.as.shipment.consignee.field[COUNTRY] = TEXT("FI");
    fold_event(&fold, &event);
    event = fold_requested("e2", 5, "c1", "o1", "s1", "posti", "2104");
    event.type = SHIPMENT_CHANGED;
    event.as.shipment.consignee.field[STREET] = TEXT("Nya gatan 9");
    event.as.shipment.consignee.field[EMAIL] = TEXT("other@example.org");
    fold_event(&fold, &event);
    assert_int_equal(fold.outputs.count, 2);
    const struct json *message = body(fold_output(&fold, CORRECTED, 0));
    assert_members(message, "answer_by disclosure_ref fields notice_ref person_ref");
    assert_members(json_member(message, "fields"), "city country postcode street");
    assert_int_equal(json_member(json_member(message, "fields"), "country")->type, JSON_NULL);
    event.version.id = TEXT("e3");
    event.version.time_us++;
    event.as.shipment.consignee.field[EMAIL] = TEXT("third@example.org");
    fold_event(&fold, &event);
    assert_int_equal(fold.outputs.count, 2); /* nothing visible changed */
    event.version.id = TEXT("e4");
    event.version.time_us++;
    event.as.shipment.parcels = 3;
    event.as.shipment.consignee.field[PHONE] = TEXT("+358500000001");
    fold_event(&fold, &event);
    assert_int_equal(fold_count(&fold, SHIPMENT), 2); /* parcels: disclosed again, the phone with it */
    assert_int_equal(fold_count(&fold, CORRECTED), 1);
    fold_told(&fold);
}

/* A change of service withdraws without a request to anonymize; leaving then names both disclosures. */
static void a_change_of_service_and_a_cancel(void **state) {
    (void)state;
    struct event event = fold_requested("e1", 0, "c1", "o1", "s1", "posti", "2103");
    fold_event(&fold, &event);
    event = fold_requested("e2", 5, "c1", "o1", "s1", "posti", "2104");
    fold_event(&fold, &event);
    assert_int_equal(fold_count(&fold, ANONYMIZE), 0);
    assert_member(body(fold_output(&fold, WITHDRAWN, 0)), "reason", "service_changed");
    event = fold_shipment_cancelled("e3", 9, "c1", "o1", "s1");
    fold_event(&fold, &event);
    assert_member(body(fold_output(&fold, WITHDRAWN, 1)), "reason", "cancelled");
    assert_int_equal(json_member(body(fold_output(&fold, ANONYMIZE, 0)), "disclosures")->count, 2);
    event = fold_requested("e4", 20, "c1", "o1", "s1", "posti", "2104");
    fold_event(&fold, &event);
    assert_int_equal(fold_count(&fold, SHIPMENT), 2); /* cancelled is sticky */
    fold_told(&fold);
}

/* Golden 10: a return label makes the customer the consignor; 8 in part: a gift's notice bears the
 * recipient's ref. */
static void returns_and_gifts(void **state) {
    (void)state;
    struct event event = fold_requested("e1", 0, "c1", "o1", "s1", "posti", "return");
    fold_event(&fold, &event);
    const struct json *message = body(fold_output(&fold, SHIPMENT, 0));
    assert_member(message, "role", "consignor");
    assert_member(message, "service", "return");
    event = fold_requested("e2", 0, "c1", "o1", "s2", "posti", "2103");
    event.as.shipment.recipient_id = TEXT("r1");
    fold_event(&fold, &event);
    assert_true(text_is(fold_output(&fold, SHIPMENT, 1)->subject, "recipient:r1"));
    event.version.id = TEXT("e3");
    event.version.time_us++;
    event.as.shipment.recipient_id = TEXT("r2");
    fold_event(&fold, &event);
    assert_member(body(fold_output(&fold, WITHDRAWN, 0)), "reason", "recipient_changed");
    assert_true(text_is(fold_output(&fold, ANONYMIZE, 0)->subject, "recipient:r1"));
    assert_true(text_is(fold_output(&fold, SHIPMENT, 2)->subject, "recipient:r2"));
}

/* ---- answers ---- */

static const struct notice *only_notice(void) {
    size_t count;
    struct notice *const *notices = state_notices(fold.rows, &count);
    assert_int_equal(count, 1);
    return notices[0];
}

static void the_latest_answer_stands(void **state) {
    (void)state;
    struct event event = fold_requested("e1", 0, "c1", "o1", "s1", "posti", "2104");
    fold_event(&fold, &event);
    event = fold_requested("e2", 5, "c1", "o1", "s1", "posti", "2104");
    event.as.shipment.consignee.field[PHONE] = TEXT("+358500000001");
    fold_event(&fold, &event);
    struct text ref = fold_notice_ref(&fold, fold_output(&fold, CORRECTED, 0));
    struct event retained = fold_acknowledged(&fold, "a2", 20, "posti", ref, ACK_RETAINED);
    struct event corrected = fold_acknowledged(&fold, "a1", 10, "posti", ref, ACK_CORRECTED);
    assert_int_equal(fold_event(&fold, &retained), VERDICT_APPLIED);
    assert_int_equal(fold_event(&fold, &corrected), VERDICT_APPLIED);
    assert_int_equal(only_notice()->outcome, ACK_RETAINED);
    assert_true(text_is(only_notice()->ground.content, "{\"ground\":\"complaint under way\"}"));
    assert_int_equal(only_notice()->ground.until, date_of(2029, 5, 2));
    assert_int_equal(only_notice()->retained_until, date_of(2026, 12, 24));
    struct event later = fold_acknowledged(&fold, "a3", 30, "posti", ref, ACK_ERASED);
    fold_event(&fold, &later);
    assert_int_equal(only_notice()->outcome, ACK_ERASED);
    assert_int_equal(only_notice()->ground.until, DATE_NONE);
    fold_event(&fold, &later);
    assert_int_equal(fold.rows_written, 0);
}

/* An answer that comes before its notice (a register restored from a backup meets such) waits for it. */
static void an_answer_before_its_notice(void **state) {
    (void)state;
    struct event requested = fold_requested("e1", 0, "c1", "o1", "s1", "posti", "2104");
    struct event cancelled = fold_shipment_cancelled("e2", 9, "c1", "o1", "s1");
    fold_event(&fold, &requested);
    fold_event(&fold, &cancelled);
    struct event withdrawn = fold_acknowledged(
        &fold, "a1", 10, "posti", fold_notice_ref(&fold, fold_output(&fold, WITHDRAWN, 0)), ACK_ERASED);
    struct event anonymized = fold_acknowledged(
        &fold, "a2", 10, "posti", fold_notice_ref(&fold, fold_output(&fold, ANONYMIZE, 0)), ACK_ERASED);
    for (int together = 0; together < 2; together++) {
        fold_reset(&fold);
        assert_int_equal(fold_event(&fold, &withdrawn), VERDICT_PARKED);
        assert_int_equal(fold_event(&fold, &anonymized), VERDICT_PARKED);
        const struct event *both[] = {&requested, &cancelled};
        if (together) {
            fold_batch(&fold, both, 2);
        } else {
            fold_event(&fold, &requested);
            fold_event(&fold, &cancelled);
        }
        size_t count;
        struct notice *const *notices = state_notices(fold.rows, &count);
        assert_int_equal(count, 2);
        for (size_t i = 0; i < count; i++)
            assert_int_equal(notices[i]->answer.time_us, withdrawn.version.time_us);
        assert_int_equal(fold.verdicts[VERDICT_PARKED], 2);
        assert_int_equal(fold.verdicts[VERDICT_APPLIED], 4);
    }
}

/* ---- refs ---- */

static void assert_dead_letter(size_t index, const char *reason) {
    const struct output *output = fold_output(&fold, DEAD_LETTER, index);
    assert_member(body(output), "reason", reason);
    assert_members(body(output), "offset partition reason record_hash topic");
    assert_true(text_is(output->topic, "register.dead-letter.v1"));
    assert_false(text_present(output->person));
}

static void a_foreign_ref_is_not_yours(void **state) {
    (void)state;
    struct event requested = fold_requested("e1", 0, "c1", "o1", "s1", "posti", "2104");
    struct event status = fold_status(&fold, "d1", 10, "posti", "c1", "s1", 0, STATUS_DELIVERED);
    status.sender = TEXT("matkahuolto");
    assert_int_equal(fold_event(&fold, &status), VERDICT_PARKED);
    fold_event(&fold, &requested); /* unparked: not_yours */
    assert_dead_letter(0, "not_yours");
    status.offset++;
    assert_int_equal(fold_event(&fold, &status), VERDICT_DEAD_LETTER);
    assert_dead_letter(1, "not_yours");
    assert_int_equal(fold.verdicts[VERDICT_DEAD_LETTER], 2);
    size_t count;
    assert_int_equal(state_shipments(fold.rows, &count)[0]->statuses.count, 0);
    struct event wrong =
        fold_acknowledged(&fold, "a1", 12, "posti", status.as.delivery.shipment_ref, ACK_ERASED);
    assert_int_equal(fold_event(&fold, &wrong), VERDICT_DEAD_LETTER);
    assert_dead_letter(2, "unknown_ref");
}

static void parking_ends_after_30_days(void **state) {
    (void)state;
    struct event status = fold_status(&fold, "d1", 10, "posti", "c1", "s9", 0, STATUS_DELIVERED);
    assert_int_equal(fold_event(&fold, &status), VERDICT_PARKED);
    assert_int_equal(fold.rows_written, 1);
    assert_int_equal(fold_event(&fold, &status), VERDICT_PARKED); /* read again after a reset */
    assert_int_equal(fold.rows_written, 0);
    assert_int_equal(fold_expire(&fold, &status), VERDICT_DEAD_LETTER);
    assert_dead_letter(0, "unknown_ref");
    assert_int_equal(state_find_ref(fold.rows, status.as.delivery.shipment_ref)->now, REF_PARKED);
    assert_int_equal(fold_expire(&fold, &status), VERDICT_APPLIED); /* already settled */
    assert_int_equal(fold.outputs.count, 1);
    struct output_id id = fold.outputs.at[0].id;
    fold.now_us += INT64_C(60) * 86400 * 1000000; /* replayed later: the same dead letter under the same id */
    assert_int_equal(fold_event(&fold, &status), VERDICT_DEAD_LETTER);
    assert_memory_equal(&fold.outputs.at[1].id, &id, sizeof(id));
    fold.now_us -= INT64_C(60) * 86400 * 1000000;
}

static void what_is_not_built_is_not_lost(void **state) {
    (void)state;
    struct event event = fold_fact(RETURN_REQUESTED, "e1", 0, "");
    event.customer_id = TEXT("c1");
    assert_int_equal(fold_event(&fold, &event), VERDICT_DEAD_LETTER);
    assert_dead_letter(0, "not_supported");
    assert_int_equal(fold.verdicts[VERDICT_DEAD_LETTER], 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_pickup_needs_four_fields, begin),
        cmocka_unit_test_setup(a_new_carrier_and_the_old, begin),
        cmocka_unit_test_setup(an_address_is_corrected_as_a_group, begin),
        cmocka_unit_test_setup(a_change_of_service_and_a_cancel, begin),
        cmocka_unit_test_setup(returns_and_gifts, begin),
        cmocka_unit_test_setup(the_latest_answer_stands, begin),
        cmocka_unit_test_setup(an_answer_before_its_notice, begin),
        cmocka_unit_test_setup(a_foreign_ref_is_not_yours, begin),
        cmocka_unit_test_setup(parking_ends_after_30_days, begin),
        cmocka_unit_test_setup(what_is_not_built_is_not_lost, begin),
    };
    fold_init(&fold);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fold_release(&fold);
    return failed;
}
