/* Damaged rows: whatever lies in a `merge` column, unpacking refuses it or takes it; what it takes packs and
 * unpacks to the same bytes again, and in too little memory it is put off, never called damaged. The first
 * byte chooses the kind. */
#include "core/decide/pack.h"
#include "tests/fuzz/common.h"

static struct arena arena, little;

#define TRY_KIND(kind)                                                                                       \
    do {                                                                                                     \
        struct kind one = {0}, two = {0}, three = {0};                                                       \
        enum outcome outcome = unpack_##kind(packed, &arena, &one, &err);                                    \
        hold(outcome == OK || outcome == FATAL, "there is memory");                                          \
        enum outcome other = unpack_##kind(packed, &little, &three, &err);                                   \
        hold(other == outcome || other == RETRY, "in too little memory a row is put off or judged alike");   \
        if (outcome != OK)                                                                                   \
            break;                                                                                           \
        struct text again = pack_##kind(&one, &arena);                                                       \
        if (!text_present(again))                                                                            \
            break;                                                                                           \
        hold(unpack_##kind(again, &arena, &two, &err) == OK, "what was packed unpacks");                     \
        hold(text_equal(again, pack_##kind(&two, &arena)), "and packs to the same bytes");                   \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct err err;
    if (!size)
        return 0;
    if (!arena.limit_bytes)
        arena_init(&arena, (size_t)16 << 20);
    arena_release(&little);
    arena_init(&little, 64 + size * 11 % 2048);
    struct text packed = after_first(data, size);
    switch (data[0] % 8) {
    case 0:
        TRY_KIND(person);
        break;
    case 1:
        TRY_KIND(order);
        break;
    case 2:
        TRY_KIND(shipment);
        break;
    case 3:
        TRY_KIND(notice);
        break;
    case 4:
        TRY_KIND(event);
        break;
    case 5:
        TRY_KIND(consent);
        break;
    case 6:
        TRY_KIND(request);
        break;
    default:
        TRY_KIND(address);
        break;
    }
    arena_reset(&arena);
    return 0;
}
