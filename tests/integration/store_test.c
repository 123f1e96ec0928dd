/* What forgetting and consents need of the register, over PostgreSQL as over memory: written, read back,
 * guarded. Stands on a stack: $KUNDREGISTER_CONFIG; skipped without. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "consumer/register_postgres.h"
#include "core/config.h"
#include "core/decide/pack.h"
#include "core/policy.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CUT_US INT64_C(1778932800123456)

struct fixture {
    struct config config;
    struct policy *policy;
    struct register_postgres reg;
    struct arena arena;
    struct err err;
    char person[64], subject[80];
    bool there;
};

static int set_up(void **state) {
    struct fixture *fixture = calloc(1, sizeof *fixture);
    *state = fixture;
    if (!getenv("KUNDREGISTER_CONFIG"))
        return 0;
    struct config_options options = {0};
    arena_init(&fixture->arena, (size_t)1 << 24);
    snprintf(fixture->person, sizeof fixture->person, "recipient:store-%d", (int)getpid());
    snprintf(fixture->subject, sizeof fixture->subject, "subject-%d", (int)getpid());
    fixture->there =
        config_read(&fixture->config, &options, &fixture->err) == OK &&
        (fixture->policy = policy_read(fixture->config.policy_file, NULL, NULL, &fixture->err)) != NULL;
    register_postgres_init(&fixture->reg, fixture->config.register_as.consumer, "store_test", 2000);
    if (!fixture->there || register_postgres.open(&fixture->reg, &fixture->err) != OK) {
        print_error("%s\n", fixture->err.text);
        return -1;
    }
    return 0;
}

/* Nothing stays that another test on the stack could not read. */
static void clean_up(struct fixture *fixture) {
    struct db *db;
    char sql[1024];
    snprintf(sql, sizeof sql,
             "DELETE FROM consent WHERE person = '%s'; DELETE FROM request WHERE request_id = '%s';"
             "DELETE FROM address WHERE hash = '%s'; DELETE FROM tombstone WHERE subject = '%s';"
             "DELETE FROM doomed WHERE person = '%s'; DELETE FROM outbox WHERE person = '%s';"
             "DELETE FROM ledger WHERE subject = '%s'",
             fixture->person, fixture->person, fixture->person, fixture->subject, fixture->person,
             fixture->person, fixture->person);
    if (db_open(&db, fixture->config.register_as.owner, "store_test", &fixture->err) != OK)
        return;
    if (db_run_script(db, sql, &fixture->err) != OK)
        print_error("%s\n", fixture->err.text);
    db_close(db);
}

static int tear_down(void **state) {
    struct fixture *fixture = *state;
    if (fixture->there) {
        clean_up(fixture);
        register_postgres.close(&fixture->reg);
        policy_free(fixture->policy);
        config_release(&fixture->config);
        arena_release(&fixture->arena);
    }
    free(fixture);
    return 0;
}

static struct fixture *fixture_of(void **state) {
    struct fixture *fixture = *state;
    if (!fixture->there)
        skip();
    return fixture;
}

static enum outcome write_rows(struct fixture *fixture, struct write *write) {
    write->policy_digest = fixture->policy->digest;
    write->now_us = CUT_US;
    enum outcome outcome = register_postgres.write(&fixture->reg, &fixture->arena, write, &fixture->err);
    if (outcome == OK)
        return register_postgres.commit(&fixture->reg, &fixture->err);
    register_postgres.rollback(&fixture->reg);
    return outcome;
}

static void read_rows(struct fixture *fixture, const struct read_request *request, struct read_rows *rows) {
    enum outcome outcome =
        register_postgres.read(&fixture->reg, &fixture->arena, request, rows, &fixture->err);
    if (outcome != OK)
        fail_msg("%s", fixture->err.text);
}

