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
    struct register_postgres reg, other; /* two workers */
    struct arena arena;
    struct err err;
    char person[64], subject[80], topic[64];
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
    snprintf(fixture->topic, sizeof fixture->topic, "store-test-%d", (int)getpid());
    fixture->there =
        config_read(&fixture->config, &options, &fixture->err) == OK &&
        (fixture->policy = policy_read(fixture->config.policy_file, NULL, NULL, &fixture->err)) != NULL;
    register_postgres_init(&fixture->reg, fixture->config.register_as.consumer, "store_test", 2000);
    register_postgres_init(&fixture->other, fixture->config.register_as.consumer, "store_test", 200);
    if (!fixture->there || register_postgres.open(&fixture->reg, &fixture->err) != OK) {
        print_error("%s\n", fixture->err.text);
        return -1;
    }
    return 0;
}

/* Nothing stays that another test on the stack could not read. */
static void clean_up(struct fixture *fixture) {
    struct db *db;
    char sql[2048];
    snprintf(sql, sizeof sql,
             "DELETE FROM consent WHERE person = '%s'; DELETE FROM request WHERE request_id = '%s';"
             "DELETE FROM address WHERE hash = '%s'; DELETE FROM tombstone WHERE subject = '%s';"
             "DELETE FROM doomed WHERE person = '%s'; DELETE FROM outbox WHERE person = '%s';"
             "DELETE FROM outbox WHERE type = 'register.test'; DELETE FROM ledger WHERE subject = '%s';"
             "DELETE FROM person WHERE person = '%s'; DELETE FROM ref WHERE ref = '%s';"
             "DELETE FROM position WHERE topic = '%s'",
             fixture->person, fixture->person, fixture->person, fixture->subject, fixture->person,
             fixture->person, fixture->person, fixture->person, fixture->person, fixture->topic);
    if (db_open(&db, fixture->config.register_as.owner, "store_test", &fixture->err) != OK)
        return;
    if (db_run_script(db, sql, &fixture->err) != OK)
        print_error("%s\n", fixture->err.text);
    db_close(db);
}

