/* The cache of opened key rings, and how a batch gets the keys it needs.
 *
 * The cache is an open-addressed table of rings. What the call in hand touched stays until the next call,
 * whatever the bound says; the rest goes in the order of a clock's hand when there are too many, and at
 * `cache_seconds`. An entry with version 0 remembers that the vault has no such ring; readers see none, and
 * keyring_provide tries to create without asking again.
 *
 * keyring_provide, one round: (1) rings of the wanted persons into the cache; (2) of each ring that lacks a
 * key, a copy with the keys added; (3) one vault transaction writes the copies where nobody was faster; (4)
 * what was written takes the place of the cached ring, what was not is forgotten and the round done again. A
 * round whose end is unknown forgets all that it wrote. */
#include "core/ring.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

#define ROUNDS_MAX 16
#define TABLE_MIN 256

struct ring {
    uint64_t hash;
    int64_t generation, version, loaded_s;
    uint64_t turn;     /* of the last call that touched it */
    bool stale;        /* lacked a key that a cell names: read again */
    struct ring *next; /* the copy to be written */
    uint8_t key_id[KEY_ID_BYTES];
    struct ring_keys cells, transit;
    size_t person_bytes;
    char person[];
};

struct keyring {
    const struct vault_ops *ops;
    void *vault;
    uint8_t cells_key[32], transit_key[32];
    uint8_t hash_key[crypto_shorthash_KEYBYTES]; /* persons' names come from outside */
    char vault_id[64];
    struct ring **table;
    size_t slots, count, hand, cache_rings;
    int cache_seconds;
    int64_t now_s;
    uint64_t turn, created;
    struct ring_random random;
};

_Static_assert(crypto_shorthash_BYTES == sizeof(uint64_t), "a slot's hash");

/* ---- one ring ---- */

static void ring_free(struct ring *ring) {
    if (ring) {
        ring_free(ring->next);
        ring_keys_release(&ring->cells);
        ring_keys_release(&ring->transit);
        free(ring);
    }
}

static struct text ring_person(const struct ring *ring) {
    return (struct text){ring->person, ring->person_bytes};
}

static struct ring *ring_new(uint64_t hash, struct text person, int64_t generation) {
    struct ring *ring = calloc(1, sizeof(*ring) + person.size);
    if (ring) {
        ring->hash = hash;
        ring->generation = generation;
        ring->person_bytes = person.size;
        memcpy(ring->person, person.at, person.size);
    }
    return ring;
}

/* The copy that keys are added to; a ring that is not there yet gets its key id now. */
static struct ring *ring_copy(const struct ring *ring, struct ring_random *random) {
    struct ring *copy = ring_new(ring->hash, ring_person(ring), ring->generation);
    if (!copy || !ring_keys_copy(&ring->cells, &copy->cells) ||
        !ring_keys_copy(&ring->transit, &copy->transit)) {
        ring_free(copy);
        return NULL;
    }
    copy->version = ring->version;
    memcpy(copy->key_id, ring->key_id, KEY_ID_BYTES);
    if (!copy->version) {
        ring_random_take(random, copy->key_id, KEY_ID_BYTES);
    }
    return copy;
}

/* ---- the table ---- */

struct keyring *keyring_new(const struct vault_ops *ops, void *vault, const uint8_t kek[32],
                            const char *vault_id, size_t cache_rings, int cache_seconds) {
    struct keyring *keyring = calloc(1, sizeof(*keyring));
    struct ring **table = calloc(TABLE_MIN, sizeof(struct ring *));
    if (!keyring || !table) {
        free(keyring);
        free(table);
        return NULL;
    }
    size_t id_bytes = strlen(vault_id);
    assert(id_bytes < sizeof(keyring->vault_id));
    *keyring = (struct keyring){.ops = ops,
                                .vault = vault,
                                .table = table,
                                .slots = TABLE_MIN,
                                .cache_rings = cache_rings,
                                .cache_seconds = cache_seconds};
    memcpy(keyring->vault_id, vault_id, id_bytes);
    randombytes_buf(keyring->hash_key, sizeof(keyring->hash_key));
    ring_derive(kek, RING_CELLS, keyring->cells_key);
    ring_derive(kek, RING_TRANSIT, keyring->transit_key);
    return keyring;
}

