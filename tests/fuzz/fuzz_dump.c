/* What the program reads back of what it has written down itself, and what a restored or damaged server may
 * give it instead: tombstones' bodies (topic and vault), the relay's positions, extra headers of the outbox,
 * sealed commands, what the vault was told of an erased person, whatever our JSON writer wrote. (Lines of
 * `dump` are read by nobody.) Each refuses or takes; what it takes it writes and reads alike. The first byte
 * chooses. */
#include "tests/fuzz/common.h"

#include "consumer/erase.h"
#include "consumer/remember_record.h"
#include "core/command_seal.h"
#include "core/json_read.h"
#include "core/outbox_headers.h"
#include "producer/position.h"
#include <stdio.h>
#include <string.h>

#define DEPTH_MOST 60 /* the writer goes no deeper than 64 */

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t room);

static struct arena arena, other;

/* ---- tombstones: scanned and parsed, one result ---- */

static void check_tombstone(struct text body) {
    struct remember_record scanned = {.cut_count = 0}, parsed = {.cut_count = 0};
    struct json *root;
    bool scans = remember_scan(body, &scanned);
    enum outcome outcome = remember_parse(body, &arena, &parsed);
    hold(outcome != RETRY, "there is memory");
    for (size_t i = 0; outcome == OK && i < parsed.cut_count; i++)
        hold(parsed.cuts[i].cut_us >= 0 && parsed.cuts[i].categories, "a cut has a time and categories");
    /* The scan does not look for repeated keys and the like: of JSON it says what the parser says. */
    if (!scans || json_parse(body, 8, &other, &root) != JSON_FINE)
        return;
    hold(outcome == OK, "what is scanned is parsed");
    hold(memcmp(scanned.subject, parsed.subject, SUBJECT_BYTES) == 0 && scanned.cut_count == parsed.cut_count,
         "and says the same");
    for (size_t i = 0; i < scanned.cut_count; i++)
        hold(scanned.cuts[i].cut_us == parsed.cuts[i].cut_us &&
                 scanned.cuts[i].categories == parsed.cuts[i].categories &&
                 scanned.cuts[i].by_request == parsed.cuts[i].by_request,
             "of each cut");
}

/* ---- positions ---- */

static void check_position(struct text value) {
    struct relay_mark one = {.seq = 0}, two = {.seq = 0};
    struct relay_marks marks = {NULL, 0, 0};
    struct err err;
    char buffer[POSITION_VALUE_BYTES];
    enum outcome outcome = position_read(TEXT("disclosure.posti.v1"), value, &arena, &one);
    hold(outcome != RETRY, "there is memory");
    hold(position_merge(&marks, TEXT("t"), value, &arena, &err) == (outcome == OK ? OK : FATAL),
         "it is merged just when it is one");
    if (outcome != OK)
        return;
    hold(one.seq >= 1, "a position is a row's number");
    struct text written = position_write(&one, buffer);
    hold(position_read(one.topic, written, &arena, &two) == OK && two.seq == one.seq &&
             memcmp(two.row_id, one.row_id, ROW_ID_BYTES) == 0,
         "a position is written and read alike");
}

/* ---- headers ---- */

static void check_headers(struct text packed) {
    struct record_header headers[OUTBOX_HEADERS_MAX];
    int count = outbox_headers_unpack(packed, headers);
    hold(count >= -1 && count <= OUTBOX_HEADERS_MAX, "so many headers, or none of ours");
    if (count >= 0)
        hold(text_equal(outbox_headers_pack(&arena, headers, (size_t)count), packed),
             "headers are packed and unpacked alike");
}

/* ---- commands: what is inside a seal of ours ---- */

static void check_command(struct text plain) {
    static const struct seal_key key = {.category = CATEGORY_REQUEST, .key = {7}};
    static struct sealer *sealer;
    const struct seal_place place = {"command", "body", TEXT("q1"), TEXT("id"), -1};
    struct command_tie tie = {0};
    struct err err;
    sealer = sealer ? sealer : sealer_new();
    struct text sealed = seal_cell(sealer, &key, &place, plain, &arena);
    enum outcome outcome = command_open(&key, sealed, TEXT("q1"), TEXT("id"), &arena, &tie, &err);
    hold(outcome == OK || outcome == FATAL, "a command is known or not");
    hold(outcome != OK || (text_is(tie.request_id, "q1") && text_storable(tie.person)),
         "a command names its request and a person");
    hold(command_open(&key, sealed, TEXT("q2"), TEXT("id"), &arena, &tie, &err) == FATAL,
         "a command is of one request only");
}

