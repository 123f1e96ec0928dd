/* The vault over a real second cluster: rings come and go as in memory, two workers on one ring, what the
 * relay may read, and whether vault, register and key-encryption key belong together. Stands on a stack:
 * $KUNDREGISTER_CONFIG; skipped without. Persons of this test are named by its process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/config.h"
#include "core/vault.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define VAULT_ID "00112233445566778899aabbccddeeff"

struct fixture {
    struct config config;
    struct arena arena;
    struct db *one, *two, *relay, *owner, *registers;
    struct keyring *ring_one, *ring_two;
    uint8_t kek[32];
    char person[32];
    struct err err;
};

static bool opened(struct fixture *fixture, struct db **db, const char *conninfo) {
    return conninfo && db_open(db, conninfo, "vault_test", &fixture->err) == OK;
}

static int set_up(void **state) {
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    *state = fixture;
    if (!fixture || seal_start(NULL) != OK || !getenv("KUNDREGISTER_CONFIG")) {
        return fixture ? 0 : -1;
    }
    arena_init(&fixture->arena, (size_t)64 << 20);
    (void)snprintf(fixture->person, sizeof(fixture->person), "vault-test-%d", (int)getpid());
    memset(fixture->kek, 42, sizeof(fixture->kek));
    struct config_options options = {0};
    const struct config *config = &fixture->config;
    if (config_read(&fixture->config, &options, &fixture->err) != OK ||
        !opened(fixture, &fixture->one, config->vault_as.consumer) ||
        !opened(fixture, &fixture->two, config->vault_as.consumer) ||
        !opened(fixture, &fixture->relay, config->vault_as.producer) ||
        !opened(fixture, &fixture->owner, config->vault_as.owner) ||
        !opened(fixture, &fixture->registers, config->register_as.owner)) {
        print_error("%s\n", fixture->err.text);
        return -1;
    }
    fixture->ring_one = keyring_new(&vault_postgres, fixture->one, fixture->kek, VAULT_ID, 1000, 60);
    fixture->ring_two = keyring_new(&vault_postgres, fixture->two, fixture->kek, VAULT_ID, 1000, 60);
    return fixture->ring_one && fixture->ring_two ? 0 : -1;
}

static int tear_down(void **state) {
    static const struct query drop = {
        .name = "drop", .sql = "DELETE FROM ring WHERE starts_with(person, $1)", .params = 1};
    static const struct query drop_lookups = {
        .name = "drop_lookups", .sql = "DELETE FROM lookup WHERE starts_with(person, $1)", .params = 1};
    static const struct query drop_tombstones = {.name = "drop_tombstones",
                                                 .sql =
                                                     "DELETE FROM tombstone WHERE starts_with(subject, $1)",
                                                 .params = 1};
    static const struct query *const drops[] = {&drop, &drop_lookups, &drop_tombstones};
    struct fixture *fixture = *state;
    if (fixture->owner) {
        for (int i = 0; i < 3; i++) {
            struct db_params *params = db_params_new(&fixture->arena, 1);
            db_param_text(params, text_of(fixture->person));
            if (db_run(fixture->owner, drops[i], params, NULL, &fixture->err) != OK) {
                print_error("%s\n", fixture->err.text);
            }
        }
        keyring_free(fixture->ring_one);
        keyring_free(fixture->ring_two);
        db_close(fixture->one);
        db_close(fixture->two);
        db_close(fixture->relay);
        db_close(fixture->owner);
        db_close(fixture->registers);
        config_release(&fixture->config);
    }
    arena_release(&fixture->arena);
    free(fixture);
    return 0;
}

static struct fixture *fixture_of(void **state) {
    struct fixture *fixture = *state;
    if (!fixture->owner) {
        skip();
    }
    arena_reset(&fixture->arena);
    keyring_forget(fixture->ring_one);
    keyring_forget(fixture->ring_two);
    return fixture;
}

static void provide(struct fixture *fixture, struct keyring *keyring, const struct key_want *wants,
                    size_t count, const struct lookup_row *lookups, size_t lookup_count) {
    if (keyring_provide(keyring, &fixture->arena, wants, count, lookups, lookup_count, 0, &fixture->err) !=
        OK) {
        fail_msg("%s", fixture->err.text);
    }
}

/* Rings created, found by another worker, extended by both, read by the relay; in batches of mixed kind. */
static void rings_live_in_the_vault(void **state) {
    struct fixture *fixture = fixture_of(state);
    enum { PERSONS = 500 };
    static char names[PERSONS][48];
    struct key_want *wants = ARENA_ARRAY(&fixture->arena, struct key_want, PERSONS);
    struct lookup_row *lookups = ARENA_ARRAY(&fixture->arena, struct lookup_row, PERSONS);
    struct ring_row *rows = ARENA_ARRAY(&fixture->arena, struct ring_row, PERSONS + 1);
    for (size_t i = 0; i < PERSONS; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "%s-%zu", fixture->person, i * 7919 % PERSONS);
        struct text person = text_of(names[i]);
        wants[i] = (struct key_want){
            .person = person, .generation = -1, .category = CATEGORY_DELIVERY, .period = 227};
        lookups[i] = (struct lookup_row){.person = person, .generation = -1, .kind = "phone", .time_us = 1};
        lookup_hash_phone(fixture->kek, i % 10 ? person : text_of(names[0]), lookups[i].hash);
        rows[i] = (struct ring_row){.person = person, .generation = -1};
    }
    provide(fixture, fixture->ring_one, wants, PERSONS / 2, lookups, PERSONS / 2);
    for (size_t i = 0; i < PERSONS; i++) {
        wants[i].category = CATEGORY_VOUCHER;
    }
    provide(fixture, fixture->ring_two, wants, PERSONS, lookups, PERSONS);
    provide(fixture, fixture->ring_one, wants, PERSONS, NULL, 0); /* half its cache is out of date */
    for (size_t i = 0; i < PERSONS; i++) {
        struct seal_key one, two, relays;
        assert_true(
            keyring_cell_key(fixture->ring_one, wants[i].person, -1, CATEGORY_VOUCHER, 227, 0, &one) &&
            keyring_cell_key(fixture->ring_two, wants[i].person, -1, CATEGORY_VOUCHER, 227, 0, &two));
        assert_memory_equal(one.key, two.key, sizeof(one.key));
        bool first_half = i < PERSONS / 2;
        assert_int_equal(
            keyring_cell_key(fixture->ring_two, wants[i].person, -1, CATEGORY_DELIVERY, 227, 0, &two),
            first_half);
        assert_int_equal(keyring_transit_key(fixture->ring_two, wants[i].person, -1,
                                             first_half ? CATEGORY_DELIVERY : CATEGORY_VOUCHER, 0, &relays),
                         true);
    }
    rows[PERSONS] = (struct ring_row){.person = TEXT("nobody of that name"), .generation = 1};
    assert_int_equal(vault_fetch_transit(fixture->relay, &fixture->arena, rows, PERSONS + 1, &fixture->err),
                     OK);
    assert_int_equal(rows[PERSONS].version, 0);
    for (size_t i = 0; i < PERSONS; i++) {
        struct seal_key relays, ours;
        enum category category = i < PERSONS / 2 ? CATEGORY_DELIVERY : CATEGORY_VOUCHER;
        assert_true(keyring_transit_key(fixture->ring_one, wants[i].person, -1, category, 0, &ours));
        assert_int_equal(transit_open(fixture->kek, VAULT_ID, &rows[i], category, ours.serial, &relays), OK);
        assert_memory_equal(relays.key, ours.key, sizeof(ours.key));
    }
}

