/* The bytes of packed forms, written and read. */
#include "core/decide/packer.h"

#define PACK_FORMAT 2

/* ---- writing ---- */

void packer_begin(struct packer *packer, struct arena *arena, enum pack_kind kind) {
    packer->arena = arena;
    packer->at = packer->stack;
    packer->size = 2;
    packer->room = PACKER_STACK_BYTES;
    packer->failed = false;
    packer->version_count = 0;
    packer->source = TEXT_ABSENT;
    packer->at[0] = PACK_FORMAT;
    packer->at[1] = (unsigned char)kind;
}

struct text packer_end(struct packer *packer) {
    if (packer->failed)
        return TEXT_ABSENT;
    return arena_text(packer->arena, (struct text){(const char *)packer->at, packer->size});
}

static bool packer_room(struct packer *packer, size_t more) {
    if (packer->failed)
        return false;
    if (more <= packer->room - packer->size)
        return true;
    size_t room = packer->room * 2 > packer->size + more ? packer->room * 2 : packer->size + more;
    unsigned char *moved = arena_take(packer->arena, room);
    if (!moved) {
        packer->failed = true;
        return false;
    }
    memcpy(moved, packer->at, packer->size);
    packer->at = moved;
    packer->room = room;
    return true;
}

void packer_unsigned(struct packer *packer, uint64_t value) {
    if (!packer_room(packer, 10))
        return;
    while (value > 127) {
        packer->at[packer->size++] = (unsigned char)(value | 128);
        value >>= 7;
    }
    packer->at[packer->size++] = (unsigned char)value;
}

/* Small magnitudes of either sign are short. */
void packer_int(struct packer *packer, int64_t value) {
    packer_unsigned(packer, (uint64_t)value << 1 ^ (uint64_t)(value >> 63));
}

void packer_bytes(struct packer *packer, const void *bytes, size_t size) {
    if (!size || !packer_room(packer, size))
        return;
    memcpy(packer->at + packer->size, bytes, size);
    packer->size += size;
}

/* Size + 1, so that 0 is absent. */
void packer_text(struct packer *packer, struct text text) {
    packer_unsigned(packer, text.at ? text.size + 1 : 0);
    packer_bytes(packer, text.at, text.at ? text.size : 0);
}

static bool same_fact(const struct version *a, const struct version *b) {
    return a->time_us == b->time_us && text_equal(a->source, b->source) && text_equal(a->id, b->id) &&
           text_equal(a->sequence, b->sequence) && memcmp(a->digest, b->digest, DIGEST_BYTES) == 0;
}

/* 0: none; 1: a new one follows; n + 2: that of number n again. Bit 0 of the number says `protective`. */
void packer_version(struct packer *packer, const struct version *version) {
    if (version->time_us == VERSION_NONE) {
        packer_unsigned(packer, 0);
        return;
    }
    size_t seen = 0;
    while (seen < packer->version_count && !same_fact(&packer->versions[seen], version))
        seen++;
    bool again = seen < packer->version_count;
    packer_unsigned(packer, (again ? seen + 2 : 1) << 1 | version->protective);
    if (again)
        return;
    packer_int(packer, version->time_us);
    bool same_source = packer->source.at && text_equal(packer->source, version->source);
    packer_text(packer, same_source ? TEXT_ABSENT : version->source);
    packer_text(packer, version->id);
    packer_text(packer, version->sequence);
    packer_bytes(packer, version->digest, DIGEST_BYTES);
    packer->source = version->source;
    if (packer->version_count < PACKER_VERSIONS)
        packer->versions[packer->version_count++] = *version;
}

/* ---- reading ---- */

void unpacker_begin(struct unpacker *unpacker, struct arena *arena, struct text packed, enum pack_kind kind) {
    struct text copy = arena_text(arena, packed);
    unpacker->arena = arena;
    unpacker->full = text_present(packed) && !text_present(copy);
    copy = text_present(copy) ? copy : TEXT("");
    unpacker->at = (const unsigned char *)copy.at;
    unpacker->end = unpacker->at + copy.size;
    unpacker->version_count = 0;
    unpacker->source = TEXT_ABSENT;
    unpacker->damaged = copy.size < 2 || unpacker->at[0] != PACK_FORMAT || unpacker->at[1] != kind;
    if (!unpacker->damaged)
        unpacker->at += 2;
}

