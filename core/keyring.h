/* Key rings: per person and generation, one random key per category and end period, and transit keys per
 * category for the outbox. Kept wrapped in the vault, opened here, cached for at most `cache_seconds` and
 * `cache_rings`.
 *
 * Create order: what a cell needs is committed in the vault before the register's transaction uses it (a
 * crash leaves an orphan ring, harmless). Two workers may extend one ring: the vault compares and sets by
 * version, the loser reads again. A reader that meets a period it does not know reads the ring again before
 * it gives up. One keyring a worker thread.
 *
 * Destroy order: the register's transaction first, which remembers the floors of keyring_floors; then the
 * vault rewrites the rings (vault_ops.destroy). Other workers' caches hold the old keys for cache_seconds;
 * the floors keep them from sealing anything under those. */
#ifndef KR_KEYRING_H
#define KR_KEYRING_H

#include "core/err.h"
#include "core/policy.h"
#include "core/seal.h"
#include <stdint.h>

/* A ring as the vault keeps it. Texts belong to whoever made the row. */
struct ring_row {
    struct text person;
    int64_t generation;
    uint8_t key_id[KEY_ID_BYTES];
    int64_t version; /* 0: to be created */
    struct text blob, transit;
};

/* A keyed hash to find a person by. */
struct lookup_row {
    uint8_t hash[32];
    struct text person;
    int64_t generation;
    const char *kind; /* "email", "phone" */
    int64_t time_us;
    int64_t latest_us; /* the vault's: the latest of the events that named it; time_us is then the earliest */
};

/* What an erasure leaves in the vault. */
struct tombstone_row {
    struct text person;  /* whose lookups go; the vault does not keep it with the tombstone */
    struct text subject; /* ref_subject */
    struct text body;    /* JSON: the merged tombstone and the suppression hashes */
    struct text told;    /* read by `tombstones`: the body that the vault has; absent: none */
    int64_t read_us;     /* when the register was read for it: an older body never replaces a newer one */
    int64_t erased_us;   /* lookups go that no later event named; TIME_NONE: none */
};

/* How rings are reached: PostgreSQL (vault.h), or memory in tests. Each call is one transaction of the vault.
 */
struct vault_ops {
    /* Fills rows[i].version/key_id/blob/transit by (person, generation); version 0 where there is none. */
    enum outcome (*fetch)(void *vault, struct arena *arena, struct ring_row *rows, size_t count,
                          struct err *err);
    /* Creates rows with version 0 (as version 1) and replaces the others where the stored version is still
     * `version` (then version + 1); adds lookups. Rows come sorted by (person, generation), each once.
     * done[i] tells which took effect. All commit together. */
    enum outcome (*put)(void *vault, struct arena *arena, const struct ring_row *rows, size_t count,
                        bool *done, const struct lookup_row *lookups, size_t lookup_count, struct err *err);
    /* Fills told of each, by subject. */
    enum outcome (*tombstones)(void *vault, struct arena *arena, struct tombstone_row *rows, size_t count,
                               struct err *err);
    /* Replaces these rings, or deletes those whose blob is absent; deletes lookups, writes tombstones, raises
     * the vault's counter to *counter: all together, or nothing and *missed when a ring is another by now
     * than the row's version and key_id say. Rows as for put, tombstones each subject once. */
    enum outcome (*destroy)(void *vault, struct arena *arena, const struct ring_row *rows, size_t count,
                            const struct tombstone_row *tombstones, size_t tombstone_count, int64_t *counter,
                            bool *missed, struct err *err);
};

struct keyring;
struct keyring *keyring_new(const struct vault_ops *ops, void *vault, const uint8_t kek[32],
                            const char *vault_id, size_t cache_rings, int cache_seconds);
void keyring_free(struct keyring *keyring);

/* A key that a batch needs: period = date_quarter(until). */
struct key_want {
    struct text person;
    int64_t generation;
    enum category category;
    int16_t period;
    bool transit;           /* the category's transit key instead */
    bool kept;              /* something is sealed under this ring already: it must be there */
    uint16_t floor;         /* keys with a lower serial are doomed or destroyed: not good enough */
    uint16_t transit_floor; /* the same for the transit key that comes with a new ring */
};

/* Rings of these persons into the cache (one fetch for the uncached). Persons without a ring are no error.
 * POISON without an SQLSTATE: a ring does not open.
 * now_s: monotonic seconds, for the cache's age. */
enum outcome keyring_load(struct keyring *keyring, struct arena *arena, const struct key_want *persons,
                          size_t count, int64_t now_s, struct err *err) MUST_CHECK;