static void the_relay_may_not_read_cells_keys(void **state) {
    struct fixture *fixture = fixture_of(state);
    struct ring_row row = {.person = text_of(fixture->person), .generation = 1};
    assert_int_equal(vault_postgres.fetch(fixture->relay, &fixture->arena, &row, 1, &fixture->err), FATAL);
    assert_string_equal(fixture->err.sqlstate, "42501");
    db_abandon(fixture->relay);
    assert_int_equal(vault_fetch_transit(fixture->relay, &fixture->arena, &row, 1, &fixture->err), OK);
}

static void put_compares_versions(void **state) {
    struct fixture *fixture = fixture_of(state);
    char other[64];
    (void)snprintf(other, sizeof(other), "%s-put", fixture->person);
    struct ring_row rows[3] = {
        {.person = text_of(other), .generation = 1, .blob = TEXT("a"), .transit = TEXT("t")},
        {.person = text_of(other), .generation = 2, .blob = TEXT("b"), .transit = TEXT("t")},
        {.person = text_of(other), .generation = 3, .blob = TEXT("c"), .transit = TEXT("t")},
    };
    bool done[3];
    assert_int_equal(vault_postgres.put(fixture->one, &fixture->arena, rows, 1, done, NULL, 0, &fixture->err),
                     OK);
    assert_true(done[0]);
    rows[2].version = 1; /* is not there */
    assert_int_equal(vault_postgres.put(fixture->one, &fixture->arena, rows, 3, done, NULL, 0, &fixture->err),
                     OK);
    assert_false(done[0]); /* is there already */
    assert_true(done[1]);
    assert_false(done[2]);
    rows[0].version = 1;
    rows[1].version = 7;
    assert_int_equal(vault_postgres.put(fixture->one, &fixture->arena, rows, 2, done, NULL, 0, &fixture->err),
                     OK);
    assert_true(done[0]);
    assert_false(done[1]);
    assert_int_equal(vault_postgres.fetch(fixture->one, &fixture->arena, rows, 3, &fixture->err), OK);
    assert_int_equal(rows[0].version, 2);
    assert_int_equal(rows[1].version, 1);
    assert_int_equal(rows[2].version, 0);
    assert_true(text_is(rows[1].blob, "b"));
}

