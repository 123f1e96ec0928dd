/* JSON text to a tree in the arena: a guard over the raw text, then yajl with a callback for each part.
 *
 * 1. The guard reads the bytes once: UTF-8, control characters (yajl takes form feeds for blanks), and what
 *    \u escapes spell (yajl decodes half pairs and U+0000 without a word). A backslash outside a string is a
 *    syntax error anyway, so the guard need not know where strings begin.
 * 2. yajl tells whether it is JSON at all, and builds the tree. Faults that do not stop it (depth, a repeated
 *    key, a second document) are noted and reading goes on, because a syntax error further on outranks them;
 *    once one is noted nothing more is built, so a hostile text costs no memory.
 * 3. The lowest fault wins. */
#include "core/json_read.h"

#include <setjmp.h>
#include <stdalign.h>
#include <stddef.h>
#include <stdlib.h>
#include <yajl/yajl_parse.h>

#define DEPTH_MOST 512
#define PAIRWISE_MOST 16 /* up to so many keys are compared each with each; more are sorted */

/* ---- UTF-8 ---- */

/* Bytes of the strict UTF-8 sequence at `at`, which is not ASCII (RFC 3629, table 3-7 of Unicode); 0 = none.
 */
static size_t utf8_sequence(const unsigned char *at, const unsigned char *end) {
    size_t left = (size_t)(end - at);
    unsigned char c = at[0];
    if (c < 0xc2 || c > 0xf4 || left < 2) {
        return 0;
    }
    unsigned char low = 0x80, high = 0xbf;
    switch (c) {
    case 0xe0:
        low = 0xa0; /* overlong */
        break;
    case 0xed:
        high = 0x9f; /* surrogates */
        break;
    case 0xf0:
        low = 0x90; /* overlong */
        break;
    case 0xf4:
        high = 0x8f; /* above U+10FFFF */
        break;
    }
    if (at[1] < low || at[1] > high) {
        return 0;
    }
    size_t size = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    if (left < size) {
        return 0;
    }
    for (size_t i = 2; i < size; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return size;
}

/* Most text is ASCII, so eight bytes are looked at together: the value of `eight` with only the top bit left
 * of each byte that is not ASCII. */
#define EACH UINT64_C(0x0101010101010101)
#define NOT_ASCII(eight) ((eight)&EACH * 0x80)

static uint64_t eight_bytes(const unsigned char *at) {
    uint64_t eight;
    memcpy(&eight, at, sizeof(eight));
    return eight;
}

bool utf8_valid(struct text text) {
    const unsigned char *at = (const unsigned char *)text.at, *end = at + text.size;
    while (at < end) {
        if (end - at >= 8 && !NOT_ASCII(eight_bytes(at))) {
            at += 8;
            continue;
        }
        if (*at < 0x80) {
            at++;
            continue;
        }
        size_t size = utf8_sequence(at, end);
        if (!size) {
            return false;
        }
        at += size;
    }
    return true;
}

size_t utf8_length(struct text text) {
    size_t i = 0;
    while (text.size - i >= 8 && !NOT_ASCII(eight_bytes((const unsigned char *)text.at + i))) {
        i += 8;
    }
    size_t length = i;
    for (; i < text.size; i++) {
        length += ((unsigned char)text.at[i] & 0xc0) != 0x80;
    }
    return length;
}

/* ---- the guard ---- */

struct guard {
    bool not_utf8, not_json, nul, lone_surrogate;
};

/* The four hex digits of an escape, or -1. */
static int32_t hex4(const unsigned char *at, const unsigned char *end) {
    int32_t value = 0;
    if (end - at < 4) {
        return -1;
    }
    for (int i = 0; i < 4; i++) {
        unsigned char c = at[i], lower = c | 0x20;
        if (c >= '0' && c <= '9') {
            value = value * 16 + (c - '0');
        } else if (lower >= 'a' && lower <= 'f') {
            value = value * 16 + (lower - 'a' + 10);
        } else {
            return -1;
        }
    }
    return value;
}

enum escape { ESCAPE_PLAIN, ESCAPE_NUL, ESCAPE_HALF };

/* The escape at `at` (a backslash): what it spells, and its size in bytes (both halves of a pair). */
static enum escape escape_read(const unsigned char *at, const unsigned char *end, size_t *size) {
    *size = end - at < 2 ? 1 : 2;
    if (*size < 2 || at[1] != 'u') {
        return ESCAPE_PLAIN;
    }
    int32_t unit = hex4(at + 2, end);
    if (unit < 0) {
        return ESCAPE_PLAIN; /* a syntax error: yajl will say so */
    }
    *size = 6;
    if (unit < 0xd800 || unit > 0xdfff) {
        return unit == 0 ? ESCAPE_NUL : ESCAPE_PLAIN;
    }
    if (unit < 0xdc00 && end - at >= 12 && at[6] == '\\' && at[7] == 'u') {
        int32_t low = hex4(at + 8, end);
        if (low >= 0xdc00 && low <= 0xdfff) {
            *size = 12;
            return ESCAPE_PLAIN;
        }
    }
    return ESCAPE_HALF;
}

/* Neither controls nor backslashes nor anything beyond ASCII. */
static bool eight_harmless(uint64_t eight) {
    uint64_t backslash = eight ^ EACH * '\\';
    return !NOT_ASCII(eight | (eight - EACH * 0x20) | (backslash - EACH));
}

static struct guard guard_read(struct text text) {
    struct guard guard = {0};
    const unsigned char *at = (const unsigned char *)text.at, *end = at + text.size;
    while (at < end) {
        size_t size = 1;
        if (end - at >= 8 && eight_harmless(eight_bytes(at))) {
            at += 8;
            continue;
        }
        if (*at >= 0x80) {
            size = utf8_sequence(at, end);
            if (!size) {
                guard.not_utf8 = true; /* outranks everything */
                return guard;
            }
        } else if (*at == '\\') {
            enum escape escape = escape_read(at, end, &size);
            guard.nul |= escape == ESCAPE_NUL;
            guard.lone_surrogate |= escape == ESCAPE_HALF;
            if (size == 2 && at[1] >= 0x80) {
                size = 1; /* the byte behind is judged as UTF-8 */
            }
        } else if (*at < 0x20 && *at != '\t' && *at != '\n' && *at != '\r') {
            guard.not_json = true;
        }
        at += size;
    }
    if (text.size >= 3 && memcmp(text.at, "\xef\xbb\xbf", 3) == 0) {
        guard.not_json = true; /* a byte order mark */
    }
    return guard;
}

/* A copy with every half pair's escape replaced by the three bytes that UTF-8 forbids for it. yajl reads all
 * of them as "?", and two keys that differ only there would look repeated. Absent when memory ran out. */
static struct text halves_kept_apart(struct text text, struct arena *arena) {
    unsigned char *copy = arena_take(arena, text.size);
    if (!copy) {
        return TEXT_ABSENT;
    }
    const unsigned char *at = (const unsigned char *)text.at, *end = at + text.size;
    size_t used = 0;
    while (at < end) {
        size_t size = 1;
        if (*at == '\\' && escape_read(at, end, &size) == ESCAPE_HALF) {
            int32_t unit = hex4(at + 2, end);
            copy[used++] = 0xed;
            copy[used++] = (unsigned char)(0x80 | (unit >> 6 & 0x3f));
            copy[used++] = (unsigned char)(0x80 | (unit & 0x3f));
        } else {
            memcpy(copy + used, at, size);
            used += size;
        }
        at += size;
    }
    return (struct text){(const char *)copy, used};
}

/* ---- yajl's callbacks ---- */

struct frame {
    struct json *node, *last;
};

/* yajl's memory. What the arena cannot give, or what grows large, comes from the heap. */
struct leases {
    struct arena *arena;
    struct lease *heap; /* those, linked */
    jmp_buf no_memory;
};

struct reader {
    struct arena *arena;
    struct leases leases;
    struct json *root;
    unsigned max_depth;
    size_t depth;
    size_t values; /* whole values at the top */
    bool too_deep, duplicate, no_memory;
    struct text text; /* the whole, in the arena */
    struct text key;  /* of the next value in an object */
    struct frame frames[DEPTH_MOST];
};

static bool reader_builds(const struct reader *reader) {
    return !reader->too_deep && !reader->duplicate && reader->values == 0;
}

/* A new node in its place; NULL when nothing is built any more (*stop then says whether memory ran out). */
static struct json *node_add(struct reader *reader, enum json_type type) {
    if (!reader_builds(reader)) {
        return NULL;
    }
    struct json *node = ARENA_NEW(reader->arena, struct json);
    if (!node) {
        reader->no_memory = true;
        return NULL;
    }
    node->type = type;
    if (!reader->depth) {
        reader->root = node;
        return node;
    }
    struct frame *frame = &reader->frames[reader->depth - 1];
    node->key = frame->node->type == JSON_OBJECT ? reader->key : TEXT_ABSENT;
    if (frame->last) {
        frame->last->next = node;
    } else {
        frame->node->first = node;
    }
    frame->last = node;
    frame->node->count++;
    return node;
}

/* yajl points into the whole text where nothing had to be unescaped, else into a buffer that the next
 * callback overwrites: only then a copy is needed. */
static struct text reader_text(struct reader *reader, const void *at, size_t size) {
    const char *begin = at;
    if (begin >= reader->text.at && begin + size <= reader->text.at + reader->text.size) {
        return (struct text){begin, size};
    }
    struct text copy = arena_text(reader->arena, (struct text){size ? begin : "", size});
    if (!copy.at) {
        reader->no_memory = true;
    }
    return copy;
}

/* Counts a value that is whole; yajl goes on while memory lasts. */
static int value_ended(struct reader *reader) {
    if (!reader->depth) {
        reader->values++;
    }
    return !reader->no_memory;
}

static int on_null(void *context) {
    node_add(context, JSON_NULL);
    return value_ended(context);
}

static int on_bool(void *context, int value) {
    struct json *node = node_add(context, JSON_BOOL);
    if (node) {
        node->boolean = value != 0;
    }
    return value_ended(context);
}

/* True for digits with at most a sign that fit. */
static bool integer_read(const char *at, size_t size, int64_t *integer) {
    bool negative = size && at[0] == '-';
    int64_t value = 0;
    for (size_t i = negative; i < size; i++) {
        if (at[i] < '0' || at[i] > '9' || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, at[i] - '0', &value)) {
            return false;
        }
    }
    if (!negative && value == INT64_MIN) {
        return false;
    }
    *integer = negative ? value : -value;
    return true;
}

