/* One key ring: its keys in memory, wrapped for the vault, and the relay's way to a transit key. */
#include "core/ring.h"

#include "core/digest.h"

#include <assert.h>
#include <endian.h>
#include <sodium.h>
#include <stdlib.h>

#define RING_FORMAT 1
#define NONCE_BYTES crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG_BYTES crypto_aead_xchacha20poly1305_ietf_ABYTES
#define HEAD_BYTES (1 + NONCE_BYTES)
#define KEYS_HEAD_BYTES 4
#define ENTRY_BYTES (1 + 2 + 2 + SEAL_KEY_BYTES)
#define PERSON_BYTES 1024
#define PLACE_BYTES (64 + 8 + KEY_ID_BYTES + 2 + PERSON_BYTES)

static const char *const labels[RING_LABELS] = {
    [RING_CELLS] = "kundregister ring cells",
    [RING_TRANSIT] = "kundregister ring transit",
    [RING_CHECK] = "kundregister vault check",
};

void ring_derive(const uint8_t kek[32], enum ring_label label, uint8_t key[32]) {
    digest_keyed(kek, text_of(labels[label]), key, 32);
}

void ring_random_take(struct ring_random *random, void *to, size_t size_bytes) {
    assert(size_bytes <= sizeof(random->bytes));
    if (random->left < size_bytes) {
        randombytes_buf(random->bytes, sizeof(random->bytes));
        random->left = sizeof(random->bytes);
    }
    uint8_t *from = random->bytes + sizeof(random->bytes) - random->left;
    memcpy(to, from, size_bytes);
    sodium_memzero(from, size_bytes);
    random->left -= size_bytes;
}

/* ---- keys in memory ---- */

void ring_keys_release(struct ring_keys *keys) {
    if (keys->at) {
        sodium_memzero(keys->at, keys->count * sizeof(*keys->at));
        free(keys->at);
    }
    *keys = (struct ring_keys){0};
}

bool ring_keys_copy(const struct ring_keys *from, struct ring_keys *to) {
    *to = (struct ring_keys){.next_serial = from->next_serial};
    if (from->count) {
        to->at = calloc(from->count, sizeof(*to->at));
        if (!to->at) {
            return false;
        }
        memcpy(to->at, from->at, from->count * sizeof(*to->at));
        to->count = from->count;
    }
    return true;
}

bool ring_keys_add(struct ring_keys *keys, enum category category, int16_t period,
                   struct ring_random *random) {
    /* Not realloc: it would leave keys behind unwiped. */
    struct ring_key *larger =
        keys->next_serial < UINT16_MAX ? calloc((size_t)keys->count + 1, sizeof(*larger)) : NULL;
    if (!larger) {
        return false;
    }
    if (keys->count) {
        memcpy(larger, keys->at, keys->count * sizeof(*larger));
        sodium_memzero(keys->at, keys->count * sizeof(*larger));
    }
    free(keys->at);
    keys->at = larger;
    struct ring_key *added = &larger[keys->count++];
    added->category = (uint8_t)category;
    added->period = period;
    added->serial = keys->next_serial++;
    ring_random_take(random, added->key, sizeof(added->key));
    return true;
}

bool ring_keys_drop(struct ring_keys *keys, enum category category, uint16_t below) {
    uint16_t kept = 0;
    for (uint16_t i = 0; i < keys->count; i++) {
        if (keys->at[i].category != category || keys->at[i].serial >= below) {
            keys->at[kept++] = keys->at[i];
        }
    }
    bool dropped = kept < keys->count;
    if (dropped) {
        sodium_memzero(&keys->at[kept], (size_t)(keys->count - kept) * sizeof(*keys->at));
    }
    keys->count = kept;
    return dropped;
}

const struct ring_key *ring_keys_newest(const struct ring_keys *keys, enum category category,
                                        int16_t period) {
    const struct ring_key *newest = NULL;
    for (size_t i = 0; i < keys->count; i++) {
        const struct ring_key *key = &keys->at[i];
        if (key->category == category && key->period == period && (!newest || key->serial > newest->serial)) {
            newest = key;
        }
    }
    return newest;
}

const struct ring_key *ring_keys_serial(const struct ring_keys *keys, enum category category, int16_t period,
                                        uint16_t serial) {
    for (size_t i = 0; i < keys->count; i++) {
        const struct ring_key *key = &keys->at[i];
        if (key->category == category && key->period == period && key->serial == serial) {
            return key;
        }
    }
    return NULL;
}

/* ---- wrapped ---- */

static void write_16(uint8_t *at, uint16_t value) {
    value = htobe16(value);
    memcpy(at, &value, sizeof(value));
}
static uint16_t read_16(const uint8_t *at) {
    uint16_t value;
    memcpy(&value, at, sizeof(value));
    return be16toh(value);
}

