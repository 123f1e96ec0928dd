/* Two parsers, one verdict: whatever our strict guard takes must be JSON to an independent parser (Jansson)
 * too, and what that refuses we refuse. Numbers beyond a double and very deep texts are a matter of taste and
 * left out. The texts of what is taken can be stored, also normalised; and all of it is kept for PostgreSQL
 * to judge (postgres.py). */
/* The two libraries call five things by the same name, and their functions too: nothing of core/json_write.h
 * may be used here. */
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
#include "tests/fuzz/common.h"

#include "core/json_read.h"
#include "core/nfc.h"
#include <stdlib.h>
#include <string.h>

#define DEPTH_MOST 100

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t room);

static struct arena arena;

static void check_text(struct text text) {
    hold(text_storable(text), "a text of accepted JSON can be stored");
    struct text normal = nfc_text(&arena, text);
    hold(text_storable(normal), "so can it when it is normalised");
    hold(text_equal(nfc_text(&arena, normal), normal), "normalised twice it is the same");
    accepted_text(text);
    if (!text_equal(text, normal))
        accepted_text(normal);
}

static void check_texts(const struct json *value) {
    if (value->type == JSON_STRING)
        check_text(value->text);
    if (text_present(value->key))
        check_text(value->key);
    for (const struct json *child = value->first; child; child = child->next)
        check_texts(child);
}

/* ---- the verdict ---- */

/* In too little memory nothing is said, or the same. */
static void parse_in_little(struct text text, enum json_fault fault) {
    static struct arena little;
    struct json *root;
    arena_release(&little);
    arena_init(&little, 64 + text.size * 13 % 4096);
    enum json_fault other = json_parse(text, DEPTH_MOST, &little, &root);
    hold(other == JSON_NO_MEMORY || other == fault, "in too little memory a text is put off or judged alike");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct text text = {(const char *)data, size};
    struct json *root;
    json_error_t error;
    if (size && memchr(data, 0, size)) /* Jansson takes a raw zero byte for the end; ours refuses it */
        return 0;
    if (!arena.limit_bytes)
        arena_init(&arena, (size_t)16 << 20);
    enum json_fault fault = json_parse(text, DEPTH_MOST, &arena, &root);
    json_t *other = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    bool taste = fault == JSON_TOO_DEEP || fault == JSON_NO_MEMORY ||
                 (!other && (json_error_code(&error) == json_error_numeric_overflow ||
                             json_error_code(&error) == json_error_stack_overflow));
    hold(taste || (fault == JSON_FINE) == (other != NULL), "both parsers say the same");
    hold((fault == JSON_FINE) == (root != NULL), "there is a tree just when the text is fine");
    json_decref(other);
    if (root) {
        check_texts(root);
        accepted_json(text);
    }
    parse_in_little(text, fault);
    arena_reset(&arena);
    return 0;
}

/* Every other time a value or a member as a whole. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned seed) {
    size_t mutated = seed % 2 ? mutate_json((char *)data, size, room, seed / 2) : 0;
    return mutated ? mutated : LLVMFuzzerMutate(data, size, room);
}
