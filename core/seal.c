/* Sealing and opening cells, secrets from files. */
#include "core/seal.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <unistd.h>

#define CELL_FORMAT 1
#define NONCE_BYTES crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG_BYTES crypto_aead_xchacha20poly1305_ietf_ABYTES
#define HEAD_BYTES (1 + 2 + 2 + NONCE_BYTES)
#define PAD_BYTES 64
#define NONCES 170 /* one getrandom for as many cells */
#define PART_BYTES 256
#define PARTS 4
#define PLACE_BYTES (PARTS * (4 + PART_BYTES) + 64)

_Static_assert(SEAL_KEY_BYTES == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "a cell's key is the cipher's");
_Static_assert(PART_BYTES >= crypto_generichash_BYTES_MAX, "a digest stands in for a longer part");

struct sealer {
    uint8_t nonces[NONCES][NONCE_BYTES];
    size_t left;
};

struct sealer *sealer_new(void) {
    return calloc(1, sizeof(struct sealer));
}
void sealer_free(struct sealer *sealer) {
    free(sealer);
}

static const uint8_t *nonce_next(struct sealer *sealer) {
    if (!sealer->left) {
        randombytes_buf(sealer->nonces, sizeof(sealer->nonces));
        sealer->left = NONCES;
    }
    return sealer->nonces[--sealer->left];
}

/* ---- the place, as additional data ---- */

static void write_16(uint8_t *at, uint16_t value) {
    value = htobe16(value);
    memcpy(at, &value, sizeof(value));
}
static uint16_t read_16(const char *at) {
    uint16_t value;
    memcpy(&value, at, sizeof(value));
    return be16toh(value);
}

/* Length and bytes, so that no two places read the same. A part longer than its room is there as its digest.
 */
static size_t part_write(uint8_t *at, struct text part) {
    uint32_t size = htobe32(part.at ? (uint32_t)part.size : UINT32_MAX);
    memcpy(at, &size, sizeof(size));
    if (part.size <= PART_BYTES) {
        if (part.size) {
            memcpy(at + 4, part.at, part.size);
        }
        return 4 + part.size;
    }
    (void)crypto_generichash(at + 4, crypto_generichash_BYTES_MAX, (const uint8_t *)part.at, part.size, NULL,
                             0);
    return 4 + crypto_generichash_BYTES_MAX;
}

static size_t place_write(uint8_t at[PLACE_BYTES], const struct seal_key *key,
                          const struct seal_place *place) {
    size_t size = 0;
    at[size++] = CELL_FORMAT;
    at[size++] = key->category;
    write_16(at + size, (uint16_t)key->period);
    write_16(at + size + 2, key->serial);
    size += 4;
    memcpy(at + size, key->ring, KEY_ID_BYTES);
    size += KEY_ID_BYTES;
    uint64_t generation = htobe64((uint64_t)place->generation);
    memcpy(at + size, &generation, sizeof(generation));
    size += sizeof(generation);
    size += part_write(at + size, text_of(place->table));
    size += part_write(at + size, text_of(place->column));
    size += part_write(at + size, place->owner);
    size += part_write(at + size, place->object);
    assert(size <= PLACE_BYTES);
    return size;
}

/* ---- cells ---- */

struct text seal_cell(struct sealer *sealer, const struct seal_key *key, const struct seal_place *place,
                      struct text plain, struct arena *arena) {
    size_t padded_bytes = (plain.size / PAD_BYTES + 1) * PAD_BYTES;
    size_t cell_bytes = HEAD_BYTES + padded_bytes + TAG_BYTES;
    uint8_t *cell = arena_take(arena, cell_bytes);
    if (!cell) {
        return TEXT_ABSENT;
    }
    cell[0] = CELL_FORMAT;
    write_16(cell + 1, (uint16_t)key->period);
    write_16(cell + 3, key->serial);
    const uint8_t *nonce = memcpy(cell + 5, nonce_next(sealer), NONCE_BYTES);
    uint8_t *body = cell + HEAD_BYTES;
    if (plain.size) {
        memcpy(body, plain.at, plain.size);
    }
    body[plain.size] = 0x80; /* ISO 7816-4; the arena's memory is zero behind it */
    uint8_t additional[PLACE_BYTES];
    size_t additional_bytes = place_write(additional, key, place);
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(body, NULL, body, padded_bytes, additional,
                                                     additional_bytes, NULL, nonce, key->key);
    return (struct text){(const char *)cell, cell_bytes};
}

