/* Key rings over a vault in memory: keys are there before they are needed, two workers never lose one
 * another's, a lost answer loses nothing, the cache keeps its bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "memory_vault.h"
#include <stdio.h>
#include <stdlib.h>

#define VAULT_ID "00112233445566778899aabbccddeeff"
#define CACHE_RINGS 100
#define CACHE_SECONDS 60
#define PERSON TEXT("c-1")

struct fixture {
    struct arena arena;
    struct memory_vault vault;
    uint8_t kek[32];
    struct keyring *one, *two; /* two workers */
    struct sealer *sealer;
    struct err err;
};

static int set_up(void **state) {
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    if (!fixture || seal_start(NULL) != OK) {
        return -1;
    }
    arena_init(&fixture->arena, (size_t)64 << 20);
    memory_vault_init(&fixture->vault);
    memset(fixture->kek, 42, sizeof(fixture->kek));
    fixture->one =
        keyring_new(&memory_vault_ops, &fixture->vault, fixture->kek, VAULT_ID, CACHE_RINGS, CACHE_SECONDS);
    fixture->two =
        keyring_new(&memory_vault_ops, &fixture->vault, fixture->kek, VAULT_ID, CACHE_RINGS, CACHE_SECONDS);
    fixture->sealer = sealer_new();
    *state = fixture;
    return fixture->one && fixture->two && fixture->sealer ? 0 : -1;
}
static int tear_down(void **state) {
    struct fixture *fixture = *state;
    keyring_free(fixture->one);
    keyring_free(fixture->two);
    sealer_free(fixture->sealer);
    memory_vault_release(&fixture->vault);
    arena_release(&fixture->arena);
    free(fixture);
    return 0;
}

static struct key_want want(enum category category, int16_t period) {
    return (struct key_want){.person = PERSON, .generation = 1, .category = category, .period = period};
}
static enum outcome provide(struct fixture *fixture, struct keyring *keyring, const struct key_want *wants,
                            size_t count, int64_t now_s) {
    return keyring_provide(keyring, &fixture->arena, wants, count, NULL, 0, now_s, &fixture->err);
}
static enum outcome load(struct fixture *fixture, struct keyring *keyring, int64_t now_s) {
    struct key_want person = want(CATEGORY_PROFILE, 0);
    return keyring_load(keyring, &fixture->arena, &person, 1, now_s, &fixture->err);
}
static bool has(struct keyring *keyring, enum category category, int16_t period, struct seal_key *key) {
    return keyring_cell_key(keyring, PERSON, 1, category, period, 0, key);
}
static void assert_same_key(const struct seal_key *a, const struct seal_key *b) {
    assert_memory_equal(a->key, b->key, sizeof(a->key));
    assert_memory_equal(a->ring, b->ring, sizeof(a->ring));
    assert_int_equal(a->serial, b->serial);
}

