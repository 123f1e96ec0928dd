/* Damaged rows: whatever lies in a `merge` column, unpacking refuses it or takes it; what it takes packs and
 * unpacks to the same bytes again. The first byte chooses the kind. */
#include "core/decide/pack.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TRY_KIND(kind)                                                                                       \
    do {                                                                                                     \
        struct kind one = {0}, two = {0};                                                                    \
        if (unpack_##kind(packed, &arena, &one, &err) != OK)                                                 \
            break;                                                                                           \
        struct text again = pack_##kind(&one, &arena);                                                       \
        if (!text_present(again))                                                                            \
            break;                                                                                           \
        if (unpack_##kind(again, &arena, &two, &err) != OK || !text_equal(again, pack_##kind(&two, &arena))) \
            abort();                                                                                         \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct arena arena;
    struct err err;
    if (!arena.limit_bytes)
        arena_init(&arena, 16 << 20);
    if (!size)
        return 0;
    struct text packed = {(const char *)data + 1, size - 1};
    switch (data[0] % 5) {
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
    default:
        TRY_KIND(event);
        break;
    }
    arena_reset(&arena);
    return 0;
}