static bool cell_whole(struct text sealed) {
    return sealed.at && sealed.size >= HEAD_BYTES + PAD_BYTES + TAG_BYTES && sealed.at[0] == CELL_FORMAT &&
           (sealed.size - HEAD_BYTES - TAG_BYTES) % PAD_BYTES == 0;
}

bool sealed_period(struct text sealed, int16_t *period, uint16_t *serial) {
    if (!cell_whole(sealed)) {
        return false;
    }
    *period = (int16_t)read_16(sealed.at + 1);
    *serial = read_16(sealed.at + 3);
    return true;
}

static enum outcome not_here(const struct seal_place *place, struct err *err) {
    return err_set(err, FATAL, 0, "a sealed cell of %s.%s does not open where it stands", place->table,
                   place->column);
}

enum outcome open_cell(const struct seal_key *key, const struct seal_place *place, struct text sealed,
                       struct arena *arena, struct text *plain, struct err *err) {
    *plain = TEXT_ABSENT;
    int16_t period;
    uint16_t serial;
    if (!sealed_period(sealed, &period, &serial) || period != key->period || serial != key->serial) {
        return not_here(place, err);
    }
    size_t padded_bytes = sealed.size - HEAD_BYTES - TAG_BYTES;
    uint8_t *body = arena_take(arena, padded_bytes);
    if (!body) {
        return err_set(err, RETRY, ENOMEM, "a sealed cell of %s.%s does not fit into the batch's memory",
                       place->table, place->column);
    }
    uint8_t additional[PLACE_BYTES];
    size_t additional_bytes = place_write(additional, key, place);
    const uint8_t *cell = (const uint8_t *)sealed.at;
    size_t plain_bytes;
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(body, NULL, NULL, cell + HEAD_BYTES,
                                                   padded_bytes + TAG_BYTES, additional, additional_bytes,
                                                   cell + 5, key->key) != 0 ||
        sodium_unpad(&plain_bytes, body, padded_bytes, PAD_BYTES) != 0) {
        return not_here(place, err);
    }
    *plain = (struct text){(const char *)body, plain_bytes};
    return OK;
}

/* ---- secrets ---- */

enum outcome secret_read(const char *path, uint8_t key[32], struct err *err) {
    char digits[80]; /* 64 and a line end; anything longer is none */
    enum outcome outcome = OK;
    size_t size = 0, key_bytes = 0;
    const char *end = NULL;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return err_set(err, FATAL, errno, "the key file %s cannot be opened: %s", path,
                       strerrordesc_np(errno));
    }
    ssize_t got;
    while (size < sizeof(digits) && (got = read(file, digits + size, sizeof(digits) - size)) != 0) {
        if (got < 0 && errno != EINTR) {
            outcome = err_set(err, FATAL, errno, "the key file %s cannot be read: %s", path,
                              strerrordesc_np(errno));
            goto out;
        }
        size += got > 0 ? (size_t)got : 0;
    }
    while (size && (digits[size - 1] == '\n' || digits[size - 1] == '\r')) {
        size--;
    }
    if (size != 64 || sodium_hex2bin(key, 32, digits, size, NULL, &key_bytes, &end) != 0 || key_bytes != 32 ||
        end != digits + size) {
        secret_wipe(key, 32);
        outcome = err_set(err, FATAL, 0, "the key file %s does not hold 64 hex digits", path);
    }
out:
    secret_wipe(digits, sizeof(digits));
    (void)close(file);
    return outcome;
}

void secret_wipe(void *memory, size_t size_bytes) {
    sodium_memzero(memory, size_bytes);
}

enum outcome seal_start(struct err *err) {
    return sodium_init() < 0 ? err_set(err, FATAL, 0, "libsodium cannot start") : OK;
}
