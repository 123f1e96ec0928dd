/* The bytes of packed forms: varints and length-prefixed texts behind a format byte. Unpacking bounds
 * everything: a damaged column is FATAL, never a crash. PURE. */
#ifndef KR_DECIDE_PACKER_H
#define KR_DECIDE_PACKER_H

#include "core/arena.h"
#include "core/err.h"
#include "core/event.h"

/* Versions that may be named again by number: the fields of a contact mostly share one or two. */
#define PACKER_VERSIONS 24
#define PACKER_STACK_BYTES 2048

enum pack_kind {
    PACK_PERSON = 1,
    PACK_ORDER,
    PACK_SHIPMENT,
    PACK_NOTICE,
    PACK_EVENT,
    PACK_CONSENT,
    PACK_REQUEST,
    PACK_ADDRESS
};

struct packer {
    struct arena *arena;
    unsigned char *at; /* `stack` until that is full */
    size_t size, room;
    bool failed;
    struct version versions[PACKER_VERSIONS];
    size_t version_count;
    struct text source; /* the last one written */
    unsigned char stack[PACKER_STACK_BYTES];
};

void packer_begin(struct packer *packer, struct arena *arena, enum pack_kind kind);
/* TEXT_ABSENT when the arena is full. */
struct text packer_end(struct packer *packer);
void packer_unsigned(struct packer *packer, uint64_t value);
/* Small magnitudes of either sign are short. */
void packer_int(struct packer *packer, int64_t value);
void packer_bytes(struct packer *packer, const void *bytes, size_t size);
/* Absent and empty stay apart. */
void packer_text(struct packer *packer, struct text text);
void packer_version(struct packer *packer, const struct version *version);

struct unpacker {
    struct arena *arena;
    const unsigned char *at, *end;
    bool damaged, full; /* full: the arena is */
    struct version versions[PACKER_VERSIONS];
    size_t version_count;
    struct text source;
};

/* The packed text is copied once; the texts read from it point into the copy. */
void unpacker_begin(struct unpacker *unpacker, struct arena *arena, struct text packed, enum pack_kind kind);
/* OK, RETRY when the arena is full, FATAL when it is damaged or something is left over. */
enum outcome unpacker_end(const struct unpacker *unpacker, struct err *err) MUST_CHECK;
uint64_t unpacker_unsigned(struct unpacker *unpacker);
int64_t unpacker_int(struct unpacker *unpacker);
/* A whole number of at most `most`. */
uint64_t unpacker_bounded(struct unpacker *unpacker, uint64_t most);
bool unpacker_flag(struct unpacker *unpacker);
int32_t unpacker_int32(struct unpacker *unpacker);
/* Items of a list: each takes a byte at least, which bounds what a damaged count could claim. */
size_t unpacker_count(struct unpacker *unpacker);
struct text unpacker_text(struct unpacker *unpacker);
struct version unpacker_version(struct unpacker *unpacker);

/* A list with exactly `count` zeroed items. */
#define UNPACKER_LIST(unpacker, list)                                                                        \
    do {                                                                                                     \
        (list)->count = (list)->room = unpacker_count(unpacker);                                             \
        (list)->at =                                                                                         \
            (list)->count ? arena_array((unpacker)->arena, sizeof(*(list)->at), (list)->count) : NULL;       \
        if ((list)->count && !(list)->at) {                                                                  \
            (list)->count = (list)->room = 0;                                                                \
            (unpacker)->full = true;                                                                         \
        }                                                                                                    \
    } while (0)

#endif
