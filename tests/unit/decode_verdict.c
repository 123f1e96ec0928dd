/* Our decoder's verdict on generated events, for schemas.py: one line "topic TAB type TAB key TAB data" on
 * stdin is one record in binary mode, with an envelope that is fine; one line on stdout is its reason's name.
 */
#include "consumer/decode.h"

#include <stdio.h>
#include <stdlib.h>

#define ARENA_BYTES ((size_t)16 * 1024 * 1024)

/* Up to the next tab, or the line's end; moves *line behind it. */
static struct text column(struct text *line) {
    const char *tab = memchr(line->at, '\t', line->size);
    struct text column = {line->at, tab ? (size_t)(tab - line->at) : line->size};
    size_t taken = column.size + (tab != NULL);
    line->at += taken;
    line->size -= taken;
    return column;
}

static enum outcome verdict(struct text line, struct decoder *decoder, struct arena *arena,
                            struct refusal *refusal) {
    struct text topic = column(&line), type = column(&line), key = column(&line);
    const struct record_header headers[] = {
        {TEXT("ce_specversion"), TEXT("1.0")},           {TEXT("ce_id"), TEXT("1")},
        {TEXT("ce_source"), TEXT("urn:test")},           {TEXT("ce_type"), type},
        {TEXT("ce_time"), TEXT("2026-11-01T12:00:00Z")},
    };
    const struct record record = {
        .topic = topic,
        .timestamp_ms = INT64_C(1793534400000),
        .key = key,
        .value = line,
        .headers = headers,
        .header_count = sizeof(headers) / sizeof(*headers),
    };
    struct event event;
    uint32_t unknown_fields;
    return decode_record(&record, decoder, arena, &event, refusal, &unknown_fields);
}

int main(void) {
    static const struct policy policy; /* without recipients: reasons past the data are not compared */
    static const uint8_t digest_key[DIGEST_KEY_BYTES];
    struct decoder decoder;
    struct arena arena;
    char *line = NULL;
    size_t room = 0;
    int status = EXIT_FAILURE;
    arena_init(&arena, ARENA_BYTES);
    if (decoder_init(&decoder, &policy, digest_key) != OK) {
        goto out;
    }
    for (ssize_t size; (size = getline(&line, &room, stdin)) > 0;) {
        size_t length = (size_t)size - (line[size - 1] == '\n');
        struct refusal refusal;
        if (verdict((struct text){line, length}, &decoder, &arena, &refusal) != OK) {
            fprintf(stderr, "decode_verdict: the arena is full\n");
            goto out;
        }
        printf("%s\n", reason_names[refusal.reason]);
        arena_reset(&arena);
    }
    status = EXIT_SUCCESS;
out:
    free(line);
    decoder_release(&decoder);
    arena_release(&arena);
    return status;
}