static void a_new_ring_has_what_was_wanted_and_transit_keys(void **state) {
    struct fixture *fixture = *state;
    const struct key_want wants[] = {want(CATEGORY_PROFILE, 200), want(CATEGORY_DELIVERY, 201),
                                     want(CATEGORY_PROFILE, 200)};
    struct seal_key profile, delivery, transit, other;
    assert_int_equal(provide(fixture, fixture->one, wants, 3, 0), OK);
    assert_int_equal(fixture->vault.puts, 1);
    assert_int_equal(keyring_created(fixture->one), 1);
    assert_true(has(fixture->one, CATEGORY_PROFILE, 200, &profile));
    assert_true(has(fixture->one, CATEGORY_DELIVERY, 201, &delivery));
    assert_memory_not_equal(profile.key, delivery.key, sizeof(profile.key));
    assert_false(has(fixture->one, CATEGORY_PROFILE, 201, &other));
    assert_true(keyring_transit_key(fixture->one, PERSON, 1, CATEGORY_PROFILE, 0, &transit));
    assert_true(keyring_transit_key(fixture->one, PERSON, 1, CATEGORY_DELIVERY, 0, &transit));
    assert_false(keyring_transit_key(fixture->one, PERSON, 1, CATEGORY_VOUCHER, 0, &transit));
    assert_false(keyring_transit_key(fixture->one, PERSON, 2, CATEGORY_DELIVERY, 0, &transit));

    const struct ring_row *row = memory_vault_ring(&fixture->vault, PERSON, 1);
    struct seal_key relays;
    assert_int_equal(transit_open(fixture->kek, VAULT_ID, row, CATEGORY_DELIVERY, transit.serial, &relays),
                     OK);
    assert_same_key(&transit, &relays);
    assert_int_equal(transit_open(fixture->kek, VAULT_ID, row, CATEGORY_VOUCHER, transit.serial, &relays),
                     POISON);
    assert_int_equal(transit_open(fixture->kek, "another vault", row, CATEGORY_DELIVERY, 0, &relays), FATAL);

    /* Once more: everything is there, nobody is asked. */
    assert_int_equal(provide(fixture, fixture->one, wants, 3, 1), OK);
    assert_int_equal(fixture->vault.puts, 1);
    assert_int_equal(fixture->vault.fetches, 1);
}

/* A clock that moves an end into another quarter: the cell goes under that quarter's key and not under the
 * old. */
static void an_extended_cell_is_under_the_new_periods_key(void **state) {
    struct fixture *fixture = *state;
    struct seal_place place = {"customer_order", "voucher", PERSON, TEXT("o-1"), -1};
    struct key_want wants[] = {want(CATEGORY_VOUCHER, 250)};
    struct seal_key before, after;
    struct text plain;
    assert_int_equal(provide(fixture, fixture->one, wants, 1, 0), OK);
    assert_true(has(fixture->one, CATEGORY_VOUCHER, 250, &before));
    struct text old = seal_cell(fixture->sealer, &before, &place, TEXT("2 chairs"), &fixture->arena);

    wants[0] = want(CATEGORY_VOUCHER, 251);
    assert_int_equal(provide(fixture, fixture->one, wants, 1, 0), OK);
    assert_true(has(fixture->one, CATEGORY_VOUCHER, 251, &after));
    struct text fresh = seal_cell(fixture->sealer, &after, &place, TEXT("2 chairs"), &fixture->arena);

    struct seal_key named;
    assert_true(keyring_sealed_key(fixture->one, PERSON, 1, CATEGORY_VOUCHER, fresh, &named));
    assert_same_key(&named, &after);
    assert_int_equal(open_cell(&named, &place, fresh, &fixture->arena, &plain, &fixture->err), OK);
    assert_int_equal(open_cell(&before, &place, fresh, &fixture->arena, &plain, &fixture->err), FATAL);
    /* Not even when the old key is called by the new one's names. */
    struct seal_key disguised = after;
    memcpy(disguised.key, before.key, sizeof(before.key));
    assert_int_equal(open_cell(&disguised, &place, fresh, &fixture->arena, &plain, &fixture->err), FATAL);
    assert_true(keyring_sealed_key(fixture->one, PERSON, 1, CATEGORY_VOUCHER, old, &named));
    assert_same_key(&named, &before);
    assert_false(keyring_sealed_key(fixture->one, PERSON, 1, CATEGORY_CLAIM, old, &named));
}

