/* The erasing loop over a real register and a real vault: what the register holds as doomed is destroyed,
 * thousands a second, what came meanwhile waits its turn. Stands on a stack: $KUNDREGISTER_CONFIG; skipped
 * without. Persons of this test are named by its process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "consumer/erase.h"
#include "consumer/register_postgres.h"
#include "core/config.h"
#include "core/decide/pack.h"
#include "core/vault.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define VAULT_ID "00112233445566778899aabbccddeeff"
#define PERSONS 3000
#define PER_SECOND 1000 /* what must be destroyed at least */
#define HASH "00000000000000000000000000000000000000000000000000000000000000aa"

struct fixture {
    struct config config;
    struct arena arena, kept;
    struct register_postgres reg;
    struct db *vault, *owner, *vault_owner;
    struct keyring *keyring;
    struct json_writer *writer;
    uint8_t kek[32];
    char prefix[32];
    struct text persons[PERSONS];
    size_t count; /* of them, in this test */
    struct erase erase;
    struct err err;
};

static const struct query insert_persons = {
    .name = "erase_test_persons",
    .params = 2,
    .sql = "INSERT INTO person (person, generation, revision, merge, policy)"
           " SELECT person, -1, 1, $2, 1 FROM unnest($1::text[]) k (person)"};
static const struct query insert_tombstones = {
    .name = "erase_test_tombstones",
    .params = 1,
    .sql = "INSERT INTO tombstone (subject, cut, person, generation, cause, categories, valid, complete,"
           " restored, policy) SELECT 's-' || person, to_timestamp(1), person, -1, 'request',"
           " '{profile,delivery}', true, true, false, 1 FROM unnest($1::text[]) k (person)"};
static const struct query insert_doomed = {
    .name = "erase_test_doomed",
    .params = 4,
    .sql = "INSERT INTO doomed SELECT person, -1, $2, cells, transit, now()"
           " FROM unnest($1::text[], $3::int4[], $4::int4[]) k (person, cells, transit)"};
static const struct query raise_one = {
    .name = "erase_test_raise",
    .params = 1,
    .sql = "UPDATE doomed SET cells = cells + 1 WHERE person = $1 AND category = 0"};
static const struct query left = {
    .name = "erase_test_left",
    .params = 1,
    .sql = "SELECT (SELECT count(*) FROM doomed WHERE starts_with(person, $1)),"
           " (SELECT count(*) FROM tombstone WHERE starts_with(person, $1) AND destroyed IS NULL)"};
static const struct query told = {
    .name = "erase_test_told",
    .params = 1,
    .sql = "SELECT count(*), min(body) FROM tombstone WHERE starts_with(subject, 's-' || $1)"};
static const struct query clean_register = {
    .name = "erase_test_clean",
    .params = 1,
    .sql = "WITH p AS (DELETE FROM person WHERE starts_with(person, $1)),"
           " d AS (DELETE FROM doomed WHERE starts_with(person, $1))"
           " DELETE FROM tombstone WHERE starts_with(person, $1)"};
static const struct query clean_vault = {.name = "erase_test_clean_vault",
                                         .params = 1,
                                         .sql =
                                             "WITH r AS (DELETE FROM ring WHERE starts_with(person, $1))"
                                             " DELETE FROM tombstone WHERE starts_with(subject, 's-' || $1)"};

static void run(struct fixture *fixture, struct db *db, const struct query *query, struct text text,
                struct db_result **result) {
    struct db_params *params = db_params_new(&fixture->arena, 1);
    db_param_text(params, text);
    if (db_run(db, query, params, result, &fixture->err) != OK)
        fail_msg("%s", fixture->err.text);
}

static int set_up(void **state) {
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    *state = fixture;
    if (!fixture || seal_start(NULL) != OK || !getenv("KUNDREGISTER_CONFIG"))
        return fixture ? 0 : -1;
    arena_init(&fixture->arena, (size_t)64 << 20);
    arena_init(&fixture->kept, (size_t)8 << 20);
    (void)snprintf(fixture->prefix, sizeof fixture->prefix, "erase-test-%d-", (int)getpid());
    struct config_options options = {0};
    const struct config *config = &fixture->config;
    if (config_read(&fixture->config, &options, &fixture->err) != OK ||
        db_open(&fixture->vault, config->vault_as.consumer, "erase_test", &fixture->err) != OK ||
        db_open(&fixture->vault_owner, config->vault_as.owner, "erase_test", &fixture->err) != OK ||
        db_open(&fixture->owner, config->register_as.owner, "erase_test", &fixture->err) != OK) {
        print_error("%s\n", fixture->err.text);
        return -1;
    }
    register_postgres_init(&fixture->reg, config->register_as.consumer, "erase_test", 2000);
    fixture->keyring = keyring_new(&vault_postgres, fixture->vault, fixture->kek, VAULT_ID, PERSONS, 60);
    fixture->writer = json_writer_new();
    fixture->erase = (struct erase){.ops = &erase_postgres,
                                    .reg = &fixture->reg,
                                    .keyring = fixture->keyring,
                                    .writer = fixture->writer,
                                    .clock = &clock_system};
    erase_init(&fixture->erase);
    return register_postgres.open(&fixture->reg, &fixture->err) == OK ? 0 : -1;
}

