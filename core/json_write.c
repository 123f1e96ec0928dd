/* JSON text from calls, into a buffer that is wiped.
 *
 * By hand: yajl's generator takes 65 ns a call, which is half of what decoding an event may cost, writes
 * control characters in upper case where RFC 8785 wants lower, and lets a key stand without its value. */
#include "core/json_write.h"

#include <stdlib.h>

#define DEPTH_MOST 64 /* bits of `objects` and `filled` */
#define BUFFER_FIRST_BYTES 4096
#define BUFFER_MOST_BYTES ((size_t)64 * 1024 * 1024)

struct json_writer {
    char *bytes;
    size_t size_bytes, room_bytes;
    uint64_t objects; /* bit d: the container at depth d is an object */
    uint64_t filled;  /* bit d: the container at depth d holds something: a comma comes next */
    unsigned depth;
    bool key_pending; /* a key waits for its value */
    bool failed;
};

struct json_writer *json_writer_new(void) {
    struct json_writer *writer = calloc(1, sizeof(*writer));
    if (!writer) {
        return NULL;
    }
    writer->bytes = malloc(BUFFER_FIRST_BYTES);
    writer->room_bytes = BUFFER_FIRST_BYTES;
    if (!writer->bytes) {
        free(writer);
        return NULL;
    }
    return writer;
}

void json_writer_free(struct json_writer *writer) {
    if (!writer) {
        return;
    }
    explicit_bzero(writer->bytes, writer->size_bytes);
    free(writer->bytes);
    free(writer);
}

void json_writer_reset(struct json_writer *writer) {
    explicit_bzero(writer->bytes, writer->size_bytes);
    writer->size_bytes = 0;
    writer->objects = 0;
    writer->filled = 0;
    writer->depth = 0;
    writer->key_pending = false;
    writer->failed = false;
}

/* Grown by hand, so that the old buffer can be wiped. False when it may not or cannot grow. */
static bool buffer_grow(struct json_writer *writer, size_t more_bytes) {
    size_t room_bytes = writer->room_bytes;
    while (room_bytes - writer->size_bytes < more_bytes) {
        if (room_bytes >= BUFFER_MOST_BYTES) {
            writer->failed = true;
            return false;
        }
        room_bytes *= 2;
    }
    char *moved = malloc(room_bytes);
    if (!moved) {
        writer->failed = true;
        return false;
    }
    memcpy(moved, writer->bytes, writer->size_bytes);
    explicit_bzero(writer->bytes, writer->size_bytes);
    free(writer->bytes);
    writer->bytes = moved;
    writer->room_bytes = room_bytes;
    return true;
}

/* Where so many bytes may be written; the caller then adds to size_bytes. NULL = failed. */
static inline char *buffer_room(struct json_writer *writer, size_t more_bytes) {
    if (writer->room_bytes - writer->size_bytes < more_bytes && !buffer_grow(writer, more_bytes)) {
        return NULL;
    }
    return writer->bytes + writer->size_bytes;
}

static void put(struct json_writer *writer, const char *bytes, size_t size_bytes) {
    char *at = buffer_room(writer, size_bytes);
    if (at) {
        memcpy(at, bytes, size_bytes);
        writer->size_bytes += size_bytes;
    }
}

static inline void put_byte(struct json_writer *writer, char byte) {
    char *at = buffer_room(writer, 1);
    if (at) {
        *at = byte;
        writer->size_bytes++;
    }
}

/* ---- order ---- */

static bool in_object(const struct json_writer *writer) {
    return writer->depth && (writer->objects >> (writer->depth - 1) & 1);
}

static void put_comma(struct json_writer *writer) {
    if (!writer->depth) {
        return;
    }
    uint64_t bit = (uint64_t)1 << (writer->depth - 1);
    if (writer->filled & bit) {
        put_byte(writer, ',');
    }
    writer->filled |= bit;
}

/* A value stands after its key, in an array, or alone at the top. */
static bool value_begins(struct json_writer *writer) {
    if (in_object(writer) != writer->key_pending || (!writer->depth && writer->size_bytes)) {
        writer->failed = true;
    }
    if (writer->failed) {
        return false;
    }
    if (!writer->key_pending) {
        put_comma(writer);
    }
    writer->key_pending = false;
    return true;
}

static void container_begin(struct json_writer *writer, bool object) {
    if (!value_begins(writer)) {
        return;
    }
    if (writer->depth == DEPTH_MOST) {
        writer->failed = true;
        return;
    }
    uint64_t bit = (uint64_t)1 << writer->depth++;
    writer->objects = object ? writer->objects | bit : writer->objects & ~bit;
    writer->filled &= ~bit;
    put_byte(writer, object ? '{' : '[');
}

static void container_end(struct json_writer *writer, bool object) {
    if (writer->failed || !writer->depth || writer->key_pending || in_object(writer) != object) {
        writer->failed = true;
        return;
    }
    writer->depth--;
    put_byte(writer, object ? '}' : ']');
}