static int tear_down(void **state) {
    struct fixture *fixture = *state;
    if (fixture->there) {
        register_postgres.close(&fixture->reg); /* whatever a failed test has left open ends here */
        register_postgres.close(&fixture->other);
        clean_up(fixture);
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
    register_postgres.rollback(&fixture->reg); /* each is a load of its own */
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

/* ---- who may write ---- */

static struct claimed claim_position(struct fixture *fixture) {
    struct claim claim = {text_of(fixture->topic), 0, 5, TEXT("store_test"), TEXT("cluster")};
    struct claimed claimed;
    assert_int_equal(register_postgres.claim(&fixture->reg, &claim, &fixture->arena, &claimed, &fixture->err),
                     OK);
    return claimed;
}

static size_t consents_stored(struct fixture *fixture) {
    KEYS(persons, text_of(fixture->person));
    struct read_request request = {.consents = persons};
    struct read_rows rows;
    read_rows(fixture, &request, &rows);
    return rows.consents.count;
}

/* Given a position that another worker has claimed since, or that stands elsewhere, when a batch is written
 * under the old claim, then write says which partition is lost and nothing of the batch is stored; under the
 * present claim it is, and the position with it. */
static void test_a_batch_counts_with_its_position(void **state) {
    struct fixture *fixture = fixture_of(state);
    struct consent consent = {.person = text_of(fixture->person),
                              .fact = TEXT("fenced"),
                              .act = CONSENT_WITHDRAWN,
                              .version = {.time_us = CUT_US, .source = TEXT("s"), .id = TEXT("i")},
                              .generation = GENERATION_FIRST,
                              .proof = {.until = DATE_NONE}};
    struct write_consent row = {&consent, TEXT("merge")};
    int64_t first = claim_position(fixture).epoch, second = claim_position(fixture).epoch;
    size_t before = consents_stored(fixture);
    struct advance wrong[] = {{.epoch = first, .next = 5, .after = 7},
                              {.epoch = second, .next = 4, .after = 7}};
    assert_int_equal(second, first + 1);
    for (size_t i = 0; i < 2; i++) {
        wrong[i].topic = text_of(fixture->topic);
        wrong[i].fingerprint.offset = -1;
        wrong[i].decided_us = CUT_US;
        struct write write = {.advances = {&wrong[i], 1}, .consents = {&row, 1}};
        assert_int_equal(write_rows(fixture, &write), FENCED);
        assert_true(wrong[i].lost);
        assert_false(write.policy_passed);
        assert_int_equal(consents_stored(fixture), before);
    }
    struct advance right = wrong[0];
    right.epoch = second;
    struct write write = {.advances = {&right, 1}, .consents = {&row, 1}};
    assert_int_equal(write_rows(fixture, &write), OK);
    assert_int_equal(consents_stored(fixture), before + 1);
    assert_int_equal(claim_position(fixture).next, 7);
}

/* Given a position that another worker has claimed since, when the old one parks it, then it stays as it is.
 */
static void test_only_its_holder_parks_a_position(void **state) {
    struct fixture *fixture = fixture_of(state);
    int64_t first = claim_position(fixture).epoch, second = claim_position(fixture).epoch;
    struct text topic = text_of(fixture->topic);
    assert_int_equal(register_postgres.park(&fixture->reg, topic, 0, first, TEXT("gap"), &fixture->err),
                     FENCED);
    assert_false(text_present(claim_position(fixture).parked));
    assert_int_equal(register_postgres.park(&fixture->reg, topic, 0, second + 1, TEXT("gap"), &fixture->err),
                     OK);
    assert_true(text_is(claim_position(fixture).parked, "gap"));
}

static struct person guard_of(struct fixture *fixture, int64_t revision) {
    struct person guard = {.person = text_of(fixture->person),
                           .generation = GENERATION_FIRST,
                           .revision = revision,
                           .closed_us = TIME_NONE,
                           .profile_activity_us = TIME_NONE,
                           .order_activity_us = TIME_NONE};
    guard.profile.until = DATE_NONE;
    return guard;
}

/* Given a person whom another transaction has cut since he was loaded, when what was decided without that is
 * written, then the guard is missed: cuts are looked at inside the transaction, not before it. */
static void test_a_person_read_before_another_wrote(void **state) {
    struct fixture *fixture = fixture_of(state);
    struct person loaded = guard_of(fixture, 0), late = guard_of(fixture, 0), anew = guard_of(fixture, 1);
    struct write_person first = {&loaded, TEXT("cut")}, second = {&late, TEXT("without it")},
                        third = {&anew, TEXT("with it")};
    struct write cut = {.persons = {&first, 1}}, without = {.persons = {&second, 1}},
                 with = {.persons = {&third, 1}};
    assert_int_equal(write_rows(fixture, &cut), OK);
    assert_int_equal(write_rows(fixture, &without), RETRY);
    assert_true(without.guard_missed);
    assert_int_equal(write_rows(fixture, &with), OK);
    KEYS(persons, text_of(fixture->person));
    struct read_request request = {.persons = persons};
    struct read_rows rows;
    read_rows(fixture, &request, &rows);
    assert_int_equal(rows.persons.count, 1);
    assert_int_equal(rows.persons.at[0].revision, 2);
    assert_true(text_is(rows.persons.at[0].merge, "with it"));
}

/* Given a load in several rounds, when somebody else commits between two of them, then it goes on as of its
 * first round, and only the next load sees what was committed. */
static void test_a_load_is_of_one_instant(void **state) {
    struct fixture *fixture = fixture_of(state);
    struct register_postgres *other = &fixture->other;
    KEYS(persons, text_of(fixture->person));
    struct read_request request = {.persons = persons};
    struct read_rows rows;
    read_rows(fixture, &request, &rows);
    int64_t revision = rows.persons.count ? rows.persons.at[0].revision : 0;
    struct person guard = guard_of(fixture, revision);
    struct write_person row = {&guard, TEXT("merge")};
    struct write write = {.policy_digest = fixture->policy->digest, .now_us = CUT_US, .persons = {&row, 1}};
    size_t before = rows.persons.count;
    assert_int_equal(register_postgres.open(other, &fixture->err), OK);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(
            register_postgres.read(&fixture->reg, &fixture->arena, &request, &rows, &fixture->err), OK);
        assert_int_equal(rows.persons.count, before);
        assert_int_equal(rows.persons.count ? rows.persons.at[0].revision : 0, revision);
        if (round)
            continue;
        assert_int_equal(register_postgres.write(other, &fixture->arena, &write, &fixture->err), OK);
        assert_int_equal(register_postgres.commit(other, &fixture->err), OK);
    }
    register_postgres.rollback(&fixture->reg);
    read_rows(fixture, &request, &rows);
    assert_int_equal(rows.persons.at[0].revision, revision + 1);
    register_postgres.close(other);
}

/* Given persons that a transaction has locked, when another writes one of them, then it waits. */
static void test_locked_persons_wait(void **state) {
    struct fixture *fixture = fixture_of(state);
    struct register_postgres *other = &fixture->other;
    struct text person = text_of(fixture->person);
    KEYS(persons, person);
    struct read_request request = {.persons = persons};
    struct read_rows rows;
    read_rows(fixture, &request, &rows);
    struct person guard = guard_of(fixture, rows.persons.count ? rows.persons.at[0].revision : 0);
    struct write_person row = {&guard, TEXT("merge")};
    struct write write = {.policy_digest = fixture->policy->digest, .persons = {&row, 1}};
    if (!rows.persons.count) {
        assert_int_equal(write_rows(fixture, &write), OK);
        guard.revision++;
    }
    assert_int_equal(register_postgres.open(other, &fixture->err), OK);
    assert_int_equal(register_postgres.lock(&fixture->reg, &fixture->arena, &person, 1, &fixture->err), OK);
    assert_int_equal(register_postgres.write(other, &fixture->arena, &write, &fixture->err), RETRY);
    assert_string_equal(fixture->err.sqlstate, "55P03");
    register_postgres.rollback(other);
    register_postgres.rollback(&fixture->reg);
    assert_int_equal(register_postgres.write(other, &fixture->arena, &write, &fixture->err), OK);
    register_postgres.rollback(other);
}

/* Given a ref that means something, when another transaction wants it to mean something else, or to park
 * under it, then the guard is missed. */
static void test_a_known_ref_keeps_its_meaning(void **state) {
    struct fixture *fixture = fixture_of(state);
    struct ref_entry known = {.ref = text_of(fixture->person),
                              .loaded = REF_UNKNOWN,
                              .now = REF_KNOWN,
                              .kind = REF_SHIPMENT,
                              .recipient = TEXT("posti"),
                              .customer_id = TEXT("c"),
                              .object_id = TEXT("s")};
    struct ref_entry other = known;
    const struct ref_entry *knowns = &known, *others = &other;
    struct write learnt = {.refs_new = {&knowns, 1}}, again = {.refs_parked = {&others, 1}};
    other.recipient = TEXT("matkahuolto");
    assert_int_equal(write_rows(fixture, &learnt), OK);
    assert_int_equal(write_rows(fixture, &again), RETRY);
    assert_true(again.guard_missed);
    KEYS(refs, text_of(fixture->person));
    struct read_request request = {.refs = refs};
    struct read_rows rows;
    read_rows(fixture, &request, &rows);
    assert_int_equal(rows.refs.count, 1);
    assert_true(text_is(rows.refs.at[0].recipient, "posti"));
}

static int64_t number(struct fixture *fixture, const char *sql) {
    const struct query query = {.name = sql, .sql = sql, .params = 1};
    struct db *db;
    struct db_result *result = NULL;
    struct db_params *params = db_params_new(&fixture->arena, 1);
    db_param_text(params, text_of(fixture->person));
    assert_int_equal(db_open(&db, fixture->config.register_as.owner, "store_test", &fixture->err), OK);
    if (db_run(db, &query, params, &result, &fixture->err) != OK)
        fail_msg("%s", fixture->err.text);
    int64_t value = db_int(result, 0, 0);
    db_result_release(result);
    db_close(db);
    return value;
}

/* Given an output that was decided before, as a dead letter is when its record is read again, then it is in
 * the outbox once; what goes with it is there. */
static void test_an_id_is_emitted_once(void **state) {
    struct fixture *fixture = fixture_of(state);
    struct output outputs[2];
    struct write_output rows[2];
    for (size_t i = 0; i < 2; i++) {
        outputs[i] = (struct output){.type = "register.test",
                                     .topic = TEXT("register.request.v1"),
                                     .key = TEXT("k"),
                                     .generation = GENERATION_FIRST,
                                     .category = CATEGORY_LEDGER,
                                     .subject = text_of(fixture->person),
                                     .cause = TEXT("test")};
        snprintf((char *)outputs[i].id.bytes, sizeof outputs[i].id.bytes, "%zu-%d", i, (int)getpid());
        rows[i] = (struct write_output){.at = &outputs[i], .body = TEXT("{}"), .decided_us = CUT_US};
    }
    struct write one = {.outputs = {rows, 1}}, both = {.outputs = {rows, 2}};
    assert_int_equal(write_rows(fixture, &one), OK);
    assert_int_equal(write_rows(fixture, &both), OK);
    assert_int_equal(number(fixture,
                            "SELECT count(*) FROM outbox JOIN ledger USING (output_id) WHERE subject = $1"
                            " AND kind = 'register.test'"),
                     2);
}

/* Given keys that are doomed already, when fewer of them are doomed again, then as many stay doomed. */
static void test_doomed_keys_stay_doomed(void **state) {
    struct fixture *fixture = fixture_of(state);
    struct key_doom high = {text_of(fixture->person), CUT_US, CATEGORY_PROFILE, 5, 6}, low = high;
    low.cells = low.transit = 2;
    struct write more = {.doomed = {&high, 1}}, fewer = {.doomed = {&low, 1}};
    assert_int_equal(write_rows(fixture, &more), OK);
    assert_int_equal(write_rows(fixture, &fewer), OK);
    assert_int_equal(
        number(fixture, "SELECT cells * 10 + transit FROM doomed WHERE person = $1 AND category = 0"), 56);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_consents),
                                       cmocka_unit_test(test_requests_and_addresses_guard_themselves),
                                       cmocka_unit_test(test_tombstones),
                                       cmocka_unit_test(test_unpublished_rows_are_sealed_anew),
                                       cmocka_unit_test(test_a_batch_counts_with_its_position),
                                       cmocka_unit_test(test_only_its_holder_parks_a_position),
                                       cmocka_unit_test(test_a_person_read_before_another_wrote),
                                       cmocka_unit_test(test_a_load_is_of_one_instant),
                                       cmocka_unit_test(test_locked_persons_wait),
                                       cmocka_unit_test(test_a_known_ref_keeps_its_meaning),
                                       cmocka_unit_test(test_an_id_is_emitted_once),
                                       cmocka_unit_test(test_doomed_keys_stay_doomed)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
