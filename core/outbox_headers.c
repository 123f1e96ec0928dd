/* Packs and unpacks the extra headers of an outbox row. */
#include "core/outbox_headers.h"

static void put_be(unsigned char *at, uint64_t value, size_t bytes) {
    for (size_t i = 0; i < bytes; i++)
        at[i] = (unsigned char)(value >> (8 * (bytes - 1 - i)));
}

struct text outbox_headers_pack(struct arena *arena, const struct record_header *headers, size_t count) {
    size_t size = 1;
    if (count > OUTBOX_HEADERS_MAX)
        return TEXT_ABSENT;
    for (size_t i = 0; i < count; i++) {
        if (headers[i].name.size < 1 || headers[i].name.size > 255 || headers[i].value.size > UINT32_MAX)
            return TEXT_ABSENT;
        size += 1 + headers[i].name.size + 4 + headers[i].value.size;
    }
    unsigned char *packed = arena_take(arena, size);
    if (!packed)
        return TEXT_ABSENT;
    unsigned char *at = packed;
    *at++ = (unsigned char)count;
    for (size_t i = 0; i < count; i++) {
        *at++ = (unsigned char)headers[i].name.size;
        memcpy(at, headers[i].name.at, headers[i].name.size);
        at += headers[i].name.size;
        put_be(at, headers[i].value.size, 4);
        at += 4;
        if (headers[i].value.size)
            memcpy(at, headers[i].value.at, headers[i].value.size);
        at += headers[i].value.size;
    }
    return (struct text){(const char *)packed, size};
}

struct text outbox_headers_dead_letter(struct arena *arena, struct text topic, int32_t partition,
                                       int64_t offset, int64_t timestamp_ms) {
    unsigned char partition_be[4], offset_be[8], timestamp_be[8];
    put_be(partition_be, (uint32_t)partition, sizeof(partition_be));
    put_be(offset_be, (uint64_t)offset, sizeof(offset_be));
    put_be(timestamp_be, (uint64_t)timestamp_ms, sizeof(timestamp_be));
    const struct record_header headers[] = {
        {TEXT("kafka_dlt-original-topic"), topic},
        {TEXT("kafka_dlt-original-partition"), {(const char *)partition_be, sizeof(partition_be)}},
        {TEXT("kafka_dlt-original-offset"), {(const char *)offset_be, sizeof(offset_be)}},
        {TEXT("kafka_dlt-original-timestamp"), {(const char *)timestamp_be, sizeof(timestamp_be)}},
    };
    return outbox_headers_pack(arena, headers, sizeof(headers) / sizeof(*headers));
}

/* The next `size` bytes of what is left; false when there are fewer. */
static bool cut(struct text *left, size_t size, struct text *piece) {
    if (left->size < size)
        return false;
    *piece = (struct text){left->at, size};
    left->at += size;
    left->size -= size;
    return true;
}

int outbox_headers_unpack(struct text packed, struct record_header headers[OUTBOX_HEADERS_MAX]) {
    struct text piece;
    if (!cut(&packed, 1, &piece))
        return -1;
    int count = (unsigned char)piece.at[0];
    if (count > OUTBOX_HEADERS_MAX)
        return -1;
    for (int i = 0; i < count; i++) {
        if (!cut(&packed, 1, &piece) || !cut(&packed, (unsigned char)piece.at[0], &headers[i].name) ||
            !headers[i].name.size || !cut(&packed, 4, &piece))
            return -1;
        size_t size = 0;
        for (size_t k = 0; k < 4; k++)
            size = size << 8 | (unsigned char)piece.at[k];
        if (!cut(&packed, size, &headers[i].value))
            return -1;
    }
    return packed.size ? -1 : count;
}