void json_object(struct json_writer *writer) {
    container_begin(writer, true);
}

void json_object_end(struct json_writer *writer) {
    container_end(writer, true);
}

void json_array(struct json_writer *writer) {
    container_begin(writer, false);
}

void json_array_end(struct json_writer *writer) {
    container_end(writer, false);
}

/* ---- strings ---- */

/* How many bytes from `at` on stand for themselves; eight are looked at together. */
static size_t plain_size(const char *at, size_t size) {
    const uint64_t each = 0x0101010101010101, top = 0x8080808080808080;
    size_t i = 0;
    for (; i + 8 <= size; i += 8) {
        uint64_t eight;
        memcpy(&eight, at + i, 8);
        uint64_t quote = eight ^ each * '"', backslash = eight ^ each * '\\';
        uint64_t found =
            ((eight - each * 0x20) & ~eight) | ((quote - each) & ~quote) | ((backslash - each) & ~backslash);
        if (found & top) {
            break;
        }
    }
    while (i < size && (unsigned char)at[i] >= 0x20 && at[i] != '"' && at[i] != '\\') {
        i++;
    }
    return i;
}

/* What stands behind the backslash in a short escape; 0 = none. */
static char escape_letter(unsigned char c) {
    switch (c) {
    case '\b':
        return 'b';
    case '\t':
        return 't';
    case '\n':
        return 'n';
    case '\f':
        return 'f';
    case '\r':
        return 'r';
    case '"':
    case '\\':
        return (char)c;
    }
    return 0;
}

static void put_escaped(struct json_writer *writer, unsigned char c) {
    static const char hex[] = "0123456789abcdef";
    char letter = escape_letter(c);
    if (letter) {
        put(writer, (const char[]){'\\', letter}, 2);
    } else {
        put(writer, (const char[]){'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]}, 6);
    }
}

/* The rest of a string, from its first escape on. */
static void put_rest(struct json_writer *writer, struct text text) {
    while (text.size) {
        size_t size = plain_size(text.at, text.size);
        put(writer, text.at, size);
        if (size < text.size) {
            put_escaped(writer, (unsigned char)text.at[size++]);
        }
        text.at += size;
        text.size -= size;
    }
}

/* The string as RFC 8785 section 3.2.2.2 spells it, then `after` (at most one byte). One without escapes is
 * written at once. */
static void put_string(struct json_writer *writer, struct text text, const char *after) {
    size_t plain = plain_size(text.at, text.size);
    char *at = buffer_room(writer, text.size + 3);
    if (!at) {
        return;
    }
    *at++ = '"';
    memcpy(at, text.at, plain);
    at += plain;
    if (plain < text.size) {
        writer->size_bytes += plain + 1;
        put_rest(writer, (struct text){text.at + plain, text.size - plain});
        put_byte(writer, '"');
        put(writer, after, strlen(after));
        return;
    }
    *at++ = '"';
    if (*after) {
        *at++ = *after;
    }
    writer->size_bytes = (size_t)(at - writer->bytes);
}

void json_key(struct json_writer *writer, const char *key) {
    if (writer->failed || !in_object(writer) || writer->key_pending) {
        writer->failed = true;
        return;
    }
    writer->key_pending = true;
    put_comma(writer);
    put_string(writer, text_of(key), ":");
}

void json_text(struct json_writer *writer, struct text text) {
    if (!value_begins(writer)) {
        return;
    }
    if (text.at) {
        put_string(writer, text, "");
    } else {
        put(writer, "null", 4);
    }
}

void json_string(struct json_writer *writer, const char *string) {
    json_text(writer, text_of(string));
}

/* ---- the rest ---- */

void json_int(struct json_writer *writer, int64_t value) {
    char digits[24];
    size_t at = sizeof(digits);
    uint64_t left = value < 0 ? -(uint64_t)value : (uint64_t)value;
    do {
        digits[--at] = (char)('0' + left % 10);
        left /= 10;
    } while (left);
    if (value < 0) {
        digits[--at] = '-';
    }
    json_raw(writer, (struct text){digits + at, sizeof(digits) - at});
}

void json_bool(struct json_writer *writer, bool value) {
    json_raw(writer, value ? TEXT("true") : TEXT("false"));
}

void json_null(struct json_writer *writer) {
    json_text(writer, TEXT_ABSENT);
}

void json_raw(struct json_writer *writer, struct text json) {
    if (!json.at || !json.size) {
        writer->failed = true;
    } else if (value_begins(writer)) {
        put(writer, json.at, json.size);
    }
}

struct text json_writer_text(struct json_writer *writer) {
    if (writer->failed || writer->depth || !writer->size_bytes) {
        return TEXT_ABSENT;
    }
    return (struct text){writer->bytes, writer->size_bytes};
}

struct text json_writer_take(struct json_writer *writer, struct arena *arena) {
    return arena_text(arena, json_writer_text(writer));
}