/* Both have cached the ring; each adds another key. */
static void two_workers_extend_one_ring(void **state) {
    struct fixture *fixture = *state;
    struct key_want first = want(CATEGORY_PROFILE, 200), ones = want(CATEGORY_CLAIM, 210),
                    twos = want(CATEGORY_VOUCHER, 220);
    struct seal_key key, again;
    assert_int_equal(provide(fixture, fixture->one, &first, 1, 0), OK);
    assert_int_equal(load(fixture, fixture->two, 0), OK);
    assert_int_equal(provide(fixture, fixture->one, &ones, 1, 0), OK);
    assert_int_equal(provide(fixture, fixture->two, &twos, 1, 0), OK); /* loses, reads again, adds */
    assert_int_equal(fixture->vault.puts, 4);
    assert_true(has(fixture->two, CATEGORY_CLAIM, 210, &key));
    assert_true(has(fixture->one, CATEGORY_CLAIM, 210, &again));
    assert_same_key(&key, &again);
    assert_true(has(fixture->two, CATEGORY_VOUCHER, 220, &key));

    /* The first meets a cell under the key it does not know: the next load reads the ring again. */
    struct seal_place place = {"customer_order", "voucher", PERSON, TEXT("o-1"), -1};
    struct text cell = seal_cell(fixture->sealer, &key, &place, TEXT("x"), &fixture->arena);
    assert_false(keyring_sealed_key(fixture->one, PERSON, 1, CATEGORY_VOUCHER, cell, &again));
    assert_int_equal(load(fixture, fixture->one, 0), OK);
    assert_true(keyring_sealed_key(fixture->one, PERSON, 1, CATEGORY_VOUCHER, cell, &again));
    assert_same_key(&key, &again);
    struct text plain;
    assert_int_equal(open_cell(&again, &place, cell, &fixture->arena, &plain, &fixture->err), OK);
}

static void rival_creates(struct memory_vault *vault, void *context) {
    struct fixture *fixture = context;
    struct key_want wants[] = {want(CATEGORY_PROFILE, 200), want(CATEGORY_LEDGER, 201)};
    vault->before_put = NULL;
    assert_int_equal(provide(fixture, fixture->two, wants, 2, 0), OK);
}

static void two_workers_create_one_ring(void **state) {
    struct fixture *fixture = *state;
    struct key_want wants[] = {want(CATEGORY_PROFILE, 200), want(CATEGORY_CLAIM, 202)};
    struct seal_key one, two;
    fixture->vault.before_put = rival_creates;
    fixture->vault.context = fixture;
    assert_int_equal(provide(fixture, fixture->one, wants, 2, 0), OK);
    assert_int_equal(fixture->vault.ring_count, 1);
    assert_int_equal(keyring_created(fixture->one), 0);
    assert_int_equal(keyring_created(fixture->two), 1);
    assert_true(has(fixture->one, CATEGORY_PROFILE, 200, &one) &&
                has(fixture->two, CATEGORY_PROFILE, 200, &two));
    assert_same_key(&one, &two);
    assert_true(has(fixture->one, CATEGORY_CLAIM, 202, &one) &&
                has(fixture->one, CATEGORY_LEDGER, 201, &one));
}

static void rival_always_first(struct memory_vault *vault, void *context) {
    (void)context;
    for (size_t i = 0; i < vault->ring_count; i++) {
        vault->rings[i].version++;
    }
}

static void endless_rivalry_ends(void **state) {
    struct fixture *fixture = *state;
    struct key_want wants[] = {want(CATEGORY_PROFILE, 200), want(CATEGORY_PROFILE, 201)};
    assert_int_equal(provide(fixture, fixture->one, wants, 1, 0), OK);
    fixture->vault.before_put = rival_always_first;
    assert_int_equal(provide(fixture, fixture->one, wants, 2, 0), RETRY);
    fixture->vault.before_put = NULL;
    assert_int_equal(provide(fixture, fixture->one, wants, 2, 0), OK);
}

