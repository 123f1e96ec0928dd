/* All orders of a few things, and random ones from a fixed seed. */
#include "tests/unit/permute.h"

#include <assert.h>

static void swap(size_t *a, size_t *b) {
    size_t kept = *a;
    *a = *b;
    *b = kept;
}

/* The next order in lexicographic sense; 0 after the last. */
static int advance(size_t *order, size_t count) {
    if (count < 2)
        return 0;
    size_t pivot = count - 1, last = count - 1;
    while (pivot && order[pivot - 1] > order[pivot])
        pivot--;
    if (!pivot)
        return 0;
    while (order[last] < order[pivot - 1])
        last--;
    swap(&order[pivot - 1], &order[last]);
    for (size_t left = pivot, right = count - 1; left < right; left++, right--)
        swap(&order[left], &order[right]);
    return 1;
}

void permute_all(size_t count, permute_visit *visit, void *context) {
    size_t order[PERMUTE_MOST];
    assert(count <= PERMUTE_MOST);
    for (size_t i = 0; i < count; i++)
        order[i] = i;
    do
        visit(context, order, count);
    while (advance(order, count));
}

/* ---- chains ---- */

struct walk {
    const size_t *chain;
    size_t count, order[PERMUTE_MOST];
    unsigned taken; /* a bit each */
    permute_visit *visit;
    void *context;
};

static void walk_on(struct walk *walk, size_t depth) {
    unsigned blocked = 0; /* chains of which an earlier thing is still to come */
    if (depth == walk->count) {
        walk->visit(walk->context, walk->order, walk->count);
        return;
    }
    for (size_t i = 0; i < walk->count; i++) {
        if (walk->taken >> i & 1 || blocked >> walk->chain[i] & 1)
            continue;
        blocked |= 1u << walk->chain[i];
        walk->order[depth] = i;
        walk->taken |= 1u << i;
        walk_on(walk, depth + 1);
        walk->taken &= ~(1u << i);
    }
}

void permute_chains(const size_t *chain, size_t count, permute_visit *visit, void *context) {
    struct walk walk = {.chain = chain, .count = count, .visit = visit, .context = context};
    assert(count <= PERMUTE_MOST);
    walk_on(&walk, 0);
}

uint64_t permute_chains_count(const size_t *chain, size_t count) {
    uint64_t orders = 1;
    for (size_t i = 0; i < count; i++) {
        size_t place = 1; /* the how-manieth of its chain */
        for (size_t j = 0; j < i; j++)
            place += chain[j] == chain[i];
        orders = orders * (i + 1) / place; /* a multinomial, whole at each step */
    }
    return orders;
}

/* ---- random orders ---- */

uint64_t permute_random(uint64_t *seed) {
    *seed ^= *seed >> 12;
    *seed ^= *seed << 25;
    *seed ^= *seed >> 27;
    return *seed * UINT64_C(0x2545f4914f6cdd1d);
}

void permute_shuffle(uint64_t *seed, size_t *order, size_t count) {
    for (size_t i = count; i > 1; i--)
        swap(&order[i - 1], &order[permute_random(seed) % i]);
}
