/* Blocks of a few things out of many, so that every triple of their kinds, and then every pair (or every
 * triple) of things, stands together in some block: a covering design, made greedily and the same in every
 * run. */
#ifndef KR_COVERING_H
#define KR_COVERING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COVERING_THINGS_MOST 128
#define COVERING_KINDS_MOST 32
#define COVERING_BLOCK_MOST 10

struct covering {
    size_t count;       /* of things */
    size_t block;       /* things in a block made for a triple of kinds */
    size_t later_block; /* ... in the blocks made for things, after those */
    bool triples;       /* every triple of things; else every pair */
    const unsigned *kind;
    size_t shift; /* in which order ties are tried: another design for another shift */
    /* the covering's own */
    bool thing[COVERING_THINGS_MOST][COVERING_THINGS_MOST][COVERING_THINGS_MOST]; /* stood together; of pairs
                                                                                   * the first two count */
    bool kinds[COVERING_KINDS_MOST][COVERING_KINDS_MOST][COVERING_KINDS_MOST];
    bool kinds_done; /* of the search for a tuple that is not covered */
    size_t next;     /* where it goes on */
};

/* The members down to shift are given: kind[i] < COVERING_KINDS_MOST, and outlives the covering. Triples of
 * kinds that have too few things do not count. */
void covering_begin(struct covering *covering);
/* The next block, ascending, and how large it is; 0: everything is covered. */
size_t covering_next(struct covering *covering, size_t *block);

#endif
