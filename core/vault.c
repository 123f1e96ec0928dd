/* The vault over PostgreSQL, and whether it is the register's. */
#include "core/vault.h"

#include "core/ring.h"
#include "queries.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define ID_BYTES 16
#define ID_SIZE (2 * ID_BYTES + 1)
#define CHECK_SIZE 512
#define CHECK_ARENA_BYTES 65536

static enum outcome no_memory(struct err *err) {
    return err_set(err, RETRY, ENOMEM, "the vault's answer does not fit into the batch's memory");
}

/* ---- rings ---- */

static struct db_params *rings_named(struct arena *arena, const struct ring_row *rows, size_t count) {
    struct db_params *params = db_params_new(arena, 2);
    struct db_column *person = db_column(params, DB_TEXT, count);
    struct db_column *generation = db_column(params, DB_INT8, count);
    for (size_t i = 0; i < count; i++) {
        db_put_text(person, rows[i].person);
        db_put_int(generation, rows[i].generation);
    }
    return params;
}

/* A statement without rows has nothing to wait for: it is not sent. */
static enum outcome fetch(struct db *vault, const struct query *query, struct arena *arena,
                          struct ring_row *rows, size_t count, struct err *err) {
    struct db_result *result = NULL;
    for (size_t i = 0; i < count; i++) {
        rows[i].version = 0;
        rows[i].blob = rows[i].transit = TEXT_ABSENT;
    }
    if (!count) {
        return OK;
    }
    enum outcome outcome = db_run(vault, query, rings_named(arena, rows, count), &result, err);
    bool whole = query == &query_vault_fetch_rings;
    for (size_t i = 0; outcome == OK && i < db_rows(result); i++) {
        struct ring_row *row = &rows[db_int(result, i, 0) - 1];
        struct text key_id = db_text(result, i, 1);
        if (key_id.size != KEY_ID_BYTES) {
            outcome = err_set(err, FATAL, 0, "a key ring in the vault is damaged");
            break;
        }
        memcpy(row->key_id, key_id.at, KEY_ID_BYTES);
        row->version = whole ? db_int(result, i, 2) : 1;
        row->transit = arena_text(arena, db_text(result, i, whole ? 4 : 2));
        row->blob = whole ? arena_text(arena, db_text(result, i, 3)) : TEXT_ABSENT;
        if (!row->transit.at || (whole && !row->blob.at)) {
            outcome = no_memory(err);
        }
    }
    db_result_release(result);
    return outcome;
}

static enum outcome vault_fetch(void *vault, struct arena *arena, struct ring_row *rows, size_t count,
                                struct err *err) {
    return fetch(vault, &query_vault_fetch_rings, arena, rows, count, err);
}

enum outcome vault_fetch_transit(struct db *vault, struct arena *arena, struct ring_row *rows, size_t count,
                                 struct err *err) {
    return fetch(vault, &query_vault_fetch_transit, arena, rows, count, err);
}

/* The rows that are to be created (version 0), or the others. */
static size_t rows_count(const struct ring_row *rows, size_t count, bool created) {
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        found += (rows[i].version == 0) == created;
    }
    return found;
}

static enum outcome rings_send(struct db *vault, struct arena *arena, const struct ring_row *rows,
                               size_t count, bool created, struct err *err) {
    size_t sent = rows_count(rows, count, created);
    struct db_params *params = db_params_new(arena, created ? 5 : 6);
    struct db_column *person = db_column(params, DB_TEXT, sent);
    struct db_column *generation = db_column(params, DB_INT8, sent);
    struct db_column *version = created ? NULL : db_column(params, DB_INT8, sent);
    struct db_column *key_id = db_column(params, DB_BYTEA, sent);
    struct db_column *blob = db_column(params, DB_BYTEA, sent);
    struct db_column *transit = db_column(params, DB_BYTEA, sent);
    for (size_t i = 0; i < count; i++) {
        if ((rows[i].version == 0) != created) {
            continue;
        }
        db_put_text(person, rows[i].person);
        db_put_int(generation, rows[i].generation);
        if (!created) {
            db_put_int(version, rows[i].version);
        }
        db_put_text(key_id, (struct text){(const char *)rows[i].key_id, KEY_ID_BYTES});
        db_put_text(blob, rows[i].blob);
        db_put_text(transit, rows[i].transit);
    }
    return db_send(vault, created ? &query_vault_insert_rings : &query_vault_update_rings, params, err);
}

