/* One key ring, opened: its keys, and how they lie wrapped in the vault. Only keyring.c and vault.c include
 * this.
 *
 * A wrapped blob is  format(1) nonce(24) ciphertext  of  next serial(2) count(2) {category(1) period(2)
 * serial(2) key(32)}*  under XChaCha20-Poly1305. The wrapping key is a keyed BLAKE2b of a label under the
 * key-encryption key, one label for the cells' keys, another for the transit keys: who holds one opens only
 * that. Additional data: vault id, person, generation, ring's key id, label. */
#ifndef KR_RING_H
#define KR_RING_H

#include "core/keyring.h"

struct ring_key {
    uint8_t category;
    int16_t period;
    uint16_t serial;
    uint8_t key[SEAL_KEY_BYTES];
};

struct ring_keys {
    struct ring_key *at;
    uint16_t count;
    uint16_t next_serial; /* never given twice, not even after a key was destroyed */
};

/* Random bytes drawn in bulk (a system call a key would cost more than the rest of a ring), wiped as they are
 * taken. */
struct ring_random {
    uint8_t bytes[4096];
    size_t left;
};
void ring_random_take(struct ring_random *random, void *to, size_t size_bytes);

enum ring_label { RING_CELLS, RING_TRANSIT, RING_CHECK, RING_LABELS };

/* The wrapping key of a label. Wipe it. */
void ring_derive(const uint8_t kek[32], enum ring_label label, uint8_t key[32]);
/* The blob in the arena; absent when the arena is full. */
struct text ring_wrap(const uint8_t key[32], enum ring_label label, const char *vault_id,
                      const struct ring_row *row, const struct ring_keys *keys, struct ring_random *random,
                      struct arena *arena);
/* POISON: it does not open (damaged, moved, other key-encryption key); RETRY: memory ran out. keys are the
 * heap's. */
enum outcome ring_unwrap(const uint8_t key[32], enum ring_label label, const char *vault_id,
                         const struct ring_row *row, struct text blob, struct ring_keys *keys) MUST_CHECK;
void ring_keys_release(struct ring_keys *keys);
bool ring_keys_copy(const struct ring_keys *from, struct ring_keys *to);
/* Adds a random key; false when memory or serials ran out. */
bool ring_keys_add(struct ring_keys *keys, enum category category, int16_t period,
                   struct ring_random *random);
/* Takes out the keys of a category with lower serials, wiped; false when there were none. */
bool ring_keys_drop(struct ring_keys *keys, enum category category, uint16_t below);
/* The newest of a category and period, or NULL. */
const struct ring_key *ring_keys_newest(const struct ring_keys *keys, enum category category, int16_t period);
const struct ring_key *ring_keys_serial(const struct ring_keys *keys, enum category category, int16_t period,
                                        uint16_t serial);

/* What rings are wrapped with. */
struct ring_wrapping {
    const uint8_t *cells_key, *transit_key;
    const char *vault_id;
    struct ring_random *random;
};
/* Rings as the vault shall keep them without the doomed keys (ring_destroy.c): rewritten[0..*rewritten_count)
 * of the fetched ones, those left out that hold none of them or are gone already; blob absent where no key is
 * left. dooms as keyring_destroy. POISON: a ring does not open. */
enum outcome ring_destroy(const struct ring_wrapping *wrapping, struct arena *arena,
                          const struct ring_row *fetched, size_t count, const struct key_doom *dooms,
                          size_t doom_count, struct ring_row *rewritten, size_t *rewritten_count,
                          struct err *err) MUST_CHECK;
/* The distinct rings that these name, in their order; room for doom_count rows. */
size_t ring_doomed(const struct key_doom *dooms, size_t doom_count, struct ring_row *rings);

#endif