/* The vault committed and its answer was lost: the orphan is found and used. */
static void a_lost_answer_loses_nothing(void **state) {
    struct fixture *fixture = *state;
    struct key_want wants[] = {want(CATEGORY_PROFILE, 200), want(CATEGORY_PROFILE, 201)};
    struct seal_key key, stored;
    fixture->vault.fail_puts_after = 1;
    assert_int_equal(provide(fixture, fixture->one, wants, 1, 0), RETRY);
    assert_false(has(fixture->one, CATEGORY_PROFILE, 200, &key));
    assert_int_equal(provide(fixture, fixture->one, wants, 2, 0), OK);
    assert_int_equal(fixture->vault.ring_count, 1);
    fixture->vault.fail_puts_before = 1;
    fixture->vault.fail_fetches = 0;
    wants[1].period = 202;
    assert_int_equal(provide(fixture, fixture->one, wants, 2, 0), RETRY);
    fixture->vault.fail_fetches = 1;
    assert_int_equal(provide(fixture, fixture->one, wants, 2, 0), RETRY);
    assert_false(has(fixture->one, CATEGORY_PROFILE, 200, &key));
    assert_int_equal(provide(fixture, fixture->one, wants, 2, 0), OK);
    assert_int_equal(load(fixture, fixture->two, 0), OK);
    assert_true(has(fixture->one, CATEGORY_PROFILE, 202, &key) &&
                has(fixture->two, CATEGORY_PROFILE, 202, &stored));
    assert_same_key(&key, &stored);
}

static void another_kek_opens_nothing(void **state) {
    struct fixture *fixture = *state;
    struct key_want wants[] = {want(CATEGORY_PROFILE, 200)};
    struct seal_key key;
    uint8_t wrong[32] = {1};
    assert_int_equal(provide(fixture, fixture->one, wants, 1, 0), OK);
    struct keyring *stranger =
        keyring_new(&memory_vault_ops, &fixture->vault, wrong, VAULT_ID, CACHE_RINGS, 60);
    assert_int_equal(load(fixture, stranger, 0), POISON);
    assert_int_equal(provide(fixture, stranger, wants, 1, 0), POISON);
    assert_false(has(stranger, CATEGORY_PROFILE, 200, &key));
    keyring_free(stranger);
    assert_int_equal(transit_open(wrong, VAULT_ID, memory_vault_ring(&fixture->vault, PERSON, 1),
                                  CATEGORY_PROFILE, 0, &key),
                     FATAL);
    /* Nor does a ring that was put under another person's name. */
    struct ring_row *row = memory_vault_ring(&fixture->vault, PERSON, 1);
    row->generation = 2;
    struct key_want moved = wants[0];
    moved.generation = 2;
    assert_int_equal(keyring_load(fixture->two, &fixture->arena, &moved, 1, 0, &fixture->err), POISON);
}

/* What is sealed under a lost ring shall not be hidden by a new one in its place. */
static void a_lost_ring_is_not_made_anew(void **state) {
    struct fixture *fixture = *state;
    struct key_want kept = want(CATEGORY_PROFILE, 200);
    struct seal_key key;
    kept.kept = true;
    assert_int_equal(provide(fixture, fixture->one, &kept, 1, 0), POISON);
    assert_int_equal(fixture->err.sqlstate[0], 0);
    assert_null(memory_vault_ring(&fixture->vault, PERSON, 1));
    /* Cached as absent, made by another worker since: the vault is asked before anything is said to be lost.
     */
    struct key_want first = want(CATEGORY_PROFILE, 200);
    assert_int_equal(provide(fixture, fixture->two, &first, 1, 0), OK);
    assert_int_equal(provide(fixture, fixture->one, &kept, 1, 0), OK);
    assert_true(has(fixture->one, CATEGORY_PROFILE, 200, &key));
}

static void a_destroyed_ring_is_gone_from_caches_in_time(void **state) {
    struct fixture *fixture = *state;
    struct key_want wants[] = {want(CATEGORY_PROFILE, 200)};
    struct seal_key key;
    assert_int_equal(provide(fixture, fixture->one, wants, 1, 1000), OK);
    memory_vault_destroy(&fixture->vault, PERSON, 1);
    assert_int_equal(load(fixture, fixture->one, 1000 + CACHE_SECONDS), OK);
    assert_true(has(fixture->one, CATEGORY_PROFILE, 200, &key));
    assert_int_equal(load(fixture, fixture->one, 1001 + CACHE_SECONDS), OK);
    assert_false(has(fixture->one, CATEGORY_PROFILE, 200, &key));
    /* Not asked for again, it goes with time as well. */
    assert_int_equal(provide(fixture, fixture->one, wants, 1, 2000), OK);
    assert_int_equal(keyring_load(fixture->one, &fixture->arena, NULL, 0, 3000, &fixture->err), OK);
    assert_false(has(fixture->one, CATEGORY_PROFILE, 200, &key));
    assert_int_equal(provide(fixture, fixture->one, wants, 1, 3000), OK);
    keyring_forget(fixture->one);
    assert_false(has(fixture->one, CATEGORY_PROFILE, 200, &key));
}

