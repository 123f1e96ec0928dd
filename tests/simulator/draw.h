/* Numbers that look random and are the same in every run of a seed. Several streams of one seed are
 * independent: what one draws does not shift what another draws. */
#ifndef KR_SIMULATOR_DRAW_H
#define KR_SIMULATOR_DRAW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct draw {
    uint64_t state;
};

enum draw_stream {
    DRAW_STORY,
    DRAW_SCHEDULE,
    DRAW_FAULTS,
    DRAW_REFERENCE,
    DRAW_BYTES,
    DRAW_TIES,
    DRAW_REFUSED,
    DRAW_DENIED
};

struct draw draw_begin(uint64_t seed, enum draw_stream stream);
/* 0 .. count - 1; count is at least 1. */
unsigned draw_below(struct draw *draw, unsigned count);
/* True that often of a thousand. */
bool draw_chance(struct draw *draw, unsigned per_mille);
void draw_bytes(struct draw *draw, void *bytes, size_t count);

/* libsodium's randomness comes from the seed too: key ids, nonces, row ids, pauses. Before sodium_init. */
void draw_replace_sodium(void);
void draw_seed_sodium(uint64_t seed);

#endif