enum outcome unpacker_end(const struct unpacker *unpacker, struct err *err) {
    if (unpacker->full)
        return err_set(err, RETRY, 0, "the batch's memory is full");
    if (unpacker->damaged || unpacker->at != unpacker->end)
        return err_set(err, FATAL, 0, "a packed column of the register is damaged");
    return OK;
}

uint64_t unpacker_unsigned(struct unpacker *unpacker) {
    uint64_t value = 0;
    for (unsigned shift = 0; !unpacker->damaged; shift += 7) {
        if (unpacker->at == unpacker->end || shift > 63 || (shift == 63 && *unpacker->at > 1)) {
            unpacker->damaged = true;
            return 0;
        }
        unsigned char byte = *unpacker->at++;
        value |= (uint64_t)(byte & 127) << shift;
        if (byte < 128)
            return value;
    }
    return 0;
}

int64_t unpacker_int(struct unpacker *unpacker) {
    uint64_t value = unpacker_unsigned(unpacker);
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

/* A whole number of at most `most`. */
uint64_t unpacker_bounded(struct unpacker *unpacker, uint64_t most) {
    uint64_t value = unpacker_unsigned(unpacker);
    if (value <= most)
        return value;
    unpacker->damaged = true;
    return 0;
}

bool unpacker_flag(struct unpacker *unpacker) {
    return unpacker_bounded(unpacker, 1) == 1;
}

int32_t unpacker_int32(struct unpacker *unpacker) {
    int64_t value = unpacker_int(unpacker);
    if (value >= INT32_MIN && value <= INT32_MAX)
        return (int32_t)value;
    unpacker->damaged = true;
    return 0;
}

/* Items of a list: each takes a byte at least, which bounds what a damaged count could claim. */
size_t unpacker_count(struct unpacker *unpacker) {
    return (size_t)unpacker_bounded(unpacker, (uint64_t)(unpacker->end - unpacker->at));
}

struct text unpacker_text(struct unpacker *unpacker) {
    uint64_t size = unpacker_unsigned(unpacker);
    if (!size || unpacker->damaged)
        return TEXT_ABSENT;
    if (--size > (uint64_t)(unpacker->end - unpacker->at)) {
        unpacker->damaged = true;
        return TEXT_ABSENT;
    }
    struct text text = {(const char *)unpacker->at, (size_t)size};
    unpacker->at += size;
    return text;
}

static void unpacker_digest(struct unpacker *unpacker, uint8_t *digest, size_t size) {
    if (unpacker->damaged || (size_t)(unpacker->end - unpacker->at) < size) {
        unpacker->damaged = true;
        return;
    }
    memcpy(digest, unpacker->at, size);
    unpacker->at += size;
}

struct version unpacker_version(struct unpacker *unpacker) {
    struct version version = {.time_us = VERSION_NONE};
    uint64_t tag = unpacker_bounded(unpacker, (PACKER_VERSIONS + 2) * 2);
    if (tag < 2) {
        unpacker->damaged |= tag == 1;
        return version;
    }
    size_t number = (size_t)(tag >> 1);
    if (number >= 2) {
        if (number - 2 >= unpacker->version_count) {
            unpacker->damaged = true;
            return version;
        }
        version = unpacker->versions[number - 2];
        version.protective = tag & 1;
        return version;
    }
    version.protective = tag & 1;
    version.time_us = unpacker_int(unpacker);
    version.source = unpacker_text(unpacker);
    if (!version.source.at)
        version.source = unpacker->source;
    version.id = unpacker_text(unpacker);
    version.sequence = unpacker_text(unpacker);
    unpacker_digest(unpacker, version.digest, DIGEST_BYTES);
    unpacker->source = version.source;
    unpacker->damaged |= version.time_us < 0;
    if (unpacker->version_count < PACKER_VERSIONS)
        unpacker->versions[unpacker->version_count++] = version;
    return version;
}