static int tear_down(void **state) {
    struct fixture *fixture = *state;
    if (fixture->owner) {
        run(fixture, fixture->owner, &clean_register, text_of(fixture->prefix), NULL);
        run(fixture, fixture->vault_owner, &clean_vault, text_of(fixture->prefix), NULL);
        register_postgres.close(&fixture->reg);
        keyring_free(fixture->keyring);
        json_writer_free(fixture->writer);
        db_close(fixture->vault);
        db_close(fixture->vault_owner);
        db_close(fixture->owner);
        config_release(&fixture->config);
    }
    arena_release(&fixture->arena);
    arena_release(&fixture->kept);
    free(fixture);
    return 0;
}

static struct db_params *person_column(struct fixture *fixture, int count) {
    struct db_params *params = db_params_new(&fixture->arena, count);
    struct db_column *column = db_column(params, DB_TEXT, fixture->count);
    for (size_t i = 0; i < fixture->count; i++)
        db_put_text(column, fixture->persons[i]);
    return params;
}

/* The keys of each category of every person, doomed by the serials that the rings give next. */
static void doom(struct fixture *fixture, enum category category, struct key_doom *dooms) {
    struct db_params *params = person_column(fixture, insert_doomed.params);
    for (size_t i = 0; i < fixture->count; i++)
        dooms[i] = (struct key_doom){.person = fixture->persons[i], .generation = -1, .category = category};
    assert_int_equal(
        keyring_floors(fixture->keyring, &fixture->arena, dooms, fixture->count, 0, &fixture->err), OK);
    db_param_int4(params, (int32_t)category);
    struct db_column *cells = db_column(params, DB_INT4, fixture->count);
    struct db_column *transit = db_column(params, DB_INT4, fixture->count);
    for (size_t i = 0; i < fixture->count; i++) {
        db_put_int(cells, dooms[i].cells);
        db_put_int(transit, dooms[i].transit);
    }
    if (db_run(fixture->owner, &insert_doomed, params, NULL, &fixture->err) != OK)
        fail_msg("%s", fixture->err.text);
}

static struct text guard(struct fixture *fixture) {
    struct person person = {.generation = GENERATION_FIRST};
    struct address_fact *fact = ARENA_PUSH(&fixture->kept, &person.facts.addresses);
    *fact = (struct address_fact){.hash = TEXT(HASH), .field = EMAIL};
    *ARENA_PUSH(&fixture->kept, &fact->times) = 5;
    return pack_person(&person, &fixture->kept);
}

/* So many persons, their names begun with that letter. */
static void make(struct fixture *fixture, char letter, size_t count) {
    static const enum category categories[] = {CATEGORY_PROFILE, CATEGORY_DELIVERY, CATEGORY_VOUCHER};
    struct key_want *wants = ARENA_ARRAY(&fixture->kept, struct key_want, 3 * count);
    struct key_doom *dooms = ARENA_ARRAY(&fixture->kept, struct key_doom, count);
    fixture->count = count;
    for (size_t i = 0; i < count; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "%s%c%05zu", fixture->prefix, letter, i);
        fixture->persons[i] = arena_text(&fixture->kept, text_of(name));
        for (size_t k = 0; k < 3; k++)
            wants[3 * i + k] = (struct key_want){
                .person = fixture->persons[i], .generation = -1, .category = categories[k], .period = 227};
    }
    assert_int_equal(
        keyring_provide(fixture->keyring, &fixture->arena, wants, 3 * count, NULL, 0, 0, &fixture->err), OK);
    struct db_params *params = person_column(fixture, insert_persons.params);
    db_param_bytes(params, guard(fixture));
    assert_int_equal(db_run(fixture->owner, &insert_persons, params, NULL, &fixture->err), OK);
    params = person_column(fixture, insert_tombstones.params);
    assert_int_equal(db_run(fixture->owner, &insert_tombstones, params, NULL, &fixture->err), OK);
    doom(fixture, CATEGORY_PROFILE, dooms);
    doom(fixture, CATEGORY_DELIVERY, dooms);
}