static enum outcome lookups_send(struct db *vault, struct arena *arena, const struct lookup_row *lookups,
                                 size_t count, struct err *err) {
    struct db_params *params = db_params_new(arena, 5);
    struct db_column *hash = db_column(params, DB_BYTEA, count);
    struct db_column *person = db_column(params, DB_TEXT, count);
    struct db_column *generation = db_column(params, DB_INT8, count);
    struct db_column *kind = db_column(params, DB_TEXT, count);
    struct db_column *at = db_column(params, DB_TIMESTAMPTZ, count);
    for (size_t i = 0; i < count; i++) {
        db_put_text(hash, (struct text){(const char *)lookups[i].hash, sizeof(lookups[i].hash)});
        db_put_text(person, lookups[i].person);
        db_put_int(generation, lookups[i].generation);
        db_put_text(kind, text_of(lookups[i].kind));
        db_put_time(at, lookups[i].time_us);
    }
    return db_send(vault, &query_vault_add_lookups, params, err);
}

/* INSERT ... RETURNING answers in the order of its rows, which is that of `rows`. */
static enum outcome created_read(struct db *vault, const struct ring_row *rows, size_t count, bool *done,
                                 struct err *err) {
    struct db_result *result = NULL;
    enum outcome outcome = db_next(vault, &result, err);
    size_t answer = 0;
    for (size_t i = 0; outcome == OK && i < count && answer < db_rows(result); i++) {
        done[i] = rows[i].version == 0 && rows[i].generation == db_int(result, answer, 1) &&
                  text_equal(rows[i].person, db_text(result, answer, 0));
        answer += done[i];
    }
    assert(outcome != OK || answer == db_rows(result));
    db_result_release(result);
    return outcome;
}

