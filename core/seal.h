/* Sealed cells: XChaCha20-Poly1305 (libsodium) under one key of a person's ring.
 *
 * A cell is  format(1) period(2) serial(2) nonce(24) ciphertext  with the plain text padded to 64 bytes (ISO
 * 7816-4). Its additional data bind it to its place: format, table, column, row id, key id; so a cell that
 * was moved to another row, column or key does not open. Nonces are random and drawn in bulk, never reused.
 */
#ifndef KR_SEAL_H
#define KR_SEAL_H

#include "core/arena.h"
#include "core/err.h"
#include "core/text.h"
#include <stdint.h>

#define SEAL_KEY_BYTES 32
#define KEY_ID_BYTES 16

/* One key for cells: of a category, for ends within one calendar quarter. */
struct seal_key {
    uint8_t ring[KEY_ID_BYTES]; /* the ring's key id */
    uint8_t category;
    int16_t period;  /* date_quarter of the cell's until; 0 for transit */
    uint16_t serial; /* rises when a fresh key replaces a doomed one of the same period */
    uint8_t key[SEAL_KEY_BYTES];
};

/* Where a cell lies. owner and object: the row's primary key (object may be absent). */
struct seal_place {
    const char *table, *column;
    struct text owner, object;
    int64_t generation; /* of rows keyed by it, else -1 */
};

struct sealer; /* nonces drawn in bulk; one thread each */
struct sealer *sealer_new(void);
void sealer_free(struct sealer *sealer);

/* The sealed cell in the arena; TEXT_ABSENT only when the arena is full. */
struct text seal_cell(struct sealer *sealer, const struct seal_key *key, const struct seal_place *place,
                      struct text plain, struct arena *arena);
/* Opens it: OK with *plain in the arena; FATAL when it does not belong here (moved, damaged, wrong key),
 * reported without content; RETRY when the arena is full. */
enum outcome open_cell(const struct seal_key *key, const struct seal_place *place, struct text sealed,
                       struct arena *arena, struct text *plain, struct err *err) MUST_CHECK;
/* Period and serial written in a sealed cell; false when it is too short or of another format. */
bool sealed_period(struct text sealed, int16_t *period, uint16_t *serial);

/* Keys from files: 64 hex digits. Wipe with secret_wipe. */
enum outcome secret_read(const char *path, uint8_t key[32], struct err *err) MUST_CHECK;
void secret_wipe(void *memory, size_t size_bytes);
/* libsodium started once per process; FATAL when it cannot. */
enum outcome seal_start(struct err *err) MUST_CHECK;

#endif
