/* Goes through the whole register once, in the dump's order and in one snapshot, and opens every cell on the
 * way: `dump` prints what it meets, `doctor --deep` only wants to know what does not open. Memory is bounded
 * by a batch. One thread. */
#ifndef KR_WALK_H
#define KR_WALK_H

#include "core/cli/cells.h"

struct walk {
    /* given */
    struct session *session;
    struct db *reg;
    struct cells *cells;
    const uint8_t *digest_key; /* values as keyed digests; NULL: as they are */
    bool notices;
    /* Takes each line, without line feed; false ends the walk with EXIT_OUTPUT. NULL: no lines are made. */
    bool (*line)(void *context, struct text line);
    /* Told of each cell that does not open, and then the walk goes on. NULL: the first ends it. */
    void (*unopened)(void *context, const struct sealed *sealed, const char *why);
    /* Called after each batch. May be NULL. */
    void (*progress)(void *context, uint64_t rows, uint64_t expected);
    void *context;
    /* kept */
    struct arena arena;
    struct json_writer *writer;
    struct policy *policy;   /* the active one; NULL: there is none */
    bool unprinted;          /* a line was not taken */
    uint64_t rows, expected; /* expected: PostgreSQL's estimate */
};

/* The given members are set. An exit code, said on stderr. */
int walk_run(struct walk *walk);

#endif