/* What was sealed before the floors is doomed, what is sealed after them stays, whoever's cache is asked. */
static void below_a_floor_nothing_is_sealed(void **state) {
    struct fixture *fixture = *state;
    struct key_want wants[] = {want(CATEGORY_DELIVERY, 200), want(CATEGORY_CLAIM, 200),
                               want(CATEGORY_DELIVERY, 0)};
    wants[2].transit = true;
    struct key_doom dooms[2] = {{.person = PERSON, .generation = 1, .category = CATEGORY_DELIVERY},
                                {.person = PERSON, .generation = 9, .category = CATEGORY_DELIVERY}};
    struct seal_key before, after, transit;
    assert_int_equal(provide(fixture, fixture->one, wants, 2, 0), OK);
    assert_int_equal(load(fixture, fixture->two, 0), OK);
    assert_true(has(fixture->one, CATEGORY_DELIVERY, 200, &before));
    assert_true(keyring_transit_key(fixture->one, PERSON, 1, CATEGORY_DELIVERY, 0, &transit));

    size_t fetches = fixture->vault.fetches;
    assert_int_equal(keyring_floors(fixture->one, &fixture->arena, dooms, 2, 0, &fixture->err), OK);
    assert_int_equal(fixture->vault.fetches, fetches + 1);
    assert_in_range(dooms[0].cells, before.serial + 1, UINT16_MAX);
    assert_in_range(dooms[0].transit, transit.serial + 1, UINT16_MAX);
    assert_int_equal(dooms[1].cells, 0);
    assert_int_equal(dooms[1].transit, 0);
    wants[0].floor = dooms[0].cells;
    wants[2].floor = dooms[0].transit;
    assert_false(keyring_cell_key(fixture->one, PERSON, 1, CATEGORY_DELIVERY, 200, dooms[0].cells, &after));
    assert_int_equal(provide(fixture, fixture->one, wants, 3, 0), OK);
    assert_true(keyring_cell_key(fixture->one, PERSON, 1, CATEGORY_DELIVERY, 200, dooms[0].cells, &after));
    assert_in_range(after.serial, dooms[0].cells, UINT16_MAX);
    assert_true(keyring_transit_key(fixture->one, PERSON, 1, CATEGORY_DELIVERY, dooms[0].transit, &transit));
    assert_in_range(transit.serial, dooms[0].transit, UINT16_MAX);

    /* The other worker's cache knows the old keys only: it takes the first one's, and adds none. */
    struct seal_key twos;
    assert_true(has(fixture->two, CATEGORY_DELIVERY, 200, &twos));
    assert_same_key(&twos, &before);
    assert_false(keyring_cell_key(fixture->two, PERSON, 1, CATEGORY_DELIVERY, 200, dooms[0].cells, &twos));
    assert_int_equal(provide(fixture, fixture->two, wants, 3, 0), OK);
    assert_true(keyring_cell_key(fixture->two, PERSON, 1, CATEGORY_DELIVERY, 200, dooms[0].cells, &twos));
    assert_same_key(&twos, &after);
}

static enum outcome destroy(struct fixture *fixture, const struct key_doom *dooms, size_t count,
                            const struct tombstone_row *tombstone) {
    int64_t counter;
    return keyring_destroy(fixture->one, &fixture->arena, dooms, count, tombstone, 1, &counter,
                           &fixture->err);
}

/* The doomed keys of two categories go, those from the floors on and those of a third stay; done twice it is
 * the same, and a ring without keys is no ring. */
