/* Memory of one batch: taken piece by piece, given back all at once, wiped as it goes (it holds opened
 * personal data). Nothing outlives arena_reset. Running past the limit is an error of the batch (too much for
 * one transaction), never a crash. One thread each. */
#ifndef KR_ARENA_H
#define KR_ARENA_H

#include "core/text.h"
#include <stddef.h>

struct arena_chunk;
struct arena {
    struct arena_chunk *first, *current;
    size_t used_bytes; /* taken since the last reset */
    size_t held_bytes; /* size of all chunks, at most limit_bytes */
    size_t limit_bytes;
    bool reached; /* the limit was, since the last reset; else a NULL says that the machine is short of memory
                   */
};

/* limit_bytes bounds what all chunks together may hold. Allocates nothing yet. */
void arena_init(struct arena *arena, size_t limit_bytes);
void arena_release(struct arena *arena);
/* Wipes and keeps the chunks for the next batch. */
void arena_reset(struct arena *arena);

/* Zeroed memory, aligned for any type; NULL when the limit or the machine's memory is reached. */
void *arena_take(struct arena *arena, size_t size_bytes) __attribute__((malloc, warn_unused_result));
/* The same for an array; NULL also when the product does not fit. */
void *arena_array(struct arena *arena, size_t item_bytes, size_t count)
    __attribute__((malloc, warn_unused_result));
#define ARENA_NEW(arena, type) ((type *)arena_take((arena), sizeof(type)))
#define ARENA_ARRAY(arena, type, count) ((type *)arena_array((arena), sizeof(type), (count)))
/* A copy, or TEXT_ABSENT when memory ran out (or `text` was absent). */
struct text arena_text(struct arena *arena, struct text text);
/* Grows an array of `*count` items by one, doubling: returns the new, zeroed item, or NULL. `*items` may
 * move. */
void *arena_grow(struct arena *arena, void **items, size_t *count, size_t *room, size_t item_bytes);
#define ARENA_PUSH(arena, list)                                                                              \
    ((__typeof__((list)->at))arena_grow((arena), (void **)&(list)->at, &(list)->count, &(list)->room,        \
                                        sizeof(*(list)->at)))

#endif