void keyring_forget(struct keyring *keyring) {
    for (size_t i = 0; i < keyring->slots; i++) {
        ring_free(keyring->table[i]);
        keyring->table[i] = NULL;
    }
    keyring->count = 0;
}

void keyring_free(struct keyring *keyring) {
    if (keyring) {
        keyring_forget(keyring);
        free(keyring->table);
        sodium_memzero(keyring, sizeof(*keyring));
        free(keyring);
    }
}

uint64_t keyring_created(const struct keyring *keyring) {
    return keyring->created;
}

static uint64_t person_hash(const struct keyring *keyring, struct text person, int64_t generation) {
    uint64_t hash;
    (void)crypto_shorthash((uint8_t *)&hash, (const uint8_t *)person.at, person.size, keyring->hash_key);
    return hash + (uint64_t)generation * UINT64_C(0x9e3779b97f4a7c15);
}

/* The slot where the ring is, or the free one where it would be. */
static size_t slot_of(const struct keyring *keyring, uint64_t hash, struct text person, int64_t generation) {
    size_t slot = hash & (keyring->slots - 1);
    for (const struct ring *ring; (ring = keyring->table[slot]); slot = (slot + 1) & (keyring->slots - 1)) {
        if (ring->hash == hash && ring->generation == generation && text_equal(ring_person(ring), person)) {
            break;
        }
    }
    return slot;
}

static struct ring *cached(const struct keyring *keyring, struct text person, int64_t generation) {
    return keyring->table[slot_of(keyring, person_hash(keyring, person, generation), person, generation)];
}

/* Frees a slot and moves up what had to step over it. */
static void slot_clear(struct keyring *keyring, size_t slot) {
    ring_free(keyring->table[slot]);
    keyring->table[slot] = NULL;
    keyring->count--;
    size_t mask = keyring->slots - 1;
    for (size_t at = (slot + 1) & mask; keyring->table[at]; at = (at + 1) & mask) {
        size_t home = keyring->table[at]->hash & mask;
        if (((at - home) & mask) >= ((at - slot) & mask)) {
            keyring->table[slot] = keyring->table[at];
            keyring->table[at] = NULL;
            slot = at;
        }
    }
}

void keyring_forget_rings(struct keyring *keyring, const struct key_doom *dooms, size_t count) {
    for (size_t i = 0; i < count; i++) {
        size_t slot = slot_of(keyring, person_hash(keyring, dooms[i].person, dooms[i].generation),
                              dooms[i].person, dooms[i].generation);
        if (keyring->table[slot]) {
            slot_clear(keyring, slot);
        }
    }
}

static bool table_grow(struct keyring *keyring) {
    if ((keyring->count + 1) * 2 <= keyring->slots) {
        return true;
    }
    struct ring **old = keyring->table;
    size_t old_slots = keyring->slots;
    struct ring **table = calloc(old_slots * 2, sizeof(struct ring *));
    if (!table) {
        return false;
    }
    keyring->table = table;
    keyring->slots = old_slots * 2;
    for (size_t i = 0; i < old_slots; i++) {
        if (old[i]) {
            table[slot_of(keyring, old[i]->hash, ring_person(old[i]), old[i]->generation)] = old[i];
        }
    }
    free(old);
    return true;
}

static bool usable(const struct keyring *keyring, const struct ring *ring) {
    return !ring->stale && keyring->now_s - ring->loaded_s <= keyring->cache_seconds;
}

/* A new call: its time, and a share of the table swept of what is too old or too much. Each slot is seen
 * within 32 calls even when nothing is too much. */
