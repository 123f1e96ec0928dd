/* The wrapped functions: arenas, and what can fail of the libraries and of the system. Each fails as its
 * manual says it does when memory is short. */
#include "tests/failures/failing.h"

#include "core/arena.h"
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unicase.h>
#include <yajl/yajl_parse.h>

/* WRAP(result, name, (parameters), (arguments), kind, what it gives when it fails) */
#define WRAP(result, name, parameters, arguments, kind, failure)                                             \
    result __real_##name parameters;                                                                         \
    result __wrap_##name parameters;                                                                         \
    result __wrap_##name parameters {                                                                        \
        return failing_now(kind, #name) ? (failure) : __real_##name arguments;                               \
    }

WRAP(void *, arena_take, (struct arena * arena, size_t size), (arena, size), FAILING_ARENA, NULL)
WRAP(void *, arena_array, (struct arena * arena, size_t size, size_t count), (arena, size, count),
     FAILING_ARENA, NULL)
WRAP(void *, arena_grow, (struct arena * arena, void **items, size_t *count, size_t *room, size_t item_bytes),
     (arena, items, count, room, item_bytes), FAILING_ARENA, NULL)

struct text __real_arena_text(struct arena *arena, struct text text);
struct text __wrap_arena_text(struct arena *arena, struct text text);
struct text __wrap_arena_text(struct arena *arena, struct text text) {
    /* An absent text asks for no memory. */
    return text.at && failing_now(FAILING_ARENA, "arena_text") ? TEXT_ABSENT : __real_arena_text(arena, text);
}

WRAP(char *, strdup, (const char *text), (text), FAILING_CALL, NULL)
WRAP(FILE *, fopen, (const char *path, const char *mode), (path, mode), FAILING_CALL, NULL)
WRAP(ssize_t, read, (int file, void *buffer, size_t size), (file, buffer, size), FAILING_CALL,
     (errno = EIO, -1))

WRAP(uint8_t *, u8_normalize,
     (uninorm_t form, const uint8_t *text, size_t size, uint8_t *buffer, size_t *room),
     (form, text, size, buffer, room), FAILING_CALL, NULL)
WRAP(uint8_t *, u8_tolower,
     (const uint8_t *text, size_t size, const char *language, uninorm_t form, uint8_t *buffer, size_t *room),
     (text, size, language, form, buffer, room), FAILING_CALL, NULL)

WRAP(int, sodium_init, (void), (), FAILING_CALL, -1)
WRAP(int, crypto_aead_xchacha20poly1305_ietf_decrypt,
     (unsigned char *plain, unsigned long long *plain_size, unsigned char *nothing,
      const unsigned char *sealed, unsigned long long sealed_size, const unsigned char *additional,
      unsigned long long additional_size, const unsigned char *nonce, const unsigned char *key),
     (plain, plain_size, nothing, sealed, sealed_size, additional, additional_size, nonce, key),
     FAILING_OPENS, -1)
WRAP(int, sodium_unpad, (size_t * plain_size, const unsigned char *at, size_t padded, size_t block),
     (plain_size, at, padded, block), FAILING_OPENS, -1)
