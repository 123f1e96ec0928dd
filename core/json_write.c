/* JSON text from calls: yajl's generator writing into a buffer of ours that is wiped. */
#include "core/json_write.h"

#include <stdlib.h>
#include <yajl/yajl_gen.h>

#define DEPTH_MOST 64 /* bits of `objects` */
#define BUFFER_FIRST_BYTES 4096
#define BUFFER_MOST_BYTES ((size_t)64 * 1024 * 1024)

struct json_writer {
    yajl_gen generator;
    char *bytes;
    size_t size_bytes, room_bytes;
    uint64_t objects; /* bit d: the container at depth d is an object */
    unsigned depth;
    bool key_pending; /* a key waits for its value */
    bool failed;
};

/* yajl prints through this. A buffer that grows is moved by hand, so that the old one can be wiped. */
static void writer_print(void *context, const char *bytes, size_t size_bytes) {
    struct json_writer *writer = context;
    if (size_bytes > writer->room_bytes - writer->size_bytes) {
        size_t room_bytes = writer->room_bytes;
        while (room_bytes - writer->size_bytes < size_bytes && room_bytes < BUFFER_MOST_BYTES) {
            room_bytes *= 2;
        }
        char *moved = room_bytes - writer->size_bytes < size_bytes ? NULL : malloc(room_bytes);
        if (!moved) {
            writer->failed = true;
            return;
        }
        memcpy(moved, writer->bytes, writer->size_bytes);
        explicit_bzero(writer->bytes, writer->size_bytes);
        free(writer->bytes);
        writer->bytes = moved;
        writer->room_bytes = room_bytes;
    }
    memcpy(writer->bytes + writer->size_bytes, bytes, size_bytes);
    writer->size_bytes += size_bytes;
}

struct json_writer *json_writer_new(void) {
    struct json_writer *writer = calloc(1, sizeof(*writer));
    if (!writer) {
        return NULL;
    }
    writer->generator = yajl_gen_alloc(NULL);
    writer->bytes = malloc(BUFFER_FIRST_BYTES);
    writer->room_bytes = BUFFER_FIRST_BYTES;
    if (!writer->generator || !writer->bytes) {
        json_writer_free(writer);
        return NULL;
    }
    yajl_gen_config(writer->generator, yajl_gen_print_callback, writer_print, writer);
    return writer;
}

void json_writer_free(struct json_writer *writer) {
    if (!writer) {
        return;
    }
    if (writer->generator) {
        yajl_gen_free(writer->generator);
    }
    if (writer->bytes) {
        explicit_bzero(writer->bytes, writer->size_bytes);
        free(writer->bytes);
    }
    free(writer);
}

void json_writer_reset(struct json_writer *writer) {
    yajl_gen_reset(writer->generator, NULL);
    explicit_bzero(writer->bytes, writer->size_bytes);
    writer->size_bytes = 0;
    writer->objects = 0;
    writer->depth = 0;
    writer->key_pending = false;
    writer->failed = false;
}

static void writer_check(struct json_writer *writer, yajl_gen_status status) {
    if (status != yajl_gen_status_ok) {
        writer->failed = true;
    }
}

/* Inside an object a value needs its key; yajl itself would take the value for a key. */
static bool value_begins(struct json_writer *writer) {
    bool in_object = writer->depth && (writer->objects >> (writer->depth - 1) & 1);
    if (in_object != writer->key_pending) {
        writer->failed = true;
    }
    writer->key_pending = false;
    return !writer->failed;
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
    writer_check(writer,
                 object ? yajl_gen_map_open(writer->generator) : yajl_gen_array_open(writer->generator));
}

static void container_end(struct json_writer *writer, bool object) {
    if (writer->failed || !writer->depth || writer->key_pending ||
        (writer->objects >> (writer->depth - 1) & 1) != object) {
        writer->failed = true;
        return;
    }
    writer->depth--;
    writer_check(writer,
                 object ? yajl_gen_map_close(writer->generator) : yajl_gen_array_close(writer->generator));
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

void json_key(struct json_writer *writer, const char *key) {
    bool in_object = writer->depth && (writer->objects >> (writer->depth - 1) & 1);
    if (writer->failed || !in_object || writer->key_pending) {
        writer->failed = true;
        return;
    }
    writer->key_pending = true;
    writer_check(writer, yajl_gen_string(writer->generator, (const unsigned char *)key, strlen(key)));
}

/* yajl writes the control characters without a short escape as \u001F, RFC 8785 wants \u001f. */
static bool needs_lower_escape(struct text text) {
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.at[i];
        if (c < 0x20 && (c & 0x0f) > 9 && c != '\n' && c != '\f' && c != '\r') {
            return true;
        }
    }
    return false;
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

/* The string as RFC 8785 section 3.2.2.2 spells it, handed to yajl ready made. */
static void text_escaped(struct json_writer *writer, struct text text) {
    static const char hex[] = "0123456789abcdef";
    char *escaped = malloc(text.size * 6 + 2);
    if (!escaped) {
        writer->failed = true;
        return;
    }
    size_t size = 0;
    escaped[size++] = '"';
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.at[i];
        char letter = escape_letter(c);
        if (letter) {
            escaped[size++] = '\\';
            escaped[size++] = letter;
        } else if (c < 0x20) {
            memcpy(escaped + size, "\\u00", 4);
            escaped[size + 4] = hex[c >> 4];
            escaped[size + 5] = hex[c & 15];
            size += 6;
        } else {
            escaped[size++] = (char)c;
        }
    }
    escaped[size++] = '"';
    writer_check(writer, yajl_gen_number(writer->generator, escaped, size));
    explicit_bzero(escaped, size);
    free(escaped);
}

void json_text(struct json_writer *writer, struct text text) {
    if (!value_begins(writer)) {
        return;
    }
    if (!text.at) {
        writer_check(writer, yajl_gen_null(writer->generator));
    } else if (needs_lower_escape(text)) {
        text_escaped(writer, text);
    } else {
        writer_check(writer, yajl_gen_string(writer->generator, (const unsigned char *)text.at, text.size));
    }
}

void json_string(struct json_writer *writer, const char *string) {
    json_text(writer, text_of(string));
}

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
    if (value_begins(writer)) {
        writer_check(writer, yajl_gen_bool(writer->generator, value));
    }
}

void json_null(struct json_writer *writer) {
    json_text(writer, TEXT_ABSENT);
}

void json_raw(struct json_writer *writer, struct text json) {
    if (!json.at || !json.size) {
        writer->failed = true;
    } else if (value_begins(writer)) {
        writer_check(writer, yajl_gen_number(writer->generator, json.at, json.size));
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