static void turn_begin(struct keyring *keyring, int64_t now_s) {
    keyring->turn++;
    keyring->now_s = now_s;
    size_t least = keyring->slots / 32;
    for (size_t seen = 0; seen < keyring->slots && (seen < least || keyring->count > keyring->cache_rings);
         seen++) {
        size_t slot = keyring->hand & (keyring->slots - 1);
        if (keyring->table[slot] &&
            (keyring->count > keyring->cache_rings || !usable(keyring, keyring->table[slot]))) {
            slot_clear(keyring, slot); /* the next one may have moved here: look again */
        } else {
            keyring->hand = slot + 1;
        }
    }
}

/* Puts a ring into the table, in place of what was cached of the same. It is the table's, or freed. */
static bool cache_put(struct keyring *keyring, struct ring *ring) {
    if (!table_grow(keyring)) {
        ring_free(ring);
        return false;
    }
    size_t slot = slot_of(keyring, ring->hash, ring_person(ring), ring->generation);
    keyring->count += keyring->table[slot] == NULL;
    ring_free(keyring->table[slot]);
    ring->loaded_s = keyring->now_s;
    ring->turn = keyring->turn;
    keyring->table[slot] = ring;
    return true;
}

/* ---- loading ---- */

static enum outcome no_memory(struct err *err) {
    return err_set(err, RETRY, ENOMEM, "the key rings of the batch do not fit into its memory");
}

static enum outcome ring_take_in(struct keyring *keyring, const struct ring_row *row, struct err *err) {
    struct ring *ring =
        ring_new(person_hash(keyring, row->person, row->generation), row->person, row->generation);
    if (!ring) {
        return no_memory(err);
    }
    ring->version = row->version;
    memcpy(ring->key_id, row->key_id, KEY_ID_BYTES);
    enum outcome opened = OK;
    if (row->version) {
        opened = ring_unwrap(keyring->cells_key, RING_CELLS, keyring->vault_id, row, row->blob, &ring->cells);
    }
    if (row->version && opened == OK) {
        opened = ring_unwrap(keyring->transit_key, RING_TRANSIT, keyring->vault_id, row, row->transit,
                             &ring->transit);
    }
    if (opened != OK) {
        ring_free(ring);
        return opened == RETRY
                   ? no_memory(err)
                   : err_set(err, POISON, 0,
                             "a key ring in the vault does not open: damaged, or another key-encryption key");
    }
    return cache_put(keyring, ring) ? OK : no_memory(err);
}

/* Fetches what is not cached. absent_known: that a ring was absent a moment ago is good enough. */
static enum outcome load(struct keyring *keyring, struct arena *arena, const struct key_want *persons,
                         size_t count, bool absent_known, struct err *err) {
    struct ring_row *rows = ARENA_ARRAY(arena, struct ring_row, count);
    if (!rows) {
        return count ? no_memory(err) : OK;
    }
    size_t missing = 0;
    for (size_t i = 0; i < count; i++) {
        struct text person = persons[i].person;
        int64_t generation = persons[i].generation;
        struct ring *ring = cached(keyring, person, generation);
        bool asked = ring && ring->turn == keyring->turn && !ring->stale;
        if (!asked && !(ring && usable(keyring, ring) && (ring->version || absent_known))) {
            rows[missing++] = (struct ring_row){.person = person, .generation = generation};
            /* Stands for the answer until it comes, so that a person named twice is asked for once. */
            ring = ring_new(person_hash(keyring, person, generation), person, generation);
            if (!ring || !cache_put(keyring, ring)) {
                return no_memory(err);
            }
        }
        ring->turn = keyring->turn;
    }
    enum outcome outcome = missing ? keyring->ops->fetch(keyring->vault, arena, rows, missing, err) : OK;
    size_t taken = 0;
    while (outcome == OK && taken < missing) {
        outcome = ring_take_in(keyring, &rows[taken], err);
        taken += outcome == OK;
    }
    for (size_t i = taken; i < missing; i++) { /* no answer: not "absent" */
        size_t slot = slot_of(keyring, person_hash(keyring, rows[i].person, rows[i].generation),
                              rows[i].person, rows[i].generation);
        if (keyring->table[slot]) {
            slot_clear(keyring, slot);
        }
    }
    return outcome;
}

