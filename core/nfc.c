/* NFC by libunistring, past a check that lets through what cannot change. */
#include "core/nfc.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <uninorm.h>

/* Every code point below U+0300 is its own NFC and combines with none of them (UAX 15, quick check): ASCII
 * and Latin, whose lead bytes lie below 0xcc. */
static bool nfc_already(struct text text) {
    size_t i = 0;
    for (uint64_t eight; i + sizeof(eight) <= text.size; i += sizeof(eight)) {
        memcpy(&eight, text.at + i, sizeof(eight));
        if (eight & UINT64_C(0x8080808080808080)) {
            break; /* not ASCII alone: byte by byte from here */
        }
    }
    while (i < text.size && (unsigned char)text.at[i] < 0xcc) {
        i++;
    }
    return i == text.size;
}

struct text nfc_text(struct arena *arena, struct text text) {
    if (!text.at || nfc_already(text)) {
        return arena_text(arena, text);
    }
    /* Canonical composition never yields more than three times the bytes (UAX 15, section 12.1). */
    size_t room = text.size * 3;
    uint8_t *room_at = malloc(room);
    if (!room_at) {
        return TEXT_ABSENT;
    }
    size_t size = room;
    uint8_t *normal = u8_normalize(UNINORM_NFC, (const uint8_t *)text.at, text.size, room_at, &size);
    struct text copy = TEXT_ABSENT;
    if (normal) {
        copy = arena_text(arena, (struct text){(const char *)normal, size});
        explicit_bzero(normal, size);
    }
    if (normal != room_at) {
        free(normal);
    }
    free(room_at);
    return copy;
}
