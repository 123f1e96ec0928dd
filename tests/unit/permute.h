/* All orders of a few things. */
#ifndef KR_PERMUTE_H
#define KR_PERMUTE_H

#include <stddef.h>
#include <stdint.h>

#define PERMUTE_MOST 10
typedef void permute_visit(void *context, const size_t *order, size_t count);

/* Visits every order of 0 .. count-1, the ascending one first. */
void permute_all(size_t count, permute_visit *visit, void *context);

/* Visits every order in which the things of one chain keep theirs; chain[i] < count says whose chain i is in.
 * The ascending order is the first. */
void permute_chains(const size_t *chain, size_t count, permute_visit *visit, void *context);
/* How many those are. */
uint64_t permute_chains_count(const size_t *chain, size_t count);

/* A small generator with a fixed seed: the same numbers in every run (xorshift64*). */
uint64_t permute_random(uint64_t *seed);
/* Puts `order` into a random order. */
void permute_shuffle(uint64_t *seed, size_t *order, size_t count);

#endif