enum outcome keyring_load(struct keyring *keyring, struct arena *arena, const struct key_want *persons,
                          size_t count, int64_t now_s, struct err *err) {
    turn_begin(keyring, now_s);
    return load(keyring, arena, persons, count, false, err);
}

/* ---- floors ---- */

static bool has_category(const struct ring_keys *keys, enum category category) {
    for (size_t i = 0; i < keys->count; i++) {
        if (keys->at[i].category == category) {
            return true;
        }
    }
    return false;
}

enum outcome keyring_floors(struct keyring *keyring, struct arena *arena, struct key_doom *dooms,
                            size_t count, int64_t now_s, struct err *err) {
    turn_begin(keyring, now_s);
    struct ring_row *rows = ARENA_ARRAY(arena, struct ring_row, count);
    if (!rows) {
        return count ? no_memory(err) : OK;
    }
    for (size_t i = 0; i < count; i++) {
        rows[i] = (struct ring_row){.person = dooms[i].person, .generation = dooms[i].generation};
    }
    enum outcome outcome = keyring->ops->fetch(keyring->vault, arena, rows, count, err);
    for (size_t i = 0; outcome == OK && i < count; i++) {
        outcome = ring_take_in(keyring, &rows[i], err);
        const struct ring *ring =
            outcome == OK ? cached(keyring, dooms[i].person, dooms[i].generation) : NULL;
        dooms[i].cells = ring && has_category(&ring->cells, dooms[i].category) ? ring->cells.next_serial : 0;
        dooms[i].transit =
            ring && has_category(&ring->transit, dooms[i].category) ? ring->transit.next_serial : 0;
    }
    return outcome;
}

/* ---- providing ---- */

struct pending {
    struct ring **at;
    size_t count;
};

/* The newest key is good enough, or none is. */
static const struct ring_key *key_from(const struct ring_keys *keys, enum category category, int16_t period,
                                       uint16_t floor) {
    const struct ring_key *newest = ring_keys_newest(keys, category, period);
    return newest && newest->serial >= floor ? newest : NULL;
}

static const struct ring_key *wanted_key(const struct ring *ring, const struct key_want *want) {
    return want->transit ? key_from(&ring->transit, want->category, 0, want->floor)
                         : key_from(&ring->cells, want->category, want->period, want->floor);
}

/* A ring that was destroyed whole and is made anew starts its serials again: not below the floor. */
static bool key_add(struct ring_keys *keys, const struct key_want *want, int16_t period,
                    struct ring_random *random) {
    keys->next_serial = want->floor > keys->next_serial ? want->floor : keys->next_serial;
    return ring_keys_add(keys, want->category, period, random);
}

/* Copies with the missing keys added, of the rings that lack any. A new ring gets a transit key a category.
 */
static enum outcome copies_make(struct keyring *keyring, const struct key_want *wants, size_t count,
                                struct pending *pending, struct err *err) {
    for (size_t i = 0; i < count; i++) {
        const struct key_want *want = &wants[i];
        struct ring *ring = cached(keyring, want->person, want->generation);
        if (!ring)
            return no_memory(err);
        if (want->kept && !ring->version) {
            ring->stale = true;
            return err_set(err, POISON, 0, "a key ring is missing in the vault");
        }
        struct ring *copy = ring->next;
        if (wanted_key(copy ? copy : ring, want))
            continue;
        if (!copy) {
            ring->next = copy = ring_copy(ring, &keyring->random);
            if (!copy)
                return no_memory(err);
            pending->at[pending->count++] = ring;
        }
        bool added = want->transit ? key_add(&copy->transit, want, 0, &keyring->random)
                                   : key_add(&copy->cells, want, want->period, &keyring->random);
        if (added && !copy->version && !ring_keys_newest(&copy->transit, want->category, 0)) {
            const struct key_want transit = {.category = want->category, .floor = want->transit_floor};
            added = key_add(&copy->transit, &transit, 0, &keyring->random);
        }
        if (!added)
            return no_memory(err);
    }
    return OK;
}

static int pending_order(const void *a, const void *b) {
    const struct ring *left = *(struct ring *const *)a, *right = *(struct ring *const *)b;
    int order = text_compare(ring_person(left), ring_person(right));
    return order ? order : (left->generation > right->generation) - (left->generation < right->generation);
}