static void doomed_keys_are_destroyed(void **state) {
    struct fixture *fixture = *state;
    struct key_want wants[] = {want(CATEGORY_DELIVERY, 200), want(CATEGORY_CLAIM, 200),
                               want(CATEGORY_PROFILE, 200)};
    struct key_doom dooms[] = {{.person = PERSON, .generation = 1, .category = CATEGORY_PROFILE},
                               {.person = PERSON, .generation = 1, .category = CATEGORY_DELIVERY},
                               {.person = TEXT("c-2"), .generation = 1, .category = CATEGORY_DELIVERY}};
    struct tombstone_row tombstone = {
        .person = PERSON, .subject = TEXT("s-1"), .body = TEXT("{}"), .read_us = 7, .erased_us = 9};
    struct lookup_row lookups[] = {
        {.hash = {1}, .person = PERSON, .generation = -1, .kind = "email", .time_us = 9},
        {.hash = {2}, .person = PERSON, .generation = -1, .kind = "email", .time_us = 9},
        {.hash = {2}, .person = PERSON, .generation = -1, .kind = "email", .time_us = 10}};
    struct seal_key key;
    assert_int_equal(keyring_provide(fixture->one, &fixture->arena, wants, 3, lookups, 3, 0, &fixture->err),
                     OK);
    assert_int_equal(keyring_floors(fixture->one, &fixture->arena, dooms, 3, 0, &fixture->err), OK);
    wants[0].floor = dooms[1].cells;
    assert_int_equal(provide(fixture, fixture->one, wants, 1, 0), OK); /* a parcel waits */
    fixture->vault.fail_destroys_before = 1;
    assert_int_equal(destroy(fixture, dooms, 3, &tombstone), RETRY);
    fixture->vault.fail_destroys_after = 1;
    assert_int_equal(destroy(fixture, dooms, 3, &tombstone), RETRY);
    for (int times = 0; times < 2; times++) {
        assert_int_equal(destroy(fixture, dooms, 3, &tombstone), OK);
        assert_false(has(fixture->one, CATEGORY_DELIVERY, 200, &key)); /* forgotten at once */
        assert_int_equal(load(fixture, fixture->one, 0), OK);
        assert_false(has(fixture->one, CATEGORY_PROFILE, 200, &key));
        assert_false(keyring_transit_key(fixture->one, PERSON, 1, CATEGORY_PROFILE, 0, &key));
        assert_false(keyring_transit_key(fixture->one, PERSON, 1, CATEGORY_DELIVERY, 0, &key));
        assert_true(keyring_transit_key(fixture->one, PERSON, 1, CATEGORY_CLAIM, 0, &key));
        assert_true(has(fixture->one, CATEGORY_CLAIM, 200, &key));
        assert_true(has(fixture->one, CATEGORY_DELIVERY, 200, &key));
        assert_in_range(key.serial, dooms[1].cells, UINT16_MAX);
        assert_int_equal(fixture->vault.lookup_count, 1);
        assert_int_equal(fixture->vault.lookups[0].hash[0], 2);
    }
    dooms[0].category = CATEGORY_DELIVERY;
    dooms[1].category = CATEGORY_CLAIM;
    assert_int_equal(keyring_floors(fixture->one, &fixture->arena, dooms, 2, 0, &fixture->err), OK);
    assert_int_equal(destroy(fixture, dooms, 2, &tombstone), OK);
    assert_int_equal(fixture->vault.ring_count, 0);
    assert_int_equal(fixture->vault.tombstone_count, 1);
    tombstone.read_us = 6; /* whoever was overtaken */
    tombstone.body = TEXT("[]");
    assert_int_equal(destroy(fixture, dooms, 0, &tombstone), OK);
    assert_true(text_is(memory_vault_tombstone(&fixture->vault, tombstone.subject)->body, "{}"));
}

static void rival_adds(struct memory_vault *vault, void *context) {
    struct fixture *fixture = context;
    struct key_want wanted = want(CATEGORY_VOUCHER, 200);
    vault->before_put = NULL;
    assert_int_equal(provide(fixture, fixture->two, &wanted, 1, 0), OK);
}

