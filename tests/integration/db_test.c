/* The seam to libpq against a real register: types there and back, pipelines larger than any socket buffer,
 * failures in the middle of them, connections that die. Stands on a stack: $KUNDREGISTER_CONFIG; skipped
 * without. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/config.h"
#include "core/db.h"
#include "core/term.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ARENA_BYTES ((size_t)256 << 20)

struct fixture {
    struct config config;
    struct arena arena;
    struct db *db;
    struct err err;
};

static int set_up(void **state) {
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    *state = fixture;
    if (!fixture || !getenv("KUNDREGISTER_CONFIG")) {
        return fixture ? 0 : -1;
    }
    arena_init(&fixture->arena, ARENA_BYTES);
    struct config_options options = {0};
    if (config_read(&fixture->config, &options, &fixture->err) != OK ||
        db_open(&fixture->db, fixture->config.register_as.owner, "db_test", &fixture->err) != OK) {
        print_error("%s\n", fixture->err.text);
        return -1;
    }
    return db_run_script(
               fixture->db,
               "CREATE TEMP TABLE item (id bigint PRIMARY KEY CHECK (id >= 0), name text);"
               "CREATE TEMP TABLE promise (id bigint REFERENCES item DEFERRABLE INITIALLY DEFERRED)",
               &fixture->err) == OK
               ? 0
               : -1;
}

static int tear_down(void **state) {
    struct fixture *fixture = *state;
    if (fixture->db) {
        db_close(fixture->db);
        arena_release(&fixture->arena);
        config_release(&fixture->config);
    }
    free(fixture);
    return 0;
}

static struct fixture *fixture_of(void **state) {
    struct fixture *fixture = *state;
    if (!fixture->db) {
        skip();
    }
    db_abandon(fixture->db);
    arena_reset(&fixture->arena);
    return fixture;
}

static const struct query begin = {.name = "begin", .sql = "BEGIN"};
static const struct query commit = {.name = "commit", .sql = "COMMIT"};
static const struct query insert = {
    .name = "insert", .sql = "INSERT INTO item SELECT * FROM unnest($1::bigint[], $2::text[])", .params = 2};
static const struct query count_items = {.name = "count", .sql = "SELECT count(*) FROM item"};
static const struct query one = {.name = "one", .sql = "SELECT 1"};
static const struct query misspelt = {.name = "misspelt", .sql = "SELEC 1"};

static void send(struct fixture *fixture, const struct query *query, struct db_params *params) {
    assert_int_equal(db_send(fixture->db, query, params, &fixture->err), OK);
}
static void send_items(struct fixture *fixture, int64_t from, size_t rows, struct text name) {
    struct db_params *params = db_params_new(&fixture->arena, 2);
    struct db_column *id = db_column(params, DB_INT8, rows), *text = db_column(params, DB_TEXT, rows);
    for (size_t i = 0; i < rows; i++) {
        db_put_int(id, from + (int64_t)i);
        db_put_text(text, name);
    }
    send(fixture, &insert, params);
}
static void sync_all(struct fixture *fixture) {
    assert_int_equal(db_sync(fixture->db, &fixture->err), OK);
}
static enum outcome next(struct fixture *fixture) {
    struct db_result *result = NULL;
    enum outcome outcome = db_next(fixture->db, &result, &fixture->err);
    assert_true(outcome == OK ? result != NULL : result == NULL);
    db_result_release(result);
    return outcome;
}
static int64_t number(struct fixture *fixture, const struct query *query) {
    struct db_result *result = NULL;
    if (db_run(fixture->db, query, NULL, &result, &fixture->err) != OK) {
        fail_msg("%s: %s", query->name, fixture->err.text);
    }
    int64_t value = db_int(result, 0, 0);
    db_result_release(result);
    return value;
}

static void scalars_return(void **state) {
    struct fixture *fixture = fixture_of(state);
    static const struct query echo = {
        .name = "echo",
        .sql = "SELECT $1::text, $2::bigint, $3::int, $4::bool, $5::timestamptz, $6::bytea, $7::text,"
               " $8::timestamptz, '2026-11-22'::date, '1969-12-31'::date, NULL::date, ($3 - 7)::int2,"
               " '00112233-4455-6677-8899-aabbccddeeff'::uuid, 'infinity'::timestamptz, $5::text, $9::text",
        .params = 9};
    struct db_params *params = db_params_new(&fixture->arena, 9);
    db_param_text(params, TEXT("Åsa 😀"));
    db_param_int8(params, INT64_MIN);
    db_param_int4(params, -5);
    db_param_bool(params, true);
    db_param_time(params, INT64_C(1795379465123456));
    db_param_bytes(params, (struct text){"\0\xff", 2});
    db_param_text(params, TEXT_ABSENT);
    db_param_time(params, -1);
    db_param_text(params, TEXT(""));
    struct db_result *result = NULL;
    assert_int_equal(db_run(fixture->db, &echo, params, &result, &fixture->err), OK);
    assert_int_equal(db_rows(result), 1);
    assert_true(text_is(db_text(result, 0, 0), "Åsa 😀"));
    assert_true(db_int(result, 0, 1) == INT64_MIN);
    assert_int_equal(db_int(result, 0, 2), -5);
    assert_true(db_bool(result, 0, 3));
    assert_true(db_time(result, 0, 4) == INT64_C(1795379465123456));
    assert_true(text_equal(db_text(result, 0, 5), (struct text){"\0\xff", 2}));
    assert_true(db_is_null(result, 0, 6) && !text_present(db_text(result, 0, 6)));
    assert_true(db_time(result, 0, 7) == -1);
    int32_t date;
    assert_true(date_parse(TEXT("2026-11-22"), &date) && db_date(result, 0, 8) == date);
    assert_int_equal(db_date(result, 0, 9), -1);
    assert_int_equal(db_date(result, 0, 10), DATE_NONE);
    assert_int_equal(db_int(result, 0, 11), -12);
    assert_int_equal(db_text(result, 0, 12).size, 16);
    assert_int_equal((unsigned char)db_text(result, 0, 12).at[15], 0xff);
    assert_true(db_time(result, 0, 13) == INT64_MAX);
    assert_true(text_is(db_text(result, 0, 14), "2026-11-22 20:31:05.123456+00"));
    assert_true(text_present(db_text(result, 0, 15)) && db_text(result, 0, 15).size == 0);
    db_result_release(result);
}

static void columns_return(void **state) {
    struct fixture *fixture = fixture_of(state);
    static const struct query echo = {
        .name = "echo_columns",
        .sql =
            "SELECT * FROM unnest($1::bool[], $2::int2[], $3::int[], $4::bigint[], $5::text[], $6::bytea[],"
            " $7::timestamptz[], $8::date[], $9::uuid[])",
        .params = 9};
    const size_t rows = 300;
    struct db_params *params = db_params_new(&fixture->arena, 9);
    struct db_column *columns[9];
    for (enum db_type type = DB_BOOL; type <= DB_UUID; type++) {
        columns[type] = db_column(params, type, rows);
    }
    char text[1000];
    memset(text, 'x', sizeof(text));
    for (size_t i = 0; i < rows; i++) {
        db_put_bool(columns[DB_BOOL], i % 2);
        db_put_int(columns[DB_INT2], -(int64_t)i);
        db_put_int(columns[DB_INT4], (int64_t)i << 20);
        db_put_int(columns[DB_INT8], (int64_t)i << 50);
        db_put_text(columns[DB_TEXT], i % 7 ? (struct text){text, i * 3} : TEXT_ABSENT);
        db_put_text(columns[DB_BYTEA], (struct text){text, i});
        db_put_time(columns[DB_TIMESTAMPTZ], i % 5 ? (int64_t)i : -1);
        db_put_date(columns[DB_DATE], i % 3 ? (int32_t)i - 100 : DATE_NONE);
        db_put_text(columns[DB_UUID], (struct text){text, 16});
    }
    struct db_result *result = NULL;
    if (db_run(fixture->db, &echo, params, &result, &fixture->err) != OK) {
        fail_msg("%s", fixture->err.text);
    }
    assert_int_equal(db_rows(result), rows);
    for (size_t i = 0; i < rows; i++) {
        assert_true(db_bool(result, i, 0) == (i % 2 == 1));
        assert_true(db_int(result, i, 1) == -(int64_t)i);
        assert_true(db_int(result, i, 2) == (int64_t)i << 20);
        assert_true(db_int(result, i, 3) == (int64_t)i << 50);
        assert_true(text_equal(db_text(result, i, 4), i % 7 ? (struct text){text, i * 3} : TEXT_ABSENT));
        assert_true(text_equal(db_text(result, i, 5), (struct text){text, i}));
        assert_true(db_time(result, i, 6) == (i % 5 ? (int64_t)i : -1));
        assert_true(db_date(result, i, 7) == (i % 3 ? (int32_t)i - 100 : DATE_NONE));
        assert_int_equal(db_text(result, i, 8).size, 16);
    }
    db_result_release(result);
}

static void empty_columns_are_empty_arrays(void **state) {
    struct fixture *fixture = fixture_of(state);
    struct db_result *result = NULL;
    send_items(fixture, 0, 0, TEXT("nobody"));
    sync_all(fixture);
    assert_int_equal(db_next(fixture->db, &result, &fixture->err), OK);
    assert_true(db_affected(result) == 0);
    db_result_release(result);
}

/* Both directions filled far beyond what sockets hold: a client that only writes would wait for ever. */
static void large_pipelines_do_not_block(void **state) {
    struct fixture *fixture = fixture_of(state);
    static const struct query echo = {
        .name = "echo_large", .sql = "SELECT * FROM unnest($1::text[])", .params = 1};
    static char text[50000];
    memset(text, 'y', sizeof(text));
    for (int i = 0; i < 20; i++) {
        struct db_params *params = db_params_new(&fixture->arena, 1);
        struct db_column *column = db_column(params, DB_TEXT, 20);
        for (int row = 0; row < 20; row++) {
            db_put_text(column, (struct text){text, sizeof(text)});
        }
        send(fixture, &echo, params);
    }
    sync_all(fixture);
    for (int i = 0; i < 20; i++) {
        struct db_result *result = NULL;
        assert_int_equal(db_next(fixture->db, &result, &fixture->err), OK);
        assert_int_equal(db_rows(result), 20);
        db_result_release(result);
    }
}