static enum outcome copies_write(struct keyring *keyring, struct arena *arena, const struct pending *pending,
                                 const struct lookup_row *lookups, size_t lookup_count, bool *done,
                                 struct err *err) {
    struct ring_row *rows = ARENA_ARRAY(arena, struct ring_row, pending->count);
    if (!rows && pending->count) {
        return no_memory(err);
    }
    for (size_t i = 0; i < pending->count; i++) {
        const struct ring *copy = pending->at[i]->next;
        rows[i] = (struct ring_row){
            .person = ring_person(copy), .generation = copy->generation, .version = copy->version};
        memcpy(rows[i].key_id, copy->key_id, KEY_ID_BYTES);
        rows[i].blob = ring_wrap(keyring->cells_key, RING_CELLS, keyring->vault_id, &rows[i], &copy->cells,
                                 &keyring->random, arena);
        rows[i].transit = ring_wrap(keyring->transit_key, RING_TRANSIT, keyring->vault_id, &rows[i],
                                    &copy->transit, &keyring->random, arena);
        if (!rows[i].blob.at || !rows[i].transit.at) {
            return no_memory(err);
        }
    }
    return keyring->ops->put(keyring->vault, arena, rows, pending->count, done, lookups, lookup_count, err);
}

/* What was written takes its ring's place, the others are forgotten. done NULL: nobody knows. */
static void copies_settle(struct keyring *keyring, const struct pending *pending, const bool *done) {
    for (size_t i = 0; i < pending->count; i++) {
        struct ring *ring = pending->at[i], *copy = ring->next;
        ring->next = NULL;
        if (done && done[i]) {
            keyring->created += copy->version == 0;
            copy->version++;
            (void)cache_put(keyring, copy); /* replaces in place: the table does not grow */
        } else {
            ring_free(copy);
            slot_clear(keyring, slot_of(keyring, ring->hash, ring_person(ring), ring->generation));
        }
    }
}

/* A deadlock, or a serialisation that failed. */
static bool again(enum outcome outcome, const struct err *err) {
    return outcome == RETRY && err && strncmp(err->sqlstate, "40", 2) == 0;
}

enum outcome keyring_provide(struct keyring *keyring, struct arena *arena, const struct key_want *wants,
                             size_t count, const struct lookup_row *lookups, size_t lookup_count,
                             int64_t now_s, struct err *err) {
    turn_begin(keyring, now_s);
    for (int round = 0; round < ROUNDS_MAX; round++) {
        struct pending pending = {ARENA_ARRAY(arena, struct ring *, count), 0};
        bool *done = ARENA_ARRAY(arena, bool, count);
        if (count && (!pending.at || !done)) {
            return no_memory(err);
        }
        enum outcome outcome = load(keyring, arena, wants, count, round == 0, err);
        if (outcome == OK) {
            outcome = copies_make(keyring, wants, count, &pending, err);
            if (outcome == POISON && round == 0) { /* cached as absent, perhaps made since: ask the vault */
                copies_settle(keyring, &pending, NULL);
                continue;
            }
        }
        if (outcome == OK && !pending.count && !lookup_count) {
            return OK;
        }
        if (outcome == OK) {
            if (pending.count) {
                qsort(pending.at, pending.count, sizeof(struct ring *), pending_order);
            }
            outcome = copies_write(keyring, arena, &pending, lookups, lookup_count, done, err);
        }
        copies_settle(keyring, &pending, outcome == OK ? done : NULL);
        if (outcome == OK) {
            lookup_count = 0; /* committed with this round */
        } else if (!again(outcome, err)) {
            return outcome;
        }
    }
    return err_set(err, RETRY, 0, "other workers keep changing the key rings of this batch");
}

/* ---- destroying ---- */

enum outcome keyring_tombstones(struct keyring *keyring, struct arena *arena, struct tombstone_row *rows,
                                size_t count, struct err *err) {
    return keyring->ops->tombstones(keyring->vault, arena, rows, count, err);
}

