/* Memory of one batch, in chunks that are kept and wiped between batches. */
#include "core/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>

#define CHUNK_FIRST_BYTES ((size_t)16 * 1024)
#define CHUNK_MOST_BYTES ((size_t)4 * 1024 * 1024)

/* Bytes beyond used_bytes are always zero, so that arena_take need not clear what it hands out. */
struct arena_chunk {
    struct arena_chunk *next;
    size_t size_bytes, used_bytes;
    alignas(max_align_t) unsigned char bytes[];
};

void arena_init(struct arena *arena, size_t limit_bytes) {
    *arena = (struct arena){.limit_bytes = limit_bytes};
}

/* Frees the chunks of a list; the caller has taken the list off the arena. */
static void chunks_free(struct arena *arena, struct arena_chunk *chunk) {
    while (chunk) {
        struct arena_chunk *next = chunk->next;
        arena->held_bytes -= chunk->size_bytes;
        explicit_bzero(chunk->bytes, chunk->used_bytes);
        free(chunk);
        chunk = next;
    }
}

void arena_release(struct arena *arena) {
    chunks_free(arena, arena->first);
    *arena = (struct arena){.limit_bytes = arena->limit_bytes};
}

void arena_reset(struct arena *arena) {
    for (struct arena_chunk *chunk = arena->first; chunk; chunk = chunk->next) {
        explicit_bzero(chunk->bytes, chunk->used_bytes);
        chunk->used_bytes = 0;
    }
    arena->current = arena->first;
    arena->used_bytes = 0;
    arena->reached = false;
}

/* A chunk with room for size_bytes, made current. Chunks after the current one are empty: they are used when
 * large enough, and given back when they stand between the request and the limit. */
static struct arena_chunk *chunk_next(struct arena *arena, size_t size_bytes) {
    struct arena_chunk *current = arena->current;
    struct arena_chunk **link = current ? &current->next : &arena->first;
    for (struct arena_chunk *chunk = *link; chunk; chunk = chunk->next) {
        if (chunk->size_bytes >= size_bytes) {
            return arena->current = chunk;
        }
    }
    size_t want_bytes = current ? current->size_bytes * 2 : CHUNK_FIRST_BYTES;
    if (want_bytes > CHUNK_MOST_BYTES) {
        want_bytes = CHUNK_MOST_BYTES;
    }
    if (want_bytes < size_bytes) {
        want_bytes = size_bytes;
    }
    if (arena->held_bytes + want_bytes > arena->limit_bytes) {
        if (!arena->used_bytes) {
            link = &arena->first; /* the current one is empty too */
            arena->current = NULL;
        }
        chunks_free(arena, *link);
        *link = NULL;
        size_t left_bytes = arena->limit_bytes - arena->held_bytes;
        if (size_bytes > left_bytes) {
            arena->reached = true;
            return NULL;
        }
        want_bytes = want_bytes < left_bytes ? want_bytes : left_bytes;
    }
    struct arena_chunk *chunk = calloc(1, sizeof(*chunk) + want_bytes);
    if (!chunk) {
        return NULL;
    }
    chunk->size_bytes = want_bytes;
    chunk->next = *link;
    *link = chunk;
    arena->held_bytes += want_bytes;
    return arena->current = chunk;
}

void *arena_take(struct arena *arena, size_t size_bytes) {
    const size_t unit = alignof(max_align_t);
    if (size_bytes > arena->limit_bytes) {
        arena->reached = true;
        return NULL;
    }
    size_bytes = size_bytes ? (size_bytes + unit - 1) / unit * unit : unit;
    struct arena_chunk *chunk = arena->current;
    if (!chunk || chunk->size_bytes - chunk->used_bytes < size_bytes) {
        chunk = chunk_next(arena, size_bytes);
        if (!chunk) {
            return NULL;
        }
    }
    void *taken = chunk->bytes + chunk->used_bytes;
    chunk->used_bytes += size_bytes;
    arena->used_bytes += size_bytes;
    return taken;
}

void *arena_array(struct arena *arena, size_t item_bytes, size_t count) {
    size_t size_bytes;
    return __builtin_mul_overflow(item_bytes, count, &size_bytes) ? NULL : arena_take(arena, size_bytes);
}

struct text arena_text(struct arena *arena, struct text text) {
    if (!text.at) {
        return TEXT_ABSENT;
    }
    char *copy = arena_take(arena, text.size);
    if (!copy) {
        return TEXT_ABSENT;
    }
    memcpy(copy, text.at, text.size);
    return (struct text){copy, text.size};
}

void *arena_grow(struct arena *arena, void **items, size_t *count, size_t *room, size_t item_bytes) {
    if (*count == *room) {
        size_t more = *room ? *room * 2 : 8;
        if (more > SIZE_MAX / item_bytes) {
            return NULL;
        }
        void *moved = arena_take(arena, more * item_bytes);
        if (!moved) {
            return NULL;
        }
        if (*count) {
            memcpy(moved, *items, *count * item_bytes);
        }
        *items = moved;
        *room = more;
    }
    return (char *)*items + (*count)++ * item_bytes;
}