static int on_number(void *context, const char *at, size_t size) {
    struct reader *reader = context;
    struct json *node = node_add(reader, JSON_NUMBER);
    if (node) {
        node->text = reader_text(reader, at, size);
        if (integer_read(at, size, &node->integer)) {
            node->type = JSON_INTEGER;
        }
    }
    return value_ended(reader);
}

static int on_string(void *context, const unsigned char *at, size_t size) {
    struct reader *reader = context;
    struct json *node = node_add(reader, JSON_STRING);
    if (node) {
        node->text = reader_text(reader, at, size);
    }
    return value_ended(reader);
}

static int container_begins(struct reader *reader, enum json_type type) {
    if (reader->depth + 1 > reader->max_depth) {
        reader->too_deep = true;
    }
    struct json *node = node_add(reader, type);
    if (node) {
        reader->frames[reader->depth] = (struct frame){.node = node};
    }
    reader->depth++; /* past max_depth it is a mere count */
    return !reader->no_memory;
}

static int on_object(void *context) {
    return container_begins(context, JSON_OBJECT);
}

static int on_array(void *context) {
    return container_begins(context, JSON_ARRAY);
}

static int on_key(void *context, const unsigned char *at, size_t size) {
    struct reader *reader = context;
    if (reader_builds(reader)) {
        reader->key = reader_text(reader, at, size);
    }
    return !reader->no_memory;
}