static void data_errors_poison_and_skip_the_rest(void **state) {
    struct fixture *fixture = fixture_of(state);
    send(fixture, &begin, NULL);
    send_items(fixture, 1, 3, TEXT("secret"));
    send_items(fixture, -7, 1, TEXT("secret"));
    send_items(fixture, 10, 1, TEXT("secret"));
    send(fixture, &commit, NULL);
    sync_all(fixture);
    assert_int_equal(next(fixture), OK);
    assert_int_equal(next(fixture), OK);
    assert_int_equal(next(fixture), POISON);
    assert_string_equal(fixture->err.sqlstate, "23514");
    assert_string_equal(fixture->err.text, "PostgreSQL refuses the data, constraint item_id_check");
    assert_int_equal(next(fixture), POISON);
    assert_int_equal(next(fixture), POISON);
    assert_string_equal(fixture->err.sqlstate, "23514");
    db_abandon(fixture->db);
    assert_false(db_broken(fixture->db));
    assert_int_equal(number(fixture, &count_items), 0);
}

/* Only what is wrong with the data may cost the data: the rest waits, or is for people. */
static void only_data_errors_are_poison(void **state) {
    struct fixture *fixture = fixture_of(state);
    static const struct {
        const char *sqlstate;
        enum outcome outcome;
    } states[] = {{"22P05", POISON}, {"23505", POISON}, {"08006", RETRY}, {"25P02", RETRY}, {"40P01", RETRY},
                  {"53100", RETRY},  {"53200", RETRY},  {"55P03", RETRY}, {"57014", RETRY}, {"58030", RETRY},
                  {"XX000", RETRY},  {"42501", FATAL},  {"42P01", FATAL}};
    enum { STATES = sizeof(states) / sizeof(*states) };
    static char sql[STATES][120];
    static struct query raise[STATES]; /* a query is known by its place */
    for (size_t i = 0; i < STATES; i++) {
        (void)snprintf(sql[i], sizeof(sql[i]), "DO $$BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '%s'; END$$",
                       states[i].sqlstate);
        raise[i] = (struct query){.name = states[i].sqlstate, .sql = sql[i]};
        assert_int_equal(db_run(fixture->db, &raise[i], NULL, NULL, &fixture->err), states[i].outcome);
        assert_string_equal(fixture->err.sqlstate, states[i].sqlstate);
    }
}