/* Another worker adds a key while others of the ring are destroyed: neither is lost. */
static void a_key_added_meanwhile_outlives_the_destruction(void **state) {
    struct fixture *fixture = *state;
    struct key_want wanted = want(CATEGORY_PROFILE, 200);
    struct key_doom doom = {.person = PERSON, .generation = 1, .category = CATEGORY_PROFILE};
    struct tombstone_row tombstone = {.person = PERSON, .subject = TEXT("s-1"), .body = TEXT("{}")};
    struct seal_key key;
    assert_int_equal(provide(fixture, fixture->one, &wanted, 1, 0), OK);
    assert_int_equal(keyring_floors(fixture->one, &fixture->arena, &doom, 1, 0, &fixture->err), OK);
    fixture->vault.before_put = rival_adds;
    fixture->vault.context = fixture;
    assert_int_equal(destroy(fixture, &doom, 1, &tombstone), OK);
    assert_int_equal(fixture->vault.destroys, 2);
    assert_int_equal(fixture->vault.counter, 1);
    assert_int_equal(load(fixture, fixture->one, 0), OK);
    assert_false(has(fixture->one, CATEGORY_PROFILE, 200, &key));
    assert_true(has(fixture->one, CATEGORY_VOUCHER, 200, &key));
}

/* A ring that went whole and is made anew: its serials go on from the floor, and a cache that holds the old
 * one cannot overwrite it. */
static void a_ring_made_anew_keeps_its_floors(void **state) {
    struct fixture *fixture = *state;
    struct key_want wants[] = {want(CATEGORY_PROFILE, 200), want(CATEGORY_CLAIM, 200)};
    struct seal_key one, two;
    enum { FLOOR = 40 };
    assert_int_equal(provide(fixture, fixture->one, wants, 1, 0), OK);
    assert_int_equal(load(fixture, fixture->two, 0), OK);
    memory_vault_destroy(&fixture->vault, PERSON, 1);
    keyring_forget(fixture->one);
    wants[0].floor = wants[0].transit_floor = FLOOR;
    assert_int_equal(provide(fixture, fixture->one, wants, 1, 0), OK);
    assert_true(keyring_cell_key(fixture->one, PERSON, 1, CATEGORY_PROFILE, 200, FLOOR, &one));
    assert_true(keyring_transit_key(fixture->one, PERSON, 1, CATEGORY_PROFILE, FLOOR, &two));
    assert_int_equal(provide(fixture, fixture->two, &wants[1], 1, 0), OK);
    keyring_forget(fixture->one);
    assert_int_equal(load(fixture, fixture->one, 0), OK);
    assert_true(keyring_cell_key(fixture->one, PERSON, 1, CATEGORY_PROFILE, 200, FLOOR, &two));
    assert_same_key(&one, &two);
    assert_true(has(fixture->one, CATEGORY_CLAIM, 200, &two));
}

/* A batch larger than the cache still has all its keys; afterwards the bound holds. */
static void the_cache_keeps_its_bound(void **state) {
    struct fixture *fixture = *state;
    enum { PERSONS = 1000, BATCHES = 5 };
    static char names[PERSONS][32];
    static struct key_want wants[PERSONS];
    struct seal_key key;
    for (int batch = 0; batch < BATCHES; batch++) {
        for (size_t i = 0; i < PERSONS; i++) {
            (void)snprintf(names[i], sizeof(names[i]), "c-%d-%zu", batch, i);
            wants[i] = (struct key_want){
                .person = text_of(names[i]), .generation = -1, .category = CATEGORY_PROFILE};
        }
        assert_int_equal(provide(fixture, fixture->one, wants, PERSONS, batch), OK);
        for (size_t i = 0; i < PERSONS; i++) {
            assert_true(keyring_cell_key(fixture->one, wants[i].person, -1, CATEGORY_PROFILE, 0, 0, &key));
        }
    }
    assert_int_equal(keyring_created(fixture->one), PERSONS * BATCHES);
    assert_int_equal(keyring_load(fixture->one, &fixture->arena, NULL, 0, BATCHES, &fixture->err), OK);
    size_t left = 0;
    fixture->vault.fetched_rows = 0;
    assert_int_equal(keyring_load(fixture->one, &fixture->arena, wants, PERSONS, BATCHES, &fixture->err), OK);
    left = PERSONS - fixture->vault.fetched_rows;
    assert_in_range(left, 0, CACHE_RINGS);
    for (size_t i = 0; i < PERSONS; i++) {
        assert_true(keyring_cell_key(fixture->one, wants[i].person, -1, CATEGORY_PROFILE, 0, 0, &key));
    }
}