static int place_order(const void *a, const void *b) {
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

static enum outcome changed_read(struct db *vault, struct arena *arena, const struct ring_row *rows,
                                 size_t count, bool *done, struct err *err) {
    struct db_result *result = NULL;
    enum outcome outcome = db_next(vault, &result, err);
    size_t answers = db_rows(result), answer = 0;
    int64_t *places = ARENA_ARRAY(arena, int64_t, answers);
    if (outcome == OK && answers && !places) {
        outcome = no_memory(err);
    }
    if (outcome != OK || !answers) {
        goto out;
    }
    for (size_t i = 0; i < answers; i++) {
        places[i] = db_int(result, i, 0);
    }
    qsort(places, answers, sizeof(*places), place_order);
    int64_t place = 0;
    for (size_t i = 0; i < count && answer < answers; i++) {
        place += rows[i].version != 0;
        if (rows[i].version && places[answer] == place) {
            done[i] = true;
            answer++;
        }
    }
out:
    db_result_release(result);
    return outcome;
}

/* One implicit transaction of at most three statements; its commit is answered with the last one. */
static enum outcome vault_put(void *to, struct arena *arena, const struct ring_row *rows, size_t count,
                              bool *done, const struct lookup_row *lookups, size_t lookup_count,
                              struct err *err) {
    struct db *vault = to;
    bool creates = rows_count(rows, count, true) > 0, changes = rows_count(rows, count, false) > 0;
    memset(done, 0, count * sizeof(*done));
    if (!creates && !changes && !lookup_count) {
        return OK;
    }
    enum outcome outcome = creates ? rings_send(vault, arena, rows, count, true, err) : OK;
    if (outcome == OK && changes) {
        outcome = rings_send(vault, arena, rows, count, false, err);
    }
    if (outcome == OK && lookup_count) {
        outcome = lookups_send(vault, arena, lookups, lookup_count, err);
    }
    if (outcome == OK) {
        outcome = db_sync(vault, err);
    }
    if (outcome == OK && creates) {
        outcome = created_read(vault, rows, count, done, err);
    }
    if (outcome == OK && changes) {
        outcome = changed_read(vault, arena, rows, count, done, err);
    }
    if (outcome == OK && lookup_count) {
        struct db_result *result = NULL;
        outcome = db_next(vault, &result, err);
        db_result_release(result);
    }
    if (outcome != OK) {
        db_abandon(vault);
    }
    return outcome;
}

/* ---- destroying ---- */

static enum outcome vault_tombstones(void *vault, struct arena *arena, struct tombstone_row *rows,
                                     size_t count, struct err *err) {
    struct db_result *result = NULL;
    struct db_params *params = db_params_new(arena, query_vault_read_tombstones.params);
    struct db_column *subject = db_column(params, DB_TEXT, count);
    for (size_t i = 0; i < count; i++) {
        rows[i].told = TEXT_ABSENT;
        db_put_text(subject, rows[i].subject);
    }
    enum outcome outcome = count ? db_run(vault, &query_vault_read_tombstones, params, &result, err) : OK;
    for (size_t i = 0; outcome == OK && count && i < db_rows(result); i++) {
        struct tombstone_row *row = &rows[db_int(result, i, 0) - 1];
        row->told = arena_text(arena, db_text(result, i, 1));
        if (!text_present(row->told)) {
            outcome = no_memory(err);
        }
    }
    db_result_release(result);
    return outcome;
}

static enum outcome deletes_send(struct db *vault, struct arena *arena, const struct ring_row *rows,
                                 size_t count, size_t sent, struct err *err) {
    struct db_params *params = db_params_new(arena, query_vault_delete_rings.params);
    struct db_column *person = db_column(params, DB_TEXT, sent);
    struct db_column *generation = db_column(params, DB_INT8, sent);
    struct db_column *version = db_column(params, DB_INT8, sent);
    struct db_column *key_id = db_column(params, DB_BYTEA, sent);
    for (size_t i = 0; i < count; i++) {
        if (!text_present(rows[i].blob)) {
            db_put_text(person, rows[i].person);
            db_put_int(generation, rows[i].generation);
            db_put_int(version, rows[i].version);
            db_put_text(key_id, (struct text){(const char *)rows[i].key_id, KEY_ID_BYTES});
        }
    }
    return db_send(vault, &query_vault_delete_rings, params, err);
}

static enum outcome tombstones_send(struct db *vault, struct arena *arena,
                                    const struct tombstone_row *tombstones, size_t count, struct err *err) {
    struct db_params *params = db_params_new(arena, query_vault_delete_lookups.params);
    struct db_column *person = db_column(params, DB_TEXT, count);
    struct db_column *erased = db_column(params, DB_TIMESTAMPTZ, count);
    for (size_t i = 0; i < count; i++) {
        db_put_text(person, tombstones[i].person);
        db_put_time(erased, tombstones[i].erased_us);
    }
    enum outcome outcome = db_send(vault, &query_vault_delete_lookups, params, err);
    params = db_params_new(arena, query_vault_write_tombstones.params);
    struct db_column *subject = db_column(params, DB_TEXT, count);
    struct db_column *body = db_column(params, DB_TEXT, count);
    struct db_column *at = db_column(params, DB_TIMESTAMPTZ, count);
    for (size_t i = 0; i < count; i++) {
        db_put_text(subject, tombstones[i].subject);
        db_put_text(body, tombstones[i].body);
        db_put_time(at, tombstones[i].read_us);
    }
    return outcome == OK ? db_send(vault, &query_vault_write_tombstones, params, err) : outcome;
}

/* The rings that stay, in an array of their own. */
static struct ring_row *staying(struct arena *arena, const struct ring_row *rows, size_t count,
                                size_t *stay) {
    struct ring_row *kept = ARENA_ARRAY(arena, struct ring_row, count + 1);
    *stay = 0;
    for (size_t i = 0; kept && i < count; i++) {
        if (text_present(rows[i].blob)) {
            kept[(*stay)++] = rows[i];
        }
    }
    return kept;
}

/* Everything but the end of the transaction, in one round trip: rings deleted, rings rewritten, lookups,
 * tombstones, counter. *missed: fewer rings were written than sent. */
static enum outcome destroy_in(struct db *vault, struct arena *arena, const struct ring_row *rows,
                               size_t count, const struct tombstone_row *tombstones, size_t tombstone_count,
                               int64_t *counter, bool *missed, struct err *err) {
    size_t stay, expected[5] = {0}, sent = 0;
    struct ring_row *kept = staying(arena, rows, count, &stay);
    enum outcome outcome = kept ? db_send(vault, &query_consumer_begin, NULL, err) : no_memory(err);
    sent += outcome == OK;
    if (outcome == OK && stay < count) {
        expected[sent++] = count - stay;
        outcome = deletes_send(vault, arena, rows, count, count - stay, err);
    }
    if (outcome == OK && stay) {
        expected[sent++] = stay;
        outcome = rings_send(vault, arena, kept, stay, false, err);
    }
    if (outcome == OK) {
        outcome = tombstones_send(vault, arena, tombstones, tombstone_count, err);
    }
    if (outcome == OK) {
        outcome = db_send(vault, &query_vault_counter_raise, NULL, err);
    }
    if (outcome == OK) {
        outcome = db_sync(vault, err);
    }
    sent += 3; /* lookups, tombstones, counter: the last */
    for (size_t i = 0; outcome == OK && i < sent; i++) {
        struct db_result *result = NULL;
        outcome = db_next(vault, &result, err);
        if (outcome == OK && i < 5 && expected[i] && db_affected(result) != (int64_t)expected[i]) {
            *missed = true;
        }
        if (outcome == OK && i == sent - 1 && db_rows(result) == 1) {
            *counter = db_int(result, 0, 0);
        }
        db_result_release(result);
    }
    return outcome;
}

static enum outcome vault_destroy(void *to, struct arena *arena, const struct ring_row *rows, size_t count,
                                  const struct tombstone_row *tombstones, size_t tombstone_count,
                                  int64_t *counter, bool *missed, struct err *err) {
    struct db *vault = to;
    *missed = false;
    *counter = -1;
    enum outcome outcome =
        destroy_in(vault, arena, rows, count, tombstones, tombstone_count, counter, missed, err);
    if (outcome == OK && *counter < 0) {
        outcome = err_set(err, FATAL, 0, "the vault has no counter: run kundregister migrate");
    }
    if (outcome == OK) {
        outcome = db_run(vault, *missed ? &query_consumer_rollback : &query_consumer_commit, NULL, NULL, err);
    }
    if (outcome != OK) {
        db_abandon(vault);
    }
    return outcome;
}

const struct vault_ops vault_postgres = {
    .fetch = vault_fetch, .put = vault_put, .tombstones = vault_tombstones, .destroy = vault_destroy};

/* ---- does it belong to this register and this key ---- */

struct settings {
    bool introduced;
    char id[ID_SIZE], check[CHECK_SIZE];
    int64_t counter;
};

static void setting_copy(char *to, size_t room, struct text value) {
    size_t size = value.size < room ? value.size : 0; /* too long: not ours, and as good as none */
    if (size) {
        memcpy(to, value.at, size);
    }
    to[size] = '\0';
}

static enum outcome settings_read(struct db *db, struct settings *settings, struct err *err) {
    struct db_result *result = NULL;
    *settings = (struct settings){0};
    enum outcome outcome = db_run(db, &query_vault_settings, NULL, &result, err);
    for (size_t i = 0; outcome == OK && i < db_rows(result); i++) {
        struct text name = db_text(result, i, 0), value = db_text(result, i, 1);
        if (text_is(name, "vault_id")) {
            setting_copy(settings->id, sizeof(settings->id), value);
            settings->introduced = settings->id[0] != '\0';
        } else if (text_is(name, "kek_check")) {
            setting_copy(settings->check, sizeof(settings->check), value);
        } else {
            char digits[24];
            setting_copy(digits, sizeof(digits), value);
            settings->counter = strtoll(digits, NULL, 10);
        }
    }
    db_result_release(result);
    return outcome;
}

/* The check value is an empty key ring of nobody, wrapped, in hex. */
static bool check_write(const uint8_t kek[32], const char *id, struct arena *arena, char check[CHECK_SIZE]) {
    uint8_t key[32];
    struct ring_row nobody = {.person = TEXT("")};
    struct ring_random random = {.left = 0};
    ring_derive(kek, RING_CHECK, key);
    struct text blob = ring_wrap(key, RING_CHECK, id, &nobody, &(struct ring_keys){0}, &random, arena);
    secret_wipe(key, sizeof(key));
    if (!blob.at || blob.size * 2 >= CHECK_SIZE) {
        return false;
    }
    (void)sodium_bin2hex(check, CHECK_SIZE, (const uint8_t *)blob.at, blob.size);
    return true;
}

static enum outcome check_open(const uint8_t kek[32], const struct settings *settings, struct err *err) {
    uint8_t key[32], blob[CHECK_SIZE / 2];
    size_t size = 0;
    struct ring_row nobody = {.person = TEXT("")};
    struct ring_keys keys = {0};
    (void)sodium_hex2bin(blob, sizeof(blob), settings->check, strlen(settings->check), NULL, &size, NULL);
    ring_derive(kek, RING_CHECK, key);
    enum outcome outcome =
        ring_unwrap(key, RING_CHECK, settings->id, &nobody, (struct text){(const char *)blob, size}, &keys);
    secret_wipe(key, sizeof(key));
    ring_keys_release(&keys);
    if (outcome == RETRY) {
        return no_memory(err);
    }
    if (outcome != OK) {
        return err_set(err, FATAL, 0,
                       "the key-encryption key is not the one of this vault: check kek.file and [vault]");
    }
    return OK;
}

enum outcome vault_belongs(struct db *vault, struct db *reg, const uint8_t kek[32], char vault_id[33],
                           int64_t *behind, struct err *err) {
    struct settings ours, registers;
    *behind = 0;
    /* The vault's counter rises first: read last, it is never behind because somebody else starts now. */
    enum outcome outcome = settings_read(reg, &registers, err);
    if (outcome == OK) {
        outcome = settings_read(vault, &ours, err);
    }
    if (outcome != OK) {
        return outcome;
    }
    if (!ours.introduced && !registers.introduced) {
        return err_set(err, FATAL, 0,
                       "vault and register do not know each other yet: run kundregister migrate");
    }
    if (strcmp(ours.id, registers.id) != 0) {
        return err_set(err, FATAL, 0,
                       "the register belongs to vault %s, this one is %s: check [register] and [vault]",
                       registers.introduced ? registers.id : "(none)", ours.introduced ? ours.id : "(none)");
    }
    outcome = check_open(kek, &ours, err);
    if (outcome == OK) {
        memcpy(vault_id, ours.id, ID_SIZE);
        *behind = registers.counter > ours.counter ? registers.counter - ours.counter : 0;
    }
    return outcome;
}

enum outcome vault_check(struct db *vault, struct db *reg, const uint8_t kek[32], char vault_id[33],
                         struct err *err) {
    int64_t behind;
    enum outcome outcome = vault_belongs(vault, reg, kek, vault_id, &behind, err);
    if (outcome == OK && behind) {
        outcome =
            err_set(err, FATAL, 0,
                    "an older vault was restored (its counter is %lld behind what the register knows): run "
                    "kundregister restore reconcile",
                    (long long)behind);
    }
    return outcome;
}

/* Raises the vault's counter by the query, then the register's to it. */
static enum outcome count_by(struct db *vault, struct db *reg, const struct query *raise,
                             struct db_params *raise_params, struct arena *arena, struct err *err) {
    struct db_result *result = NULL;
    struct db_params *params = db_params_new(arena, query_vault_counter_follow.params);
    enum outcome outcome = params ? db_run(vault, raise, raise_params, &result, err) : no_memory(err);
    if (outcome == OK && db_rows(result) == 1) {
        db_param_int8(params, db_int(result, 0, 0));
        outcome = db_run(reg, &query_vault_counter_follow, params, NULL, err);
    }
    db_result_release(result);
    return outcome;
}

enum outcome vault_count(struct db *vault, struct db *reg, struct err *err) {
    struct arena arena;
    arena_init(&arena, CHECK_ARENA_BYTES);
    enum outcome outcome = count_by(vault, reg, &query_vault_counter_raise, NULL, &arena, err);
    arena_release(&arena);
    return outcome;
}

enum outcome vault_overtake(struct db *vault, struct db *reg, struct err *err) {
    struct arena arena;
    struct settings registers;
    arena_init(&arena, CHECK_ARENA_BYTES);
    struct db_params *params = db_params_new(&arena, query_vault_counter_overtake.params);
    enum outcome outcome = params ? settings_read(reg, &registers, err) : no_memory(err);
    if (outcome == OK) {
        db_param_int8(params, registers.counter);
        outcome = count_by(vault, reg, &query_vault_counter_overtake, params, &arena, err);
    }
    arena_release(&arena);
    return outcome;
}

/* Whatever is there already stays. */
static enum outcome setting_add(struct db *db, struct arena *arena, const char *name, const char *value,
                                struct err *err) {
    struct db_params *params = db_params_new(arena, 2);
    db_param_text(params, text_of(name));
    db_param_text(params, text_of(value));
    return db_run(db, &query_vault_setting_add, params, NULL, err);
}

static enum outcome vault_name(struct db *vault, const uint8_t kek[32], struct settings *ours,
                               struct arena *arena, struct err *err) {
    uint8_t random[ID_BYTES];
    enum outcome outcome = OK;
    if (!ours->introduced) {
        randombytes_buf(random, sizeof(random));
        (void)sodium_bin2hex(ours->id, sizeof(ours->id), random, sizeof(random));
        outcome = setting_add(vault, arena, "vault_id", ours->id, err);
        if (outcome == OK) {
            outcome = settings_read(vault, ours, err); /* another may have been first */
        }
    }
    if (outcome == OK && !ours->check[0]) {
        if (!check_write(kek, ours->id, arena, ours->check)) {
            return no_memory(err);
        }
        outcome = setting_add(vault, arena, "kek_check", ours->check, err);
        if (outcome == OK) {
            outcome = settings_read(vault, ours, err);
        }
    }
    return outcome == OK ? setting_add(vault, arena, "counter", "0", err) : outcome;
}

enum outcome vault_introduce(struct db *vault_owner, struct db *register_owner, const uint8_t kek[32],
                             struct err *err) {
    struct settings ours, registers;
    char vault_id[ID_SIZE];
    struct arena arena;
    arena_init(&arena, CHECK_ARENA_BYTES);
    enum outcome outcome = settings_read(vault_owner, &ours, err);
    if (outcome == OK) {
        outcome = settings_read(register_owner, &registers, err);
    }
    if (outcome == OK && registers.introduced && !ours.introduced) {
        outcome = err_set(err, FATAL, 0,
                          "the register belongs to vault %s, this one is empty: check [vault], or restore it",
                          registers.id);
    }
    if (outcome == OK) {
        outcome = vault_name(vault_owner, kek, &ours, &arena, err);
    }
    if (outcome == OK && !registers.introduced) {
        outcome = setting_add(register_owner, &arena, "vault_id", ours.id, err);
    }
    if (outcome == OK) {
        outcome = setting_add(register_owner, &arena, "counter", "0", err);
    }
    if (outcome == OK) {
        outcome = vault_check(vault_owner, register_owner, kek, vault_id, err);
    }
    arena_release(&arena);
    return outcome;
}