/* ---- what the vault was told ---- */

static void check_told(struct text told) {
    static struct json_writer *writer;
    const struct erase_cut cut = {.person = TEXT("c1"),
                                  .subject = TEXT("s1"),
                                  .cause = TEXT("request"),
                                  .categories = TEXT("profile,delivery"),
                                  .cut_us = 1000000,
                                  .generation = GENERATION_FIRST,
                                  .valid = true};
    struct tombstone_row row = {.told = told};
    struct json *root;
    struct err err;
    writer = writer ? writer : json_writer_new();
    enum outcome outcome = erase_body(writer, &arena, &cut, 1, TEXT_ABSENT, NULL, 0, &row, &err);
    hold(outcome == OK || outcome == POISON, "a told body is taken or damaged");
    if (outcome != OK)
        return;
    struct text body = row.body;
    hold(json_parse(body, 0, &other, &root) == JSON_FINE, "the new body is JSON");
    row = (struct tombstone_row){.told = body};
    hold(erase_body(writer, &arena, &cut, 1, TEXT_ABSENT, NULL, 0, &row, &err) == OK &&
             text_equal(row.body, body),
         "told again it is the same");
}

/* ---- JSON, written by our own writer and read again ---- */

static void write_value(struct json_writer *writer, const struct json *value) {
    bool object = value->type == JSON_OBJECT;
    if (object || value->type == JSON_ARRAY) {
        object ? json_object(writer) : json_array(writer);
        for (const struct json *child = value->first; child; child = child->next) {
            char key[4096];
            if (object) {
                snprintf(key, sizeof key, "%.*s", TEXT_ARGS(child->key));
                json_key(writer, key);
            }
            write_value(writer, child);
        }
        object ? json_object_end(writer) : json_array_end(writer);
    } else if (value->type == JSON_STRING) {
        json_text(writer, value->text);
    } else if (value->type == JSON_INTEGER) {
        json_int(writer, value->integer);
    } else if (value->type == JSON_NUMBER) {
        json_raw(writer, value->text);
    } else if (value->type == JSON_BOOL) {
        json_bool(writer, value->boolean);
    } else {
        json_null(writer);
    }
}

static bool same_tree(const struct json *one, const struct json *two) {
    const struct json *a = one->first, *b = two->first;
    if (one->type != two->type || one->count != two->count || one->boolean != two->boolean ||
        one->integer != two->integer || !text_equal(one->key, two->key) ||
        (one->type == JSON_STRING && !text_equal(one->text, two->text)))
        return false;
    for (; a && b; a = a->next, b = b->next)
        if (!same_tree(a, b))
            return false;
    return !a && !b;
}

static void check_written(struct text json) {
    static struct json_writer *writer;
    struct json *root, *read;
    if (json_parse(json, DEPTH_MOST, &arena, &root) != JSON_FINE)
        return;
    writer = writer ? writer : json_writer_new();
    json_writer_reset(writer);
    write_value(writer, root);
    struct text text = json_writer_text(writer);
    hold(text_present(text), "what was read can be written");
    hold(json_parse(text, DEPTH_MOST, &other, &read) == JSON_FINE && same_tree(root, read),
         "written and read again it is the same");
    hold(json_depth(root) <= DEPTH_MOST, "it is no deeper than was allowed");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!size)
        return 0;
    if (!arena.limit_bytes) {
        arena_init(&arena, (size_t)16 << 20);
        arena_init(&other, (size_t)16 << 20);
    }
    struct text text = after_first(data, size);
    switch (data[0] % 6) {
    case 0:
        check_tombstone(text);
        break;
    case 1:
        check_position(text);
        break;
    case 2:
        check_headers(text);
        break;
    case 3:
        check_command(text);
        break;
    case 4:
        check_told(text);
        break;
    default:
        check_written(text);
        break;
    }
    arena_reset(&arena);
    arena_reset(&other);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned seed) {
    size_t mutated = size > 1 && seed % 2 ? mutate_json((char *)data + 1, size - 1, room - 1, seed / 2) : 0;
    return mutated ? mutated + 1 : LLVMFuzzerMutate(data, size, room);
}