static int key_compare(const void *a, const void *b) {
    return text_compare(*(const struct text *)a, *(const struct text *)b);
}

/* Sorting bounds the work for an object of 50,000 keys that means harm. */
static bool keys_repeat(struct reader *reader, const struct json *object) {
    if (object->count <= PAIRWISE_MOST) {
        for (const struct json *a = object->first; a; a = a->next) {
            for (const struct json *b = a->next; b; b = b->next) {
                if (text_equal(a->key, b->key)) {
                    return true;
                }
            }
        }
        return false;
    }
    struct text *keys = ARENA_ARRAY(reader->arena, struct text, object->count);
    if (!keys) {
        reader->no_memory = true;
        return false;
    }
    size_t count = 0;
    for (const struct json *member = object->first; member; member = member->next) {
        keys[count++] = member->key;
    }
    qsort(keys, count, sizeof(*keys), key_compare);
    for (size_t i = 1; i < count; i++) {
        if (text_equal(keys[i - 1], keys[i])) {
            return true;
        }
    }
    return false;
}

static int on_object_end(void *context) {
    struct reader *reader = context;
    reader->depth--;
    if (reader_builds(reader) && keys_repeat(reader, reader->frames[reader->depth].node)) {
        reader->duplicate = true;
    }
    return value_ended(reader);
}