static void lookups_are_committed_with_the_ring(void **state) {
    struct fixture *fixture = *state;
    struct key_want wants[] = {want(CATEGORY_PROFILE, 200)};
    struct lookup_row lookup = {.person = PERSON, .generation = 1, .kind = "email", .time_us = 5};
    assert_int_equal(keyring_provide(fixture->one, &fixture->arena, wants, 1, &lookup, 1, 0, &fixture->err),
                     OK);
    assert_int_equal(fixture->vault.puts, 1);
    assert_int_equal(fixture->vault.lookup_count, 1);
    lookup.hash[0] = 1;
    assert_int_equal(keyring_provide(fixture->one, &fixture->arena, wants, 1, &lookup, 1, 0, &fixture->err),
                     OK);
    assert_int_equal(fixture->vault.puts, 2);
    assert_int_equal(fixture->vault.lookup_count, 2);
}

static void spellings_of_one_address_are_one(void **state) {
    struct fixture *fixture = *state;
    static const char *const spellings[] = {"kundtjänst@jerone.fi", " KUNDTJÄNST@Jerone.FI\n",
                                            "kundtja\xcc\x88nst@jerone.fi"};
    uint8_t key[32] = {9}, first[32], hash[32], other[32];
    assert_true(lookup_hash_email(key, text_of(spellings[0]), &fixture->arena, first));
    for (size_t i = 1; i < 3; i++) {
        assert_true(lookup_hash_email(key, text_of(spellings[i]), &fixture->arena, hash));
        assert_memory_equal(first, hash, sizeof(hash));
    }
    assert_true(lookup_hash_email(key, TEXT("Anna@Example.com "), &fixture->arena, hash));
    assert_true(lookup_hash_email(key, TEXT("anna@example.com"), &fixture->arena, other));
    assert_memory_equal(hash, other, sizeof(hash));
    assert_true(lookup_hash_email(key, TEXT("+358401234567"), &fixture->arena, hash));
    lookup_hash_phone(key, TEXT("+358401234567"), other);
    assert_memory_not_equal(hash, other, sizeof(hash));
    key[0]++;
    lookup_hash_phone(key, TEXT("+358401234567"), hash);
    assert_memory_not_equal(hash, other, sizeof(hash));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_new_ring_has_what_was_wanted_and_transit_keys, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_extended_cell_is_under_the_new_periods_key, set_up, tear_down),
        cmocka_unit_test_setup_teardown(two_workers_extend_one_ring, set_up, tear_down),
        cmocka_unit_test_setup_teardown(two_workers_create_one_ring, set_up, tear_down),
        cmocka_unit_test_setup_teardown(endless_rivalry_ends, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_lost_answer_loses_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_kek_opens_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_lost_ring_is_not_made_anew, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_destroyed_ring_is_gone_from_caches_in_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(below_a_floor_nothing_is_sealed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(doomed_keys_are_destroyed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_key_added_meanwhile_outlives_the_destruction, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_ring_made_anew_keeps_its_floors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_cache_keeps_its_bound, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lookups_are_committed_with_the_ring, set_up, tear_down),
        cmocka_unit_test_setup_teardown(spellings_of_one_address_are_one, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