/* What the server skipped was never prepared: the next use prepares it. */
static void a_skipped_prepare_is_sent_again(void **state) {
    struct fixture *fixture = fixture_of(state);
    static const struct query two = {.name = "two", .sql = "SELECT 2"};
    send(fixture, &misspelt, NULL);
    send(fixture, &two, NULL);
    sync_all(fixture);
    send(fixture, &two, NULL); /* before anybody read that the first was skipped */
    sync_all(fixture);
    assert_int_equal(next(fixture), FATAL);
    assert_string_equal(fixture->err.sqlstate, "42601");
    assert_int_equal(next(fixture), FATAL);
    assert_int_equal(next(fixture), OK);
    assert_int_equal(number(fixture, &two), 2);
    assert_int_equal(db_run(fixture->db, &misspelt, NULL, NULL, &fixture->err), FATAL);
    assert_int_equal(number(fixture, &two), 2);
}

/* An implicit transaction commits at the sync: what fails there has not happened, whatever was answered
 * before. */
static void a_failure_at_commit_is_the_last_querys(void **state) {
    struct fixture *fixture = fixture_of(state);
    static const struct query promise = {.name = "promise", .sql = "INSERT INTO promise VALUES (424242)"};
    static const struct query promises = {.name = "promises", .sql = "SELECT count(*) FROM promise"};
    assert_int_equal(db_run(fixture->db, &promise, NULL, NULL, &fixture->err), POISON);
    assert_string_equal(fixture->err.sqlstate, "23503");
    assert_int_equal(number(fixture, &promises), 0);
    send(fixture, &begin, NULL);
    send(fixture, &promise, NULL);
    send(fixture, &commit, NULL);
    sync_all(fixture);
    assert_int_equal(next(fixture), OK);
    assert_int_equal(next(fixture), OK);
    assert_int_equal(next(fixture), POISON);
    assert_int_equal(number(fixture, &promises), 0);
}