static int on_array_end(void *context) {
    struct reader *reader = context;
    reader->depth--;
    return value_ended(reader);
}

static const yajl_callbacks callbacks = {
    .yajl_null = on_null,
    .yajl_boolean = on_bool,
    .yajl_number = on_number,
    .yajl_string = on_string,
    .yajl_start_map = on_object,
    .yajl_map_key = on_key,
    .yajl_end_map = on_object_end,
    .yajl_start_array = on_array,
    .yajl_end_array = on_array_end,
};

/* ---- the whole ---- */

/* yajl's own memory comes from the arena too, which saves it a dozen calls of malloc a document. yajl does
 * not look whether it was given any: when there is none, it is left where it stands (reader_run). */
#define LEASE_MOST_BYTES 2048
struct lease {
    alignas(max_align_t) size_t size_bytes;
    bool heap;
    struct lease *next; /* of those */
};

static void *lease_take(void *context, size_t size_bytes) {
    struct leases *leases = context;
    struct lease *lease =
        size_bytes <= LEASE_MOST_BYTES ? arena_take(leases->arena, sizeof(*lease) + size_bytes) : NULL;
    bool heap = !lease;
    if (heap) {
        lease = malloc(sizeof(*lease) + size_bytes);
        if (!lease) {
            longjmp(leases->no_memory, 1);
        }
    }
    *lease = (struct lease){.size_bytes = size_bytes, .heap = heap, .next = leases->heap};
    leases->heap = heap ? lease : leases->heap;
    return lease + 1;
}

static void lease_end(void *context, void *memory) {
    struct leases *leases = context;
    struct lease *lease = memory ? (struct lease *)memory - 1 : NULL;
    if (!lease || !lease->heap) {
        return;
    }
    struct lease **link = &leases->heap; /* there are one or two */
    while (*link != lease) {
        link = &(*link)->next;
    }
    *link = lease->next;
    explicit_bzero(memory, lease->size_bytes);
    free(lease);
}

static void *lease_grow(void *context, void *memory, size_t size_bytes) {
    void *moved = lease_take(context, size_bytes);
    if (moved && memory) {
        size_t held_bytes = ((struct lease *)memory - 1)->size_bytes;
        memcpy(moved, memory, held_bytes < size_bytes ? held_bytes : size_bytes);
        lease_end(context, memory);
    }
    return moved;
}

