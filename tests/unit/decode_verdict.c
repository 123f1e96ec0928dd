/* Our decoder's verdict on generated records; one line on stdout is a record's reason by name.
 *   decode_verdict                      for schemas.py: one line "topic TAB type TAB key TAB data" on stdin
 * is one record in binary mode, with an envelope that is fine decode_verdict --records POLICY     for
 * judge/selftest.py: "topic TAB timestamp in ms, or -1 TAB key TAB value {TAB name TAB value}*", each key,
 * value and header's value in hexadecimal, or - where there is none
 */
#include "consumer/decode.h"

#include <sodium.h>
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

#define HEADERS_MOST 32

/* Absent where it is "-"; in the arena. */
static struct text hexadecimal(struct text column, struct arena *arena) {
    if (column.size == 1 && column.at[0] == '-')
        return TEXT_ABSENT;
    char *bytes = arena_take(arena, column.size / 2 + 1);
    size_t size = 0;
    if (!bytes || sodium_hex2bin((unsigned char *)bytes, column.size / 2 + 1, column.at, column.size, NULL,
                                 &size, NULL) != 0) {
        fprintf(stderr, "decode_verdict: that is not hexadecimal\n");
        exit(EXIT_FAILURE);
    }
    return (struct text){bytes, size};
}

static enum outcome verdict_whole(struct text line, struct decoder *decoder, struct arena *arena,
                                  struct refusal *refusal) {
    struct record_header headers[HEADERS_MOST];
    struct record record = {.topic = column(&line), .headers = headers};
    record.timestamp_ms = strtoll(column(&line).at, NULL, 10);
    record.key = hexadecimal(column(&line), arena);
    record.value = hexadecimal(column(&line), arena);
    while (line.size && record.header_count < HEADERS_MOST) {
        struct record_header *header = &headers[record.header_count++];
        header->name = column(&line);
        header->value = hexadecimal(column(&line), arena);
    }
    struct event event;
    uint32_t unknown_fields;
    return decode_record(&record, decoder, arena, &event, refusal, &unknown_fields);
}

static void complain(void *context, const char *path, const char *message) {
    (void)context;
    fprintf(stderr, "decode_verdict: policy: %s: %s\n", path, message);
}

static struct policy *policy_given(int argc, char **argv) {
    struct err err;
    return argc == 3 ? policy_read(argv[2], complain, NULL, &err) : calloc(1, sizeof(struct policy));
}

int main(int argc, char **argv) {
    /* without recipients when none is given: reasons past the data are not compared then */
    struct policy *policy = policy_given(argc, argv);
    static const uint8_t digest_key[DIGEST_KEY_BYTES];
    struct decoder decoder;
    struct arena arena;
    char *line = NULL;
    size_t room = 0;
    int status = EXIT_FAILURE;
    arena_init(&arena, ARENA_BYTES);
    if (!policy || decoder_init(&decoder, policy, digest_key) != OK) {
        return EXIT_FAILURE;
    }
    for (ssize_t size; (size = getline(&line, &room, stdin)) > 0;) {
        size_t length = (size_t)size - (line[size - 1] == '\n');
        struct refusal refusal;
        struct text text = {line, length};
        if ((argc == 3 ? verdict_whole : verdict)(text, &decoder, &arena, &refusal) != OK) {
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
    argc == 3 ? policy_free(policy) : free(policy);
    return status;
}