enum outcome keyring_destroy(struct keyring *keyring, struct arena *arena, const struct key_doom *dooms,
                             size_t doom_count, const struct tombstone_row *tombstones,
                             size_t tombstone_count, int64_t *counter, struct err *err) {
    const struct ring_wrapping wrapping = {keyring->cells_key, keyring->transit_key, keyring->vault_id,
                                           &keyring->random};
    struct ring_row *rings = ARENA_ARRAY(arena, struct ring_row, doom_count + 1);
    struct ring_row *rewritten = ARENA_ARRAY(arena, struct ring_row, doom_count + 1);
    if (!rings || !rewritten) {
        return no_memory(err);
    }
    size_t count = ring_doomed(dooms, doom_count, rings), rewritten_count = 0;
    enum outcome outcome = RETRY;
    bool missed = true;
    for (int round = 0; round < ROUNDS_MAX && (missed || again(outcome, err)); round++) {
        missed = false;
        outcome = count ? keyring->ops->fetch(keyring->vault, arena, rings, count, err) : OK;
        if (outcome == OK) {
            outcome = ring_destroy(&wrapping, arena, rings, count, dooms, doom_count, rewritten,
                                   &rewritten_count, err);
        }
        if (outcome == OK) {
            outcome = keyring->ops->destroy(keyring->vault, arena, rewritten, rewritten_count, tombstones,
                                            tombstone_count, counter, &missed, err);
        }
    }
    keyring_forget_rings(keyring, dooms, doom_count);
    return outcome == OK && missed ? err_set(err, RETRY, 0, "other workers keep changing doomed key rings")
                                   : outcome;
}

/* ---- taking keys ---- */

static const struct ring *readable(const struct keyring *keyring, struct text person, int64_t generation) {
    const struct ring *ring = cached(keyring, person, generation);
    return ring && ring->version && (ring->turn == keyring->turn || usable(keyring, ring)) ? ring : NULL;
}

static bool key_give(const struct ring *ring, const struct ring_key *found, struct seal_key *key) {
    if (!found)
        return false;
    *key = (struct seal_key){.category = found->category, .period = found->period, .serial = found->serial};
    memcpy(key->ring, ring->key_id, KEY_ID_BYTES);
    memcpy(key->key, found->key, SEAL_KEY_BYTES);
    return true;
}

bool keyring_cell_key(struct keyring *keyring, struct text person, int64_t generation, enum category category,
                      int16_t period, uint16_t floor, struct seal_key *key) {
    const struct ring *ring = readable(keyring, person, generation);
    return ring && key_give(ring, key_from(&ring->cells, category, period, floor), key);
}

bool keyring_transit_key(struct keyring *keyring, struct text person, int64_t generation,
                         enum category category, uint16_t floor, struct seal_key *key) {
    const struct ring *ring = readable(keyring, person, generation);
    return ring && key_give(ring, key_from(&ring->transit, category, 0, floor), key);
}

static bool sealed_key(struct keyring *keyring, struct text person, int64_t generation,
                       enum category category, struct text sealed, bool transit, struct seal_key *key) {
    int16_t period;
    uint16_t serial;
    const struct ring *ring = readable(keyring, person, generation);
    const struct ring_keys *keys = ring ? (transit ? &ring->transit : &ring->cells) : NULL;
    if (keys && sealed_period(sealed, &period, &serial) &&
        key_give(ring, ring_keys_serial(keys, category, period, serial), key))
        return true;
    struct ring *known = cached(keyring, person, generation);
    if (known)
        known->stale = true; /* another worker may have added the key since: the next load asks the vault */
    return false;
}

bool keyring_sealed_key(struct keyring *keyring, struct text person, int64_t generation,
                        enum category category, struct text sealed, struct seal_key *key) {
    return sealed_key(keyring, person, generation, category, sealed, false, key);
}

bool keyring_sealed_transit(struct keyring *keyring, struct text person, int64_t generation,
                            enum category category, struct text sealed, struct seal_key *key) {
    return sealed_key(keyring, person, generation, category, sealed, true, key);
}
