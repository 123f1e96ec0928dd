/* A covering design: each block begins with a tuple that is not covered yet and takes what covers most. */
#include "tests/unit/covering.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void covering_begin(struct covering *covering) {
    assert(covering->count <= COVERING_THINGS_MOST && covering->block <= covering->count &&
           covering->later_block <= covering->block);
    assert(covering->later_block >= 3 && covering->block <= COVERING_BLOCK_MOST);
    memset(covering->thing, 0, sizeof(covering->thing));
    memset(covering->kinds, 0, sizeof(covering->kinds));
    covering->next = 0;
    covering->kinds_done = false;
}

static int ascending(const void *a, const void *b) {
    const size_t *left = a, *right = b;
    return (*left > *right) - (*left < *right);
}

/* Things and kinds are looked up by ascending numbers. */
static bool *thing_at(struct covering *covering, size_t a, size_t b, size_t c) {
    size_t at[3] = {a, b, covering->triples ? c : 0};
    qsort(at, covering->triples ? 3 : 2, sizeof(*at), ascending);
    return &covering->thing[at[0]][at[1]][at[2]];
}

static bool *kinds_at(struct covering *covering, size_t a, size_t b, size_t c) {
    size_t at[3] = {covering->kind[a], covering->kind[b], covering->kind[c]};
    qsort(at, 3, sizeof(*at), ascending);
    return &covering->kinds[at[0]][at[1]][at[2]];
}

/* What the candidate would newly bring together; a triple of kinds that only ties count for less. */
static size_t gain(struct covering *covering, const size_t *block, size_t taken, size_t candidate) {
    size_t gained = 0;
    for (size_t i = 0; i < taken; i++) {
        if (!covering->triples)
            gained += 2 * !*thing_at(covering, block[i], candidate, 0);
        for (size_t j = i + 1; j < taken; j++) {
            if (covering->triples)
                gained += 2 * !*thing_at(covering, block[i], block[j], candidate);
            gained += !*kinds_at(covering, block[i], block[j], candidate);
        }
    }
    return gained;
}

static void cover(struct covering *covering, const size_t *block, size_t size) {
    for (size_t i = 0; i < size; i++) {
        for (size_t j = i + 1; j < size; j++) {
            if (!covering->triples)
                *thing_at(covering, block[i], block[j], 0) = true;
            for (size_t k = j + 1; k < size; k++) {
                if (covering->triples)
                    *thing_at(covering, block[i], block[j], block[k]) = true;
                *kinds_at(covering, block[i], block[j], block[k]) = true;
            }
        }
    }
}

/* The first tuple that is not covered, from where the last search ended: a triple of kinds, later a triple or
 * pair of things. How many things it has; 0: everything is covered. */
static size_t uncovered(struct covering *covering, size_t *block) {
    size_t count = covering->count;
    bool pairs = covering->kinds_done && !covering->triples;
    for (; covering->next < count * count * count; covering->next++) {
        size_t a = covering->next / count / count, b = covering->next / count % count;
        size_t c = covering->next % count;
        if (a >= b || (pairs ? c != 0 : b >= c))
            continue;
        if (covering->kinds_done ? *thing_at(covering, a, b, c) : *kinds_at(covering, a, b, c))
            continue;
        block[0] = a;
        block[1] = b;
        block[2] = c;
        return pairs ? 2 : 3;
    }
    return 0;
}

/* The thing that brings most together with those in the block; ties go by turns. */
static size_t best_for(struct covering *covering, const size_t *block, size_t taken) {
    size_t best = 0, best_gain = 0;
    for (size_t i = 0; i < covering->count; i++) {
        size_t candidate = (i + covering->shift) % covering->count, gained;
        bool there = false;
        for (size_t b = 0; b < taken; b++)
            there |= block[b] == candidate;
        gained = there ? 0 : 1 + gain(covering, block, taken, candidate);
        if (gained > best_gain) {
            best = candidate;
            best_gain = gained;
        }
    }
    return best;
}

size_t covering_next(struct covering *covering, size_t *block) {
    size_t taken = uncovered(covering, block);
    if (!taken && !covering->kinds_done) { /* kinds first: their blocks cover many things on the way */
        covering->kinds_done = true;
        covering->next = 0;
        taken = uncovered(covering, block);
    }
    if (!taken)
        return 0;
    size_t size = covering->kinds_done ? covering->later_block : covering->block;
    while (taken < size) {
        block[taken] = best_for(covering, block, taken);
        taken++;
    }
    cover(covering, block, size);
    qsort(block, size, sizeof(*block), ascending);
    return size;
}