/* PostgreSQL answers COMMIT of a failed transaction with success and rolls back. */
static void commit_of_a_failed_transaction_fails(void **state) {
    struct fixture *fixture = fixture_of(state);
    send(fixture, &begin, NULL);
    send_items(fixture, -1, 1, TEXT("x"));
    sync_all(fixture);
    send(fixture, &commit, NULL);
    sync_all(fixture);
    assert_int_equal(next(fixture), OK);
    assert_int_equal(next(fixture), POISON);
    assert_int_equal(next(fixture), RETRY);
    assert_int_equal(number(fixture, &one), 1);
}

/* Queued without BEGIN and given up before the sync: nothing of it happens. */
static void what_is_abandoned_does_not_commit(void **state) {
    struct fixture *fixture = fixture_of(state);
    send_items(fixture, 7000, 1, TEXT("x"));
    db_abandon(fixture->db);
    assert_int_equal(number(fixture, &count_items), 0);
    send(fixture, &begin, NULL);
    send_items(fixture, 7000, 1, TEXT("x"));
    db_abandon(fixture->db);
    assert_false(db_broken(fixture->db));
    assert_int_equal(number(fixture, &count_items), 0);
}

static void parameters_beyond_the_arena_are_refused(void **state) {
    struct fixture *fixture = fixture_of(state);
    struct arena small;
    arena_init(&small, 4096);
    struct db_params *params = db_params_new(&small, 2);
    struct db_column *id = db_column(params, DB_INT8, 1000), *name = db_column(params, DB_TEXT, 1000);
    for (int i = 0; i < 1000; i++) {
        db_put_int(id, i);
        db_put_text(name, TEXT("x"));
    }
    assert_int_equal(db_send(fixture->db, &insert, params, &fixture->err), RETRY);
    arena_release(&small);
    assert_int_equal(number(fixture, &one), 1);
}