/* Makes sure that every wanted key exists in the vault, creating rings and adding keys in one vault
 * transaction (retried when another worker was first: what it added from the floor on is then taken),
 * together with the lookups. On return each key can be
 * had below. POISON without an SQLSTATE: a ring that must be there is not, or does not open; a new one in its
 * place would hide that the old one's cells are lost. */
enum outcome keyring_provide(struct keyring *keyring, struct arena *arena, const struct key_want *wants,
                             size_t count, const struct lookup_row *lookups, size_t lookup_count,
                             int64_t now_s, struct err *err) MUST_CHECK;
/* The keys of a category in a ring that shall be destroyed: those with lower serials than these. Cells' and
 * transit keys are numbered apart. */
struct key_doom {
    struct text person;
    int64_t generation;
    enum category category;
    uint16_t cells, transit; /* out: the first serial that stays */
};
/* Fills cells and transit with the serials that each ring gives next, read afresh from the vault (one fetch):
 * whatever exists by now is doomed, whatever keyring_provide adds afterwards with these as floors stays. 0
 * where there is no such key: nothing is sealed under it. A floor never goes down: whoever remembers one
 * keeps the higher. POISON as keyring_load. */
enum outcome keyring_floors(struct keyring *keyring, struct arena *arena, struct key_doom *dooms,
                            size_t count, int64_t now_s, struct err *err) MUST_CHECK;

/* What the vault has been told of these subjects before. */
enum outcome keyring_tombstones(struct keyring *keyring, struct arena *arena, struct tombstone_row *rows,
                                size_t count, struct err *err) MUST_CHECK;
/* After the register's transaction has committed these floors: one transaction of the vault takes the keys
 * below them out of the rings (done again when another worker changed one meanwhile), with the tombstones,
 * and raises the counter. Dooms come sorted by (person, generation, category), each once. Doing it twice does
 * no harm. The rings are forgotten here, whatever becomes of it. POISON without an SQLSTATE: a ring does not
 * open. */
enum outcome keyring_destroy(struct keyring *keyring, struct arena *arena, const struct key_doom *dooms,
                             size_t doom_count, const struct tombstone_row *tombstones,
                             size_t tombstone_count, int64_t *counter, struct err *err) MUST_CHECK;

/* The newest key of a category and period; false when the ring is not cached or has none from `floor` on. */
bool keyring_cell_key(struct keyring *keyring, struct text person, int64_t generation, enum category category,
                      int16_t period, uint16_t floor, struct seal_key *key);
/* The key that a sealed cell names by its period and serial. When it is not there the ring is marked, so that
 * the next keyring_load reads it again (another worker may have added the key): load once more, then give up.
 */
bool keyring_sealed_key(struct keyring *keyring, struct text person, int64_t generation,
                        enum category category, struct text sealed, struct seal_key *key);
/* As keyring_sealed_key, of a body in the outbox, sealed under a transit key. */
bool keyring_sealed_transit(struct keyring *keyring, struct text person, int64_t generation,
                            enum category category, struct text sealed, struct seal_key *key);
bool keyring_transit_key(struct keyring *keyring, struct text person, int64_t generation,
                         enum category category, uint16_t floor, struct seal_key *key);
/* Forgets these rings, wiped: their keys are destroyed. */
void keyring_forget_rings(struct keyring *keyring, const struct key_doom *dooms, size_t count);
/* Forgets all cached keys, wiped. */
void keyring_forget(struct keyring *keyring);
/* How many rings were created since keyring_new (metric). */
uint64_t keyring_created(const struct keyring *keyring);

/* For the relay, which keeps no cache: the transit key of a fetched row that a sealed body names by its
 * serial. POISON: the ring has it no more; FATAL: the ring does not open; RETRY: memory ran out. */
enum outcome transit_open(const uint8_t kek[32], const char *vault_id, const struct ring_row *row,
                          enum category category, uint16_t serial, struct seal_key *key) MUST_CHECK;

/* The key of lookups, made of the digest key. */
void lookup_key_derive(const uint8_t digest_key[32], uint8_t key[32]);
/* Keyed hashes of e-mail (NFC, trimmed, lower-cased) and phone (E.164). key: lookup_key_derive. False when
 * memory ran out. */
bool lookup_hash_email(const uint8_t key[32], struct text email, struct arena *arena,
                       uint8_t hash[32]) MUST_CHECK;
void lookup_hash_phone(const uint8_t key[32], struct text phone, uint8_t hash[32]);

#endif