static const struct query count_rings = {
    .name = "count_rings", .sql = "SELECT count(*) FROM ring WHERE starts_with(person, $1)", .params = 1};
static const struct query count_lookups = {
    .name = "count_lookups", .sql = "SELECT count(*) FROM lookup WHERE starts_with(person, $1)", .params = 1};
static const struct query count_tombstones = {
    .name = "count_tombstones",
    .sql = "SELECT count(*) FROM tombstone WHERE starts_with(subject, $1) AND body <> 'newer'",
    .params = 1};
static const struct query count_older = {
    .name = "count_older",
    .sql = "SELECT count(*) FROM tombstone WHERE starts_with(subject, $1) AND body = 'older'",
    .params = 1};

static int64_t number(struct fixture *fixture, const struct query *query, const char *person) {
    struct db_params *params = db_params_new(&fixture->arena, 1);
    struct db_result *result = NULL;
    db_param_text(params, text_of(person));
    assert_int_equal(db_run(fixture->owner, query, params, &result, &fixture->err), OK);
    int64_t value = db_int(result, 0, 0);
    db_result_release(result);
    return value;
}

/* Doomed keys go with the lookups and leave a tombstone, the counter rises; a ring that another worker has
 * changed holds up the whole, and then goes too. */
static void doomed_keys_are_destroyed(void **state) {
    struct fixture *fixture = fixture_of(state);
    enum { PERSONS = 300 };
    static char names[PERSONS][48];
    struct key_want *wants = ARENA_ARRAY(&fixture->arena, struct key_want, 2 * PERSONS);
    struct key_doom *dooms = ARENA_ARRAY(&fixture->arena, struct key_doom, PERSONS);
    struct tombstone_row *tombstones = ARENA_ARRAY(&fixture->arena, struct tombstone_row, PERSONS);
    struct lookup_row *lookups = ARENA_ARRAY(&fixture->arena, struct lookup_row, 2 * PERSONS);
    for (size_t i = 0; i < PERSONS; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "%s-doom-%03zu", fixture->person, i);
        struct text person = text_of(names[i]);
        for (size_t k = 2 * i; k < 2 * i + 2; k++) {
            wants[k] = (struct key_want){
                .person = person,
                .generation = -1,
                .category = k % 2 && i % 3 ? CATEGORY_VOUCHER : CATEGORY_PROFILE, /* a third has only these */
                .period = 227};
            lookups[k] =
                (struct lookup_row){.person = person, .generation = -1, .kind = "phone", .time_us = 5};
            lookup_hash_phone(fixture->kek, person, lookups[k].hash);
            lookups[k].hash[31] = (uint8_t)k;
        }
        lookups[2 * i].time_us = 6;
        dooms[i] = (struct key_doom){.person = person, .generation = -1, .category = CATEGORY_PROFILE};
        tombstones[i] = (struct tombstone_row){
            .person = person, .subject = person, .body = TEXT("{}"), .read_us = 10, .erased_us = 5};
    }
    provide(fixture, fixture->ring_one, wants, 2 * PERSONS, lookups, 2 * PERSONS);
    assert_int_equal(keyring_floors(fixture->ring_one, &fixture->arena, dooms, PERSONS, 0, &fixture->err),
                     OK);

    /* The vault's own part: a row that is another by now. */
    char prefix[64];
    (void)snprintf(prefix, sizeof(prefix), "%s-doom-", fixture->person);
    struct ring_row row = {.person = text_of(names[7]), .generation = -1};
    int64_t counter = 0, later = 0;
    bool missed;
    assert_int_equal(vault_postgres.fetch(fixture->one, &fixture->arena, &row, 1, &fixture->err), OK);
    row.version++;
    assert_int_equal(vault_postgres.destroy(fixture->one, &fixture->arena, &row, 1, tombstones, PERSONS,
                                            &counter, &missed, &fixture->err),
                     OK);
    assert_true(missed);
    assert_int_equal(number(fixture, &count_tombstones, prefix), 0);
    assert_int_equal(number(fixture, &count_lookups, prefix), 2 * PERSONS);

    assert_int_equal(keyring_destroy(fixture->ring_one, &fixture->arena, dooms, PERSONS, tombstones, PERSONS,
                                     &counter, &fixture->err),
                     OK);
    assert_int_equal(number(fixture, &count_rings, prefix), PERSONS - PERSONS / 3);
    assert_int_equal(number(fixture, &count_lookups, prefix), PERSONS); /* named later than erased */
    assert_int_equal(number(fixture, &count_tombstones, prefix), PERSONS);
    keyring_forget(fixture->ring_two);
    assert_int_equal(keyring_load(fixture->ring_two, &fixture->arena, wants, 2 * PERSONS, 0, &fixture->err),
                     OK);
    for (size_t i = 0; i < PERSONS; i++) {
        struct seal_key key;
        assert_false(
            keyring_cell_key(fixture->ring_two, text_of(names[i]), -1, CATEGORY_PROFILE, 227, 0, &key));
        assert_int_equal(
            keyring_cell_key(fixture->ring_two, text_of(names[i]), -1, CATEGORY_VOUCHER, 227, 0, &key),
            i % 3 != 0);
    }
    tombstones[0].read_us = 9;
    tombstones[0].body = TEXT("older");
    tombstones[1].read_us = 11;
    tombstones[1].body = TEXT("newer");
    assert_int_equal(keyring_destroy(fixture->ring_two, &fixture->arena, dooms, PERSONS, tombstones, PERSONS,
                                     &later, &fixture->err),
                     OK);
    assert_true(later > counter);
    assert_int_equal(number(fixture, &count_older, prefix), 0);
    assert_int_equal(number(fixture, &count_tombstones, prefix), PERSONS - 1);
}

