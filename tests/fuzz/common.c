/* What the fuzz targets share. */
#include "tests/fuzz/common.h"

#include "core/json_read.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ACCEPTED_MOST ((size_t)48 << 20)
#define SAMPLE 64 /* of a campaign's inputs one in so many is kept */

void hold(bool holds, const char *claim) {
    if (holds)
        return;
    fprintf(stderr, "does not hold: %s\n", claim);
    abort();
}

struct text after_first(const uint8_t *data, size_t size) {
    return (struct text){(const char *)data + 1, size - 1};
}

/* ---- what was accepted ---- */

static void keep(char kind, struct text text) {
    static FILE *file;
    static size_t kept_bytes;
    static bool asked, whole;
    if (!asked) {
        const char *path = getenv("KUNDREGISTER_FUZZ_ACCEPTED");
        asked = true;
        whole = getenv("KUNDREGISTER_FUZZ_WHOLE") != NULL;
        file = path ? fopen(path, "ae") : NULL;
    }
    uint32_t hash = 2166136261u, size = (uint32_t)text.size;
    for (size_t i = 0; file && i < text.size; i++)
        hash = (hash ^ (unsigned char)text.at[i]) * 16777619u;
    if (!file || kept_bytes > ACCEPTED_MOST || (!whole && (hash ^ hash >> 16) % SAMPLE != 0))
        return;
    fwrite(&kind, 1, 1, file);
    fwrite(&size, sizeof size, 1, file);
    fwrite(text.at, 1, text.size, file);
    fflush(file); /* a run ends by its time limit, or by a finding */
    kept_bytes += text.size + 5;
}

void accepted_json(struct text json) {
    keep('j', json);
}

void accepted_text(struct text text) {
    keep('t', text);
}

bool text_storable(struct text text) {
    return utf8_valid(text) && !(text.size && memchr(text.at, '\0', text.size));
}