static void expect_left(struct fixture *fixture, int64_t doomed, int64_t tombstones) {
    struct db_result *result = NULL;
    run(fixture, fixture->owner, &left, text_of(fixture->prefix), &result);
    assert_int_equal(db_int(result, 0, 0), doomed);
    assert_int_equal(db_int(result, 0, 1), tombstones);
    db_result_release(result);
}

/* As erase_postgres, but another act of one of the persons commits just before. */
static struct fixture *interrupted;
static enum outcome interrupted_destroyed(void *reg, struct arena *arena, const struct erase_portion *portion,
                                          int64_t counter, struct err *err) {
    if (interrupted)
        run(interrupted, interrupted->owner, &raise_one, portion->last, NULL);
    interrupted = NULL;
    return erase_postgres.destroyed(reg, arena, portion, counter, err);
}

/* Another act of one of them commits while the vault is at it: he stays on the list, and goes the next time.
 */
static void who_is_doomed_meanwhile_stays_on_the_list(void **state) {
    struct fixture *fixture = *state;
    if (!fixture->owner)
        skip();
    make(fixture, 'm', 20);
    erase_rest(&fixture->erase); /* whatever ran before, it looks now */
    struct erase_ops ops = erase_postgres;
    ops.destroyed = interrupted_destroyed;
    fixture->erase.ops = &ops;
    interrupted = fixture;
    assert_int_equal(erase_turn(&fixture->erase, &fixture->arena, &fixture->err), OK);
    expect_left(fixture, 1, 1);
    erase_rest(&fixture->erase);
    assert_int_equal(erase_turn(&fixture->erase, &fixture->arena, &fixture->err), OK);
    expect_left(fixture, 0, 0);
    erase_rest(&fixture->erase);
}

static void the_doomed_are_destroyed_at_speed(void **state) {
    struct fixture *fixture = *state;
    if (!fixture->owner)
        skip();
    make(fixture, 's', PERSONS);
    struct erase_ops ops = erase_postgres;
    ops.destroyed = interrupted_destroyed;
    fixture->erase.ops = &ops;
    interrupted = fixture;
    int64_t began_us = clock_system.monotonic_us(NULL);
    assert_int_equal(erase_turn(&fixture->erase, &fixture->arena, &fixture->err), OK);
    expect_left(fixture, 2 * (PERSONS - 500) + 1, PERSONS - 500 + 1); /* the one that came in between */
    for (int turn = 0; turn < 100 && erase_busy(&fixture->erase); turn++)
        if (erase_turn(&fixture->erase, &fixture->arena, &fixture->err) != OK)
            fail_msg("%s", fixture->err.text);
    int64_t took_us = clock_system.monotonic_us(NULL) - began_us;
    print_message("%d persons in %lld ms\n", PERSONS, (long long)took_us / 1000);
    assert_in_range(took_us, 1, INT64_C(1000000) * PERSONS / PER_SECOND);
    expect_left(fixture, 0, 0);

    struct db_result *result = NULL;
    run(fixture, fixture->vault_owner, &told, text_of(fixture->prefix), &result);
    assert_int_equal(db_int(result, 0, 0), PERSONS);
    struct text body = db_text(result, 0, 1);
    char text[600];
    (void)snprintf(text, sizeof text, "%.*s", TEXT_ARGS(body));
    assert_non_null(strstr(text, "\"category\":\"delivery\",\"cause\":\"request\",\"complete\":true"));
    assert_non_null(strstr(text, "{\"hash\":\"" HASH "\",\"kind\":\"email\""));
    db_result_release(result);
    struct key_want *wants = ARENA_ARRAY(&fixture->kept, struct key_want, PERSONS);
    for (size_t i = 0; i < PERSONS; i++)
        wants[i] = (struct key_want){.person = fixture->persons[i], .generation = -1};
    assert_int_equal(keyring_load(fixture->keyring, &fixture->arena, wants, PERSONS, 0, &fixture->err), OK);
    for (size_t i = 0; i < PERSONS; i++) {
        struct seal_key key;
        struct text person = fixture->persons[i];
        assert_false(keyring_cell_key(fixture->keyring, person, -1, CATEGORY_PROFILE, 227, 0, &key));
        assert_false(keyring_cell_key(fixture->keyring, person, -1, CATEGORY_DELIVERY, 227, 0, &key));
        assert_true(keyring_cell_key(fixture->keyring, person, -1, CATEGORY_VOUCHER, 227, 0, &key));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_doomed_are_destroyed_at_speed),
                                       cmocka_unit_test(who_is_doomed_meanwhile_stays_on_the_list)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