/* In temporary tables that hide the real ones: the stack's own introduction stays as it is. */
static void vault_register_and_key_belong_together(void **state) {
    struct fixture *fixture = fixture_of(state);
    static const char table[] = "SET search_path = pg_temp; DROP TABLE IF EXISTS setting;"
                                "CREATE TEMP TABLE setting (name text PRIMARY KEY, value text NOT NULL)";
    struct db *vault = NULL, *registers = NULL;
    struct err *err = &fixture->err;
    char id[33];
    uint8_t wrong[32] = {1};
    assert_true(opened(fixture, &vault, fixture->config.vault_as.owner));
    assert_true(opened(fixture, &registers, fixture->config.register_as.owner));
    assert_int_equal(db_run_script(vault, table, err), OK);
    assert_int_equal(db_run_script(registers, table, err), OK);
    assert_int_equal(vault_check(vault, registers, fixture->kek, id, err), FATAL);
    assert_non_null(strstr(err->text, "kundregister migrate"));
    assert_int_equal(vault_introduce(vault, registers, fixture->kek, err), OK);
    assert_int_equal(vault_introduce(vault, registers, fixture->kek, err), OK);
    assert_int_equal(vault_check(vault, registers, fixture->kek, id, err), OK);
    assert_int_equal(strlen(id), 32);
    assert_int_equal(vault_check(vault, registers, wrong, id, err), FATAL);
    assert_non_null(strstr(err->text, "key-encryption key"));
    assert_int_equal(vault_introduce(vault, registers, wrong, err), FATAL);

    assert_int_equal(db_run_script(registers, "UPDATE setting SET value = '3' WHERE name = 'counter'", err),
                     OK);
    assert_int_equal(vault_check(vault, registers, fixture->kek, id, err), FATAL);
    assert_non_null(strstr(err->text, "restore reconcile"));
    assert_int_equal(db_run_script(vault, "UPDATE setting SET value = '4' WHERE name = 'counter'", err), OK);
    assert_int_equal(vault_check(vault, registers, fixture->kek, id, err), OK);

    assert_int_equal(db_run_script(vault, "TRUNCATE setting", err), OK);
    assert_int_equal(vault_check(vault, registers, fixture->kek, id, err), FATAL);
    assert_int_equal(vault_introduce(vault, registers, fixture->kek, err),
                     FATAL); /* never a second vault in silence */
    assert_int_equal(db_run_script(registers, "TRUNCATE setting", err), OK);
    assert_int_equal(vault_introduce(vault, registers, fixture->kek, err), OK);
    db_close(vault);
    db_close(registers);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rings_live_in_the_vault),
        cmocka_unit_test(the_relay_may_not_read_cells_keys),
        cmocka_unit_test(put_compares_versions),
        cmocka_unit_test(doomed_keys_are_destroyed),
        cmocka_unit_test(vault_register_and_key_belong_together),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