/* False when it is no JSON (or memory ran out, which the reader knows). */
static bool reader_parse(struct reader *reader) {
    yajl_alloc_funcs memory = {
        .malloc = lease_take, .realloc = lease_grow, .free = lease_end, .ctx = &reader->leases};
    yajl_handle handle = yajl_alloc(&callbacks, &memory, reader);
    if (!handle) {
        reader->no_memory = true;
        return false;
    }
    yajl_config(handle, yajl_allow_multiple_values, 1);
    yajl_config(handle, yajl_dont_validate_strings, 1);
    bool whole =
        yajl_parse(handle, (const unsigned char *)reader->text.at, reader->text.size) == yajl_status_ok &&
        /* No string may hold a line feed: one that a whole value was followed by and that has no end shows
           so. */
        yajl_parse(handle, (const unsigned char *)"\n", 1) == yajl_status_ok &&
        yajl_complete_parse(handle) == yajl_status_ok && reader->values > 0;
    yajl_free(handle);
    return whole;
}

static bool reader_run(struct reader *reader) {
    reader->leases = (struct leases){.arena = reader->arena};
    if (setjmp(reader->leases.no_memory)) {
        while (reader->leases.heap) {
            lease_end(&reader->leases, reader->leases.heap + 1);
        }
        reader->no_memory = true;
        return false;
    }
    return reader_parse(reader);
}

enum json_fault json_parse(struct text text, unsigned max_depth, struct arena *arena, struct json **root) {
    *root = NULL;
    if (!text.at || !text.size) {
        return JSON_NOT_JSON;
    }
    struct guard guard = guard_read(text);
    if (guard.not_utf8) {
        return JSON_NOT_UTF8;
    }
    if (guard.not_json) {
        return JSON_NOT_JSON;
    }
    struct reader reader; /* its frames are 8 KiB: only what is read is cleared */
    memset(&reader, 0, offsetof(struct reader, frames));
    reader.arena = arena;
    reader.max_depth = max_depth && max_depth < DEPTH_MOST ? max_depth : DEPTH_MOST;
    reader.text = guard.lone_surrogate ? halves_kept_apart(text, arena) : arena_text(arena, text);
    if (!reader.text.at) {
        return JSON_NO_MEMORY;
    }
    bool whole = reader_run(&reader);
    if (reader.no_memory) {
        return JSON_NO_MEMORY;
    }
    enum json_fault fault = !whole                 ? JSON_NOT_JSON
                            : reader.values > 1    ? JSON_TWO_DOCUMENTS
                            : reader.too_deep      ? JSON_TOO_DEEP
                            : reader.duplicate     ? JSON_DUPLICATE_KEY
                            : guard.nul            ? JSON_NUL
                            : guard.lone_surrogate ? JSON_LONE_SURROGATE
                                                   : JSON_FINE;
    if (fault == JSON_FINE) {
        *root = reader.root;
    }
    return fault;
}

unsigned json_depth(const struct json *value) {
    unsigned deepest = 0;
    if (value->type != JSON_ARRAY && value->type != JSON_OBJECT) {
        return 0;
    }
    for (const struct json *child = value->first; child; child = child->next) {
        unsigned depth = json_depth(child);
        deepest = depth > deepest ? depth : deepest;
    }
    return deepest + 1;
}

const char *json_fault_name(enum json_fault fault) {
    static const char *const names[] = {
        [JSON_FINE] = "fine",           [JSON_NOT_UTF8] = "not_utf8",
        [JSON_NOT_JSON] = "not_json",   [JSON_TWO_DOCUMENTS] = "two_documents",
        [JSON_TOO_DEEP] = "too_deep",   [JSON_DUPLICATE_KEY] = "duplicate_key",
        [JSON_NUL] = "nul_character",   [JSON_LONE_SURROGATE] = "lone_surrogate",
        [JSON_NO_MEMORY] = "no_memory",
    };
    return names[fault];
}

const struct json *json_member(const struct json *object, const char *key) {
    if (!object || object->type != JSON_OBJECT) {
        return NULL;
    }
    struct text wanted = text_of(key);
    for (const struct json *member = object->first; member; member = member->next) {
        if (text_equal(member->key, wanted)) {
            return member;
        }
    }
    return NULL;
}

struct text json_member_text(const struct json *object, const char *key) {
    const struct json *member = json_member(object, key);
    return member && member->type == JSON_STRING ? member->text : TEXT_ABSENT;
}
