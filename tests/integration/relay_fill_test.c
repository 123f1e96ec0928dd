/* A tool of the relay's tests: writes outbox rows as the consumer would, sealed under transit keys of fresh
 * rings, over a register and a vault.
 *
 * usage: relay_fill_test introduce                   the vault to the register, where `migrate` has not done
 * it relay_fill_test fill ROWS PERSONS TOPICS PREFIX ROWS rows in transactions of 1000, over PERSONS persons
 * named with PREFIX, over the comma-separated TOPICS; prints rows and seconds. doom PREFIX PERSONS: destroys
 * the keys of those rows; the rows of every third person wait, they are sealed anew before. Connects by
 * $KUNDREGISTER_CONFIG. */
#include "core/clock.h"
#include "core/config.h"
#include "core/db.h"
#include "core/keyring.h"
#include "core/seal.h"
#include "core/vault.h"
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH 1000
#define MAX_TOPICS 16

static const struct query insert_rows = {
    .name = "relay_fill",
    .params = 7,
    .sql = "INSERT INTO outbox (seq, row_id, topic, key, type, output_id, decided, person, generation, "
           "category, body)"
           " SELECT nextval('outbox_seq'), row_id, topic, key, 'register.disclosure.shipment', output_id, "
           "now(), person, -1,"
           " category, body FROM (SELECT pg_current_xact_id()) x, unnest($1::bytea[], $2::text[], "
           "$3::text[], $4::uuid[],"
           " $5::text[], $6::int2[], $7::bytea[]) r (row_id, topic, key, output_id, person, category, body)"};
static const struct query rows_of = {
    .name = "relay_fill_rows",
    .params = 1,
    .sql = "SELECT seq, row_id, body FROM outbox WHERE person = $1 ORDER BY seq"};
static const struct query reseal = {
    .name = "relay_fill_reseal", .params = 2, .sql = "UPDATE outbox SET body = $2 WHERE seq = $1"};
static const struct query extend = {
    .name = "relay_fill_extend", .params = 0, .sql = "SELECT outbox_extend()"};

struct fill {
    struct db *reg, *vault;
    struct keyring *keyring;
    struct sealer *sealer;
    struct arena arena;
    char *topics[MAX_TOPICS];
    long topic_count, rows, persons;
    const char *prefix;
};

static void must(enum outcome outcome, const struct err *err) {
    if (outcome == OK)
        return;
    fprintf(stderr, "relay_fill_test: %s\n", err->text);
    exit(EXIT_FAILURE);
}

static struct text person_name(struct fill *fill, long person) {
    char name[64];
    int size = snprintf(name, sizeof(name), "%s%ld", fill->prefix, person);
    return arena_text(&fill->arena, (struct text){name, (size_t)size});
}

static struct text random_bytes(struct fill *fill) {
    char *bytes = arena_take(&fill->arena, 16);
    randombytes_buf(bytes, 16);
    return (struct text){bytes, 16};
}

static void fill_batch(struct fill *fill, long from, long count) {
    static const enum db_type types[] = {DB_BYTEA, DB_TEXT, DB_TEXT, DB_UUID, DB_TEXT, DB_INT2, DB_BYTEA};
    struct err err;
    struct db_column *columns[7];
    struct key_want *wants = ARENA_ARRAY(&fill->arena, struct key_want, (size_t)count);
    for (long i = 0; i < count; i++)
        wants[i] = (struct key_want){.person = person_name(fill, (from + i) % fill->persons),
                                     .generation = -1,
                                     .category = CATEGORY_DELIVERY,
                                     .transit = true};
    must(keyring_provide(fill->keyring, &fill->arena, wants, (size_t)count, NULL, 0,
                         clock_system.monotonic_us(NULL) / 1000000, &err),
         &err);
    struct db_params *params = db_params_new(&fill->arena, 7);
    for (int i = 0; i < 7; i++)
        columns[i] = db_column(params, types[i], (size_t)count);
    for (long i = 0; i < count; i++) {
        struct seal_key key;
        struct text row_id = random_bytes(fill);
        char plain[400];
        int size = snprintf(
            plain, sizeof(plain),
            "{\"n\":%ld,\"disclosure_ref\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\",\"person_ref\":"
            "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\",\"shipment_ref\":"
            "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\",\"fields\":{\"street\":\"Planted street 1\"}}",
            from + i);
        if (!keyring_transit_key(fill->keyring, wants[i].person, -1, CATEGORY_DELIVERY, 0, &key))
            must(err_set(&err, FATAL, 0, "no transit key"), &err);
        const struct seal_place place = {.table = "outbox",
                                         .column = "body",
                                         .owner = wants[i].person,
                                         .object = row_id,
                                         .generation = -1};
        db_put_text(columns[0], row_id);
        db_put_text(columns[1], text_of(fill->topics[(from + i) % fill->topic_count]));
        db_put_text(columns[2], wants[i].person);
        db_put_text(columns[3], random_bytes(fill));
        db_put_text(columns[4], wants[i].person);
        db_put_int(columns[5], CATEGORY_DELIVERY);
        db_put_text(columns[6],
                    seal_cell(fill->sealer, &key, &place, (struct text){plain, (size_t)size}, &fill->arena));
    }
    must(db_run(fill->reg, &insert_rows, params, NULL, &err), &err);
    must(db_run(fill->reg, &extend, NULL, NULL, &err), &err);
    arena_reset(&fill->arena);
}