static size_t place_write(uint8_t at[PLACE_BYTES], enum ring_label label, const char *vault_id,
                          const struct ring_row *row) {
    size_t size = 0, id_bytes = strlen(vault_id);
    assert(id_bytes <= 60 && row->person.size <= PERSON_BYTES);
    at[size++] = RING_FORMAT;
    at[size++] = (uint8_t)label;
    at[size++] = (uint8_t)id_bytes;
    memcpy(at + size, vault_id, id_bytes);
    size += id_bytes;
    uint64_t generation = htobe64((uint64_t)row->generation);
    memcpy(at + size, &generation, sizeof(generation));
    size += sizeof(generation);
    memcpy(at + size, row->key_id, KEY_ID_BYTES);
    size += KEY_ID_BYTES;
    if (row->person.size) {
        memcpy(at + size, row->person.at, row->person.size);
    }
    return size + row->person.size;
}

struct text ring_wrap(const uint8_t key[32], enum ring_label label, const char *vault_id,
                      const struct ring_row *row, const struct ring_keys *keys, struct ring_random *random,
                      struct arena *arena) {
    size_t body_bytes = KEYS_HEAD_BYTES + (size_t)keys->count * ENTRY_BYTES;
    uint8_t *blob = arena_take(arena, HEAD_BYTES + body_bytes + TAG_BYTES);
    if (!blob) {
        return TEXT_ABSENT;
    }
    blob[0] = RING_FORMAT;
    ring_random_take(random, blob + 1, NONCE_BYTES);
    uint8_t *body = blob + HEAD_BYTES, *at = body;
    write_16(at, keys->next_serial);
    write_16(at + 2, keys->count);
    at += KEYS_HEAD_BYTES;
    for (size_t i = 0; i < keys->count; i++, at += ENTRY_BYTES) {
        at[0] = keys->at[i].category;
        write_16(at + 1, (uint16_t)keys->at[i].period);
        write_16(at + 3, keys->at[i].serial);
        memcpy(at + 5, keys->at[i].key, SEAL_KEY_BYTES);
    }
    uint8_t place[PLACE_BYTES];
    size_t place_bytes = place_write(place, label, vault_id, row);
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(body, NULL, body, body_bytes, place, place_bytes, NULL,
                                                     blob + 1, key);
    return (struct text){(const char *)blob, HEAD_BYTES + body_bytes + TAG_BYTES};
}

/* The keys that an opened blob holds. */
static enum outcome keys_read(const uint8_t *body, size_t body_bytes, struct ring_keys *keys) {
    uint16_t count = read_16(body + 2);
    if (body_bytes != KEYS_HEAD_BYTES + (size_t)count * ENTRY_BYTES) {
        return POISON;
    }
    keys->next_serial = read_16(body);
    if (!count) {
        return OK;
    }
    keys->at = calloc(count, sizeof(*keys->at));
    if (!keys->at) {
        return RETRY;
    }
    keys->count = count;
    const uint8_t *at = body + KEYS_HEAD_BYTES;
    for (size_t i = 0; i < count; i++, at += ENTRY_BYTES) {
        keys->at[i].category = at[0];
        keys->at[i].period = (int16_t)read_16(at + 1);
        keys->at[i].serial = read_16(at + 3);
        memcpy(keys->at[i].key, at + 5, SEAL_KEY_BYTES);
    }
    return OK;
}

enum outcome ring_unwrap(const uint8_t key[32], enum ring_label label, const char *vault_id,
                         const struct ring_row *row, struct text blob, struct ring_keys *keys) {
    *keys = (struct ring_keys){0};
    if (blob.size < HEAD_BYTES + KEYS_HEAD_BYTES + TAG_BYTES || blob.at[0] != RING_FORMAT) {
        return POISON;
    }
    const uint8_t *wrapped = (const uint8_t *)blob.at;
    size_t body_bytes = blob.size - HEAD_BYTES - TAG_BYTES;
    uint8_t place[PLACE_BYTES];
    size_t place_bytes = place_write(place, label, vault_id, row);
    uint8_t *body = malloc(body_bytes);
    if (!body) {
        return RETRY;
    }
    enum outcome outcome = POISON;
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(body, NULL, NULL, wrapped + HEAD_BYTES,
                                                   body_bytes + TAG_BYTES, place, place_bytes, wrapped + 1,
                                                   key) == 0) {
        outcome = keys_read(body, body_bytes, keys);
    }
    sodium_memzero(body, body_bytes);
    free(body);
    return outcome;
}

enum outcome transit_open(const uint8_t kek[32], const char *vault_id, const struct ring_row *row,
                          enum category category, uint16_t serial, struct seal_key *key) {
    uint8_t wrapping[32];
    struct ring_keys keys;
    ring_derive(kek, RING_TRANSIT, wrapping);
    enum outcome outcome = ring_unwrap(wrapping, RING_TRANSIT, vault_id, row, row->transit, &keys);
    sodium_memzero(wrapping, sizeof(wrapping));
    if (outcome != OK) {
        return outcome == POISON ? FATAL : outcome;
    }
    const struct ring_key *found = ring_keys_serial(&keys, category, 0, serial);
    if (found) {
        *key = (struct seal_key){.category = found->category, .period = 0, .serial = found->serial};
        memcpy(key->ring, row->key_id, KEY_ID_BYTES);
        memcpy(key->key, found->key, SEAL_KEY_BYTES);
    }
    ring_keys_release(&keys);
    return found ? OK : POISON;
}