#define KEYS(name, text)                                                                                     \
    struct read_key name##_key = {(text), TEXT_ABSENT};                                                      \
    struct read_keys name = {&name##_key, 1}

/* Given a consent, when it is written and written again in another generation, then it is read so. */
static void test_consents(void **state) {
    struct fixture *fixture = fixture_of(state);
    struct text person = text_of(fixture->person);
    struct consent consent = {.person = person,
                              .fact = TEXT("fact"),
                              .act = CONSENT_GRANTED,
                              .version = {.time_us = CUT_US, .source = TEXT("s"), .id = TEXT("i")},
                              .generation = GENERATION_FIRST,
                              .purpose = TEXT("newsletter"),
                              .has_confirmed = true,
                              .confirmed = true,
                              .proof = {.until = 20000, .sealed = TEXT("sealed")}};
    struct write_consent row = {&consent, TEXT("merge")};
    struct write write = {.consents = {&row, 1}};
    assert_int_equal(write_rows(fixture, &write), OK);
    consent.generation = CUT_US;
    row.merge = TEXT("other");
    assert_int_equal(write_rows(fixture, &write), OK);
    KEYS(persons, person);
    struct read_request request = {.consents = persons};
    struct read_rows rows;
    read_rows(fixture, &request, &rows);
    assert_int_equal(rows.consents.count, 1);
    assert_true(text_is(rows.consents.at[0].fact, "fact") && text_is(rows.consents.at[0].merge, "other"));
    assert_int_equal(rows.consents.at[0].proof.until, consent.proof.until);
    assert_true(text_is(rows.consents.at[0].proof.sealed, "sealed"));
}

/* Given a request and an address, when they are written with another revision than the stored one, then the
 * guard is missed and nothing is written. */
static void test_requests_and_addresses_guard_themselves(void **state) {
    struct fixture *fixture = fixture_of(state);
    struct received_fact received = {.version = {.time_us = CUT_US},
                                     .person = text_of(fixture->person),
                                     .channel = TEXT("letter"),
                                     .identity = IDENTITY_ACCOUNT};
    struct request request = {.request_id = text_of(fixture->person),
                              .identified_us = TIME_NONE,
                              .state = REQUEST_OPEN,
                              .due = 20600,
                              .until = DATE_NONE};
    request.received.at = &received;
    request.received.count = 1;
    struct address address = {.hash = text_of(fixture->person)};
    struct write_request request_row = {&request, TEXT("merge")};
    struct write_address address_row = {&address, TEXT("merge")};
    struct write both = {.requests = {&request_row, 1}, .addresses = {&address_row, 1}};
    assert_int_equal(write_rows(fixture, &both), OK);
    assert_int_equal(write_rows(fixture, &both), RETRY);
    assert_true(both.guard_missed);
    request.revision = 1;
    struct write of_request = {.requests = {&request_row, 1}, .addresses = {&address_row, 1}};
    assert_int_equal(write_rows(fixture, &of_request), RETRY);
    assert_true(of_request.guard_missed);
    address.revision = 1;
    struct write again = {.requests = {&request_row, 1}, .addresses = {&address_row, 1}};
    assert_int_equal(write_rows(fixture, &again), OK);
    KEYS(keys, text_of(fixture->person));
    struct read_request asked = {.requests = keys, .addresses = keys};
    struct read_rows rows;
    read_rows(fixture, &asked, &rows);
    assert_int_equal(rows.requests.count, 1);
    assert_int_equal(rows.requests.at[0].revision, 2);
    assert_int_equal(rows.addresses.count, 1);
    assert_int_equal(rows.addresses.at[0].revision, 2);
}

/* Given a tombstone without a person, when its person takes it over, then it is an orphan no more. */
static void test_tombstones(void **state) {
    struct fixture *fixture = fixture_of(state);
    struct cut cut = {.cut_us = CUT_US,
                      .cause = CUT_REQUEST,
                      .valid = true,
                      .complete = true,
                      .completed_us = CUT_US + 1,
                      .restored = true};
    struct write_tombstone row = {text_of(fixture->subject), TEXT_ABSENT, GENERATION_FIRST, &cut,
                                  TEXT("profile,delivery")};
    struct write write = {.tombstones = {&row, 1}};
    KEYS(subjects, text_of(fixture->subject));
    struct read_request asked = {.orphans = subjects};
    struct read_rows rows;
    assert_int_equal(write_rows(fixture, &write), OK);
    read_rows(fixture, &asked, &rows);
    assert_int_equal(rows.orphans.count, 1);
    const struct cut *read = &rows.orphans.at[0].cut;
    assert_true(read->cut_us == CUT_US && read->cause == CUT_REQUEST && read->valid && read->complete &&
                read->completed_us == CUT_US + 1 && read->restored);
    row.person = text_of(fixture->person);
    assert_int_equal(write_rows(fixture, &write), OK);
    read_rows(fixture, &asked, &rows);
    assert_int_equal(rows.orphans.count, 0);
}

/* Given a sealed output of a recipient's shipment, then the shipment is among what is his, and the row's body
 * is replaced in its place. */
static void test_unpublished_rows_are_sealed_anew(void **state) {
    struct fixture *fixture = fixture_of(state);
    struct text person = text_of(fixture->person);
    struct output output = {.type = "register.disclosure.shipment",
                            .topic = TEXT("disclosure.posti.v1"),
                            .key = TEXT("k"),
                            .person = person,
                            .generation = GENERATION_FIRST,
                            .category = CATEGORY_DELIVERY,
                            .subject = person,
                            .recipient = TEXT("posti"),
                            .customer_id = TEXT("store-c"),
                            .shipment_id = TEXT("store-s"),
                            .cause = TEXT("test")};
    snprintf((char *)output.id.bytes, sizeof output.id.bytes, "%d", (int)getpid());
    struct write_output row = {.at = &output, .row_id = "row", .body = TEXT("old"), .decided_us = CUT_US};
    struct key_doom doom = {person, GENERATION_FIRST, CATEGORY_DELIVERY, 2, 3};
    struct write write = {.outputs = {&row, 1}, .doomed = {&doom, 1}};
    struct row_unpublished *found;
    size_t count;
    assert_int_equal(write_rows(fixture, &write), OK);
    assert_int_equal(
        register_unpublished(&fixture->reg, &fixture->arena, &doom, 1, &found, &count, &fixture->err), OK);
    assert_int_equal(count, 1);
    assert_true(text_is(found->body, "old") && text_is(found->shipment_id, "store-s") &&
                found->category == CATEGORY_DELIVERY && found->row_id.size == ROW_ID_BYTES);
    struct write_resealed resealed = {found->seq, found->row_id, TEXT("new")};
    struct write anew = {.resealed = {&resealed, 1}, .doomed = {&doom, 1}};
    assert_int_equal(write_rows(fixture, &anew), OK);
    assert_int_equal(
        register_unpublished(&fixture->reg, &fixture->arena, &doom, 1, &found, &count, &fixture->err), OK);
    assert_true(count == 1 && text_is(found->body, "new"));
    KEYS(persons, person);
    struct read_request asked = {.wholes = persons};
    struct read_rows rows;
    read_rows(fixture, &asked, &rows);
    assert_int_equal(rows.wholes.count, 1);
    assert_true(!rows.wholes.at[0].is_order && text_is(rows.wholes.at[0].key.object_id, "store-s"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_consents), cmocka_unit_test(test_requests_and_addresses_guard_themselves),
        cmocka_unit_test(test_tombstones), cmocka_unit_test(test_unpublished_rows_are_sealed_anew)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
