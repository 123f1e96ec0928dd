/* Two parsers, one verdict: whatever our strict guard takes must be JSON to an independent parser (Jansson)
 * too, and what that refuses we refuse. Numbers beyond a double and very deep texts are a matter of taste and
 * left out. */
/* The two libraries call five things by the same name. */
#define JSON_OBJECT JANSSON_OBJECT
#define JSON_ARRAY JANSSON_ARRAY
#define JSON_STRING JANSSON_STRING
#define JSON_INTEGER JANSSON_INTEGER
#define JSON_NULL JANSSON_NULL
#include <jansson.h>
#undef JSON_OBJECT
#undef JSON_ARRAY
#undef JSON_STRING
#undef JSON_INTEGER
#undef JSON_NULL
#include "core/json_read.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define DEPTH_MOST 100

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct arena arena;
    struct json *root;
    json_error_t error;
    if (size && memchr(data, 0, size)) /* Jansson takes a raw zero byte for the end; ours refuses it */
        return 0;
    if (!arena.limit_bytes)
        arena_init(&arena, 16 << 20);
    enum json_fault fault = json_parse((struct text){(const char *)data, size}, DEPTH_MOST, &arena, &root);
    json_t *other = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    bool taste = fault == JSON_TOO_DEEP || fault == JSON_NO_MEMORY ||
                 (!other && (json_error_code(&error) == json_error_numeric_overflow ||
                             json_error_code(&error) == json_error_stack_overflow));
    if (!taste && (fault == JSON_FINE) != (other != NULL))
        abort();
    json_decref(other);
    arena_reset(&arena);
    return 0;
}
