/* Random streams of a seed: SplitMix64 (Steele, Lea, Flood, 2014). */
#include "tests/simulator/draw.h"

#include <sodium.h>
#include <string.h>

static struct draw sodium_draw;

static uint64_t next(struct draw *draw) {
    uint64_t mixed = draw->state += UINT64_C(0x9e3779b97f4a7c15);
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ (mixed >> 31);
}

struct draw draw_begin(uint64_t seed, enum draw_stream stream) {
    struct draw draw = {seed * 8 + (uint64_t)stream};
    draw.state = next(&draw);
    return draw;
}

unsigned draw_below(struct draw *draw, unsigned count) {
    return (unsigned)((next(draw) >> 32) * count >> 32);
}

bool draw_chance(struct draw *draw, unsigned per_mille) {
    return draw_below(draw, 1000) < per_mille;
}

void draw_bytes(struct draw *draw, void *bytes, size_t count) {
    unsigned char *at = bytes;
    while (count) {
        uint64_t word = next(draw);
        size_t taken = count < sizeof word ? count : sizeof word;
        memcpy(at, &word, taken);
        at += taken;
        count -= taken;
    }
}

/* ---- libsodium's ---- */

static const char *sodium_name(void) {
    return "seed";
}
static uint32_t sodium_random(void) {
    return (uint32_t)next(&sodium_draw);
}
static uint32_t sodium_uniform(const uint32_t bound) {
    return bound < 2 ? 0 : draw_below(&sodium_draw, bound);
}
static void sodium_buf(void *const bytes, const size_t count) {
    draw_bytes(&sodium_draw, bytes, count);
}

void draw_replace_sodium(void) {
    static struct randombytes_implementation implementation = {.implementation_name = sodium_name,
                                                               .random = sodium_random,
                                                               .uniform = sodium_uniform,
                                                               .buf = sodium_buf};
    (void)randombytes_set_implementation(&implementation);
}

void draw_seed_sodium(uint64_t seed) {
    sodium_draw = draw_begin(seed, DRAW_BYTES);
}