/* As an act of erasure does with what waits: opened with the old key, sealed under one from the floor on. */
static void seal_anew(struct fill *fill, const struct key_doom *doom) {
    struct err err;
    struct seal_key old, fresh;
    struct db_result *result = NULL;
    struct key_want want = {.person = doom->person,
                            .generation = doom->generation,
                            .category = doom->category,
                            .transit = true,
                            .floor = doom->transit};
    if (!keyring_transit_key(fill->keyring, doom->person, doom->generation, doom->category, 0, &old))
        must(err_set(&err, FATAL, 0, "no old transit key"), &err);
    must(keyring_provide(fill->keyring, &fill->arena, &want, 1, NULL, 0, 0, &err), &err);
    if (!keyring_transit_key(fill->keyring, doom->person, doom->generation, doom->category, doom->transit,
                             &fresh))
        must(err_set(&err, FATAL, 0, "no fresh transit key"), &err);
    struct db_params *params = db_params_new(&fill->arena, 1);
    db_param_text(params, doom->person);
    must(db_run(fill->reg, &rows_of, params, &result, &err), &err);
    for (size_t i = 0; i < db_rows(result); i++) {
        const struct seal_place place = {.table = "outbox",
                                         .column = "body",
                                         .owner = doom->person,
                                         .object = db_text(result, i, 1),
                                         .generation = doom->generation};
        struct text plain;
        must(open_cell(&old, &place, db_text(result, i, 2), &fill->arena, &plain, &err), &err);
        params = db_params_new(&fill->arena, 2);
        db_param_int8(params, db_int(result, i, 0));
        db_param_bytes(params, seal_cell(fill->sealer, &fresh, &place, plain, &fill->arena));
        must(db_run(fill->reg, &reseal, params, NULL, &err), &err);
    }
    db_result_release(result);
}

static int person_order(const void *a, const void *b) {
    return text_compare(((const struct key_doom *)a)->person, ((const struct key_doom *)b)->person);
}

static void doom_all(struct fill *fill) {
    struct err err;
    int64_t counter;
    size_t count = (size_t)fill->persons;
    struct key_doom *dooms = ARENA_ARRAY(&fill->arena, struct key_doom, count);
    for (long i = 0; i < fill->persons; i++)
        dooms[i] = (struct key_doom){
            .person = person_name(fill, i), .generation = -1, .category = CATEGORY_DELIVERY};
    must(keyring_floors(fill->keyring, &fill->arena, dooms, count, 0, &err), &err);
    for (size_t i = 0; i < count; i += 3)
        seal_anew(fill, &dooms[i]);
    qsort(dooms, count, sizeof(*dooms), person_order);
    must(keyring_destroy(fill->keyring, &fill->arena, dooms, count, NULL, 0, &counter, &err), &err);
}

int main(int argc, char **argv) {
    struct fill fill = {.topic_count = 0};
    struct config config;
    struct err err;
    uint8_t kek[32];
    char vault_id[33];
    const struct config_options options = {.path = NULL};
    bool introduce = argc == 2 && strcmp(argv[1], "introduce") == 0;
    bool doom = argc == 4 && strcmp(argv[1], "doom") == 0;
    if (!introduce && !doom && (argc != 6 || strcmp(argv[1], "fill") != 0)) {
        fputs("relay_fill_test is a tool of the relay's tests; nothing to test by itself\n", stderr);
        return EXIT_SUCCESS;
    }
    must(config_read(&config, &options, &err), &err);
    must(seal_start(&err), &err);
    must(secret_read(config.keys.kek_file, kek, &err), &err);
    if (introduce) {
        must(db_open(&fill.reg, config.register_as.owner, "relay_fill_test", &err), &err);
        must(db_open(&fill.vault, config.vault_as.owner, "relay_fill_test", &err), &err);
        must(vault_introduce(fill.vault, fill.reg, kek, &err), &err);
        return EXIT_SUCCESS;
    }
    must(db_open(&fill.reg, config.register_as.consumer, "relay_fill_test", &err), &err);
    must(db_open(&fill.vault, config.vault_as.consumer, "relay_fill_test", &err), &err);
    must(vault_check(fill.vault, fill.reg, kek, vault_id, &err), &err);
    fill.rows = doom ? 0 : strtol(argv[2], NULL, 10);
    fill.persons = strtol(argv[3], NULL, 10);
    for (char *topic = doom ? NULL : argv[4], *next; topic && fill.topic_count < MAX_TOPICS; topic = next) {
        next = strchr(topic, ',');
        if (next)
            *next++ = '\0';
        fill.topics[fill.topic_count++] = topic;
    }
    fill.prefix = argv[doom ? 2 : 5];
    fill.keyring = keyring_new(&vault_postgres, fill.vault, kek, vault_id, 100000, 60);
    fill.sealer = sealer_new();
    arena_init(&fill.arena, (size_t)256 << 20);
    int64_t began_us = clock_system.monotonic_us(NULL);
    for (long at = 0; at < fill.rows; at += BATCH)
        fill_batch(&fill, at, fill.rows - at < BATCH ? fill.rows - at : BATCH);
    if (doom)
        doom_all(&fill);
    printf("%ld rows in %.1f s\n", fill.rows, (double)(clock_system.monotonic_us(NULL) - began_us) / 1e6);
    arena_release(&fill.arena);
    sealer_free(fill.sealer);
    keyring_free(fill.keyring);
    db_close(fill.reg);
    db_close(fill.vault);
    config_release(&config);
    return EXIT_SUCCESS;
}