static void an_ended_backend_breaks_the_connection(void **state) {
    struct fixture *fixture = fixture_of(state);
    static const struct query end = {
        .name = "end", .sql = "SELECT pg_terminate_backend($1::int, 5000)", .params = 1};
    struct db *victim = NULL;
    assert_int_equal(db_open(&victim, fixture->config.register_as.owner, "victim", &fixture->err), OK);
    assert_int_equal(db_run(victim, &one, NULL, NULL, &fixture->err), OK);
    struct db_params *params = db_params_new(&fixture->arena, 1);
    db_param_int4(params, db_backend_pid(victim));
    assert_int_equal(db_run(fixture->db, &end, params, NULL, &fixture->err), OK);
    assert_int_equal(db_run(victim, &one, NULL, NULL, &fixture->err), RETRY);
    assert_true(db_broken(victim));
    assert_int_equal(db_run(victim, &one, NULL, NULL, &fixture->err), RETRY);
    db_abandon(victim);
    db_close(victim);
}

static void refusals_are_fatal_and_absence_is_not(void **state) {
    struct fixture *fixture = fixture_of(state);
    struct db *db = NULL;
    char conninfo[1024];
    (void)snprintf(conninfo, sizeof(conninfo), "%s dbname=kr_no_such_database",
                   fixture->config.register_as.owner);
    assert_int_equal(db_open(&db, conninfo, "db_test", &fixture->err), FATAL);
    assert_true(fixture->err.sqlstate[0] != '\0');
    (void)snprintf(conninfo, sizeof(conninfo), "%s options='-c synchronous_commit=off'",
                   fixture->config.register_as.owner);
    assert_int_equal(db_open(&db, conninfo, "db_test", &fixture->err), FATAL);
    assert_non_null(strstr(fixture->err.text, "synchronous_commit"));
    assert_int_equal(db_open(&db, "host=127.0.0.1 port=1 user=nobody", "db_test", &fixture->err), RETRY);
    assert_int_equal(db_open(&db, "password=hidden garbage", "db_test", &fixture->err), FATAL);
    assert_null(strstr(fixture->err.text, "hidden"));
    assert_null(strstr(fixture->err.text, "garbage"));
    assert_null(db);
}

static void waits_end_in_time(void **state) {
    struct fixture *fixture = fixture_of(state);
    static const struct query sleep_long = {.name = "sleep", .sql = "SELECT pg_sleep(0.3)"};
    send(fixture, &sleep_long, NULL);
    sync_all(fixture);
    assert_false(db_wait(fixture->db, 1));
    assert_true(db_wait(fixture->db, -1));
    assert_int_equal(next(fixture), OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scalars_return),
        cmocka_unit_test(columns_return),
        cmocka_unit_test(empty_columns_are_empty_arrays),
        cmocka_unit_test(large_pipelines_do_not_block),
        cmocka_unit_test(data_errors_poison_and_skip_the_rest),
        cmocka_unit_test(only_data_errors_are_poison),
        cmocka_unit_test(a_skipped_prepare_is_sent_again),
        cmocka_unit_test(a_failure_at_commit_is_the_last_querys),
        cmocka_unit_test(commit_of_a_failed_transaction_fails),
        cmocka_unit_test(what_is_abandoned_does_not_commit),
        cmocka_unit_test(parameters_beyond_the_arena_are_refused),
        cmocka_unit_test(an_ended_backend_breaks_the_connection),
        cmocka_unit_test(refusals_are_fatal_and_absence_is_not),
        cmocka_unit_test(waits_end_in_time),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
