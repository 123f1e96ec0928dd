/* From a record's bytes to CloudEvents attributes and data, binary or structured. */
#include "consumer/decode_envelope.h"

#include "consumer/decode.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define ATTRIBUTE_BYTES 256 /* of id, source, type */
#define SEQUENCE_DIGITS 20
#define PREFIX_BYTES 5 /* Confluent: 0x00 and a schema id of four bytes */
#define PAIRWISE_MOST 16

void refuse(struct refusal *refusal, enum reason reason, const char *detail) {
    if (refusal->reason != REASON_NONE && refusal->reason <= reason) {
        return;
    }
    refusal->reason = reason;
    snprintf(refusal->detail, sizeof(refusal->detail), "%s", detail);
}

/* ---- headers ---- */

static bool header_is_attribute(const struct record_header *header) {
    return header->name.size >= 3 && memcmp(header->name.at, "ce_", 3) == 0;
}

/* Without regard to case. */
static bool text_like(struct text text, const char *word) {
    return text.at && text.size == strlen(word) && strncasecmp(text.at, word, text.size) == 0;
}

/* The last content-type, as Kafka's clients read a repeated header. */
static struct text content_type(const struct record *record) {
    struct text type = TEXT_ABSENT;
    for (size_t i = 0; i < record->header_count; i++) {
        if (text_like(record->headers[i].name, "content-type")) {
            type = record->headers[i].value;
        }
    }
    return type;
}

/* "Application/JSON ; charset=utf-8" -> "Application/JSON" */
static struct text media_type(struct text type) {
    const char *end = type.at ? memchr(type.at, ';', type.size) : NULL;
    if (end) {
        type.size = (size_t)(end - type.at);
    }
    while (type.size && (type.at[type.size - 1] == ' ' || type.at[type.size - 1] == '\t')) {
        type.size--;
    }
    while (type.size && (type.at[0] == ' ' || type.at[0] == '\t')) {
        type.at++;
        type.size--;
    }
    return type;
}

/* JSON by its subtype or by its suffix (RFC 6839). */
static bool media_type_is_json(struct text type) {
    const char *slash = type.size ? memchr(type.at, '/', type.size) : NULL;
    if (!slash || slash == type.at) {
        return false;
    }
    struct text subtype = {slash + 1, type.size - (size_t)(slash + 1 - type.at)};
    if (text_like(subtype, "json")) {
        return true;
    }
    return subtype.size > 5 && strncasecmp(subtype.at + subtype.size - 5, "+json", 5) == 0;
}

static bool texts_valid_utf8(const struct record *record) {
    if (record->key.at && !utf8_valid(record->key)) {
        return false;
    }
    for (size_t i = 0; i < record->header_count; i++) {
        const struct record_header *header = &record->headers[i];
        if (header_is_attribute(header) &&
            (!utf8_valid(header->name) || (header->value.at && !utf8_valid(header->value)))) {
            return false;
        }
    }
    return true;
}

static bool text_holds_nul(struct text text) {
    return text.size && memchr(text.at, '\0', text.size) != NULL;
}

static bool texts_hold_nul(const struct record *record) {
    if (text_holds_nul(record->key)) {
        return true;
    }
    for (size_t i = 0; i < record->header_count; i++) {
        const struct record_header *header = &record->headers[i];
        if (header_is_attribute(header) && (text_holds_nul(header->name) || text_holds_nul(header->value))) {
            return true;
        }
    }
    return false;
}

static int name_compare(const void *a, const void *b) {
    return text_compare(*(const struct text *)a, *(const struct text *)b);
}

/* A record may carry tens of thousands of headers to do harm: many are sorted. */
static enum outcome attributes_repeat(const struct record *record, struct arena *scratch, bool *repeat) {
    struct text few[PAIRWISE_MOST], *names = few;
    size_t count = 0;
    *repeat = false;
    if (record->header_count > PAIRWISE_MOST) {
        names = ARENA_ARRAY(scratch, struct text, record->header_count);
        if (!names) {
            return RETRY;
        }
    }
    for (size_t i = 0; i < record->header_count; i++) {
        if (header_is_attribute(&record->headers[i])) {
            names[count++] = record->headers[i].name;
        }
    }
    if (count > PAIRWISE_MOST) {
        qsort(names, count, sizeof(*names), name_compare);
        for (size_t i = 1; i < count; i++) {
            *repeat |= text_equal(names[i - 1], names[i]);
        }
        return OK;
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t j = i + 1; j < count; j++) {
            *repeat |= text_equal(names[i], names[j]);
        }
    }
    return OK;
}

/* ---- attributes ---- */

struct attributes {
    struct text specversion, id, source, type, time, sequence, content_type;
};

static struct attributes attributes_binary(const struct record *record) {
    struct attributes attributes = {.content_type = content_type(record)};
    const struct {
        const char *name;
        struct text *value;
    } wanted[] = {
        {"specversion", &attributes.specversion},
        {"id", &attributes.id},
        {"source", &attributes.source},
        {"type", &attributes.type},
        {"time", &attributes.time},
        {"sequence", &attributes.sequence},
    };
    for (size_t i = 0; i < record->header_count; i++) {
        const struct record_header *header = &record->headers[i];
        struct text name = {header->name.at + 3, header->name.size - 3};
        for (size_t j = 0; header_is_attribute(header) && j < sizeof(wanted) / sizeof(*wanted); j++) {
            if (name.size && name.at[0] == wanted[j].name[0] && text_is(name, wanted[j].name)) {
                *wanted[j].value = header->value;
            }
        }
    }
    return attributes;
}

/* A string; an empty text, valid for no attribute, where it is of another type; null is as good as absent
 * (JSON format, section 2.1). */
static struct text attribute_member(const struct json *root, const char *name) {
    const struct json *member = json_member(root, name);
    if (!member || member->type == JSON_NULL) {
        return TEXT_ABSENT;
    }
    return member->type == JSON_STRING ? member->text : TEXT("");
}

static struct attributes attributes_structured(const struct json *root) {
    return (struct attributes){
        .specversion = attribute_member(root, "specversion"),
        .id = attribute_member(root, "id"),
        .source = attribute_member(root, "source"),
        .type = attribute_member(root, "type"),
        .time = attribute_member(root, "time"),
        .sequence = attribute_member(root, "sequence"),
        .content_type = attribute_member(root, "datacontenttype"),
    };
}

static bool sequence_valid(struct text sequence) {
    if (!sequence.at) {
        return true;
    }
    for (size_t i = 0; i < sequence.size; i++) {
        if (sequence.at[i] < '0' || sequence.at[i] > '9') {
            return false;
        }
    }
    return sequence.size >= 1 && sequence.size <= SEQUENCE_DIGITS;
}

static bool attribute_fits(struct text attribute) {
    return attribute.size >= 1 && attribute.size <= ATTRIBUTE_BYTES;
}

/* What is wrong, by name; NULL = nothing. */
static const char *attributes_fault(const struct attributes *attributes, const struct json *data) {
    if (!text_is(attributes->specversion, "1.0")) {
        return "specversion";
    }
    if (!attribute_fits(attributes->id)) {
        return "id";
    }
    if (!attribute_fits(attributes->source)) {
        return "source";
    }
    if (!attribute_fits(attributes->type)) {
        return "type";
    }
    if (!sequence_valid(attributes->sequence)) {
        return "sequence";
    }
    if (attributes->content_type.at && !media_type_is_json(media_type(attributes->content_type))) {
        return "content type";
    }
    return data && data->type == JSON_OBJECT ? NULL : "data";
}

/* ---- the whole ---- */

static enum reason fault_reason(enum json_fault fault) {
    static const enum reason reasons[] = {
        [JSON_FINE] = REASON_NONE,         [JSON_NOT_UTF8] = REASON_NOT_UTF8,
        [JSON_NOT_JSON] = REASON_NOT_JSON, [JSON_TWO_DOCUMENTS] = REASON_TWO_DOCUMENTS,
        [JSON_TOO_DEEP] = REASON_TOO_DEEP, [JSON_DUPLICATE_KEY] = REASON_DUPLICATE_KEY,
        [JSON_NUL] = REASON_NUL_CHARACTER, [JSON_LONE_SURROGATE] = REASON_LONE_SURROGATE,
    };
    return reasons[fault];
}

/* Reasons 1 to 9: the bytes. *root is the value's JSON when none is noted. */
static enum outcome value_read(const struct record *record, bool structured, struct arena *scratch,
                               const struct json **root, struct refusal *refusal) {
    struct text value = record->value;
    size_t most = text_is(record->topic, "shop.order.v1") ? DECODE_ORDER_VALUE_BYTES : DECODE_VALUE_BYTES;
    *root = NULL;
    if (!value.at) {
        refuse(refusal, REASON_TOMBSTONE, "");
        return OK;
    }
    if (value.size > most) {
        refuse(refusal, REASON_TOO_LARGE, "");
        return OK;
    }
    if (value.size >= PREFIX_BYTES && value.at[0] == '\0') {
        value.at += PREFIX_BYTES;
        value.size -= PREFIX_BYTES;
    }
    struct json *parsed;
    /* in structured mode depth counts from each attribute's value, one level down */
    enum json_fault fault = json_parse(value, structured ? DECODE_DEPTH + 1 : DECODE_DEPTH, scratch, &parsed);
    if (fault == JSON_NO_MEMORY) {
        return RETRY;
    }
    *root = parsed;
    if (fault != JSON_FINE) {
        refuse(refusal, fault_reason(fault), "value");
    }
    if (!texts_valid_utf8(record)) {
        refuse(refusal, REASON_NOT_UTF8, "key or header");
    }
    if (texts_hold_nul(record)) {
        refuse(refusal, REASON_NUL_CHARACTER, "key or header");
    }
    return OK;
}

enum outcome envelope_read(const struct record *record, struct arena *scratch, struct envelope *envelope,
                           struct refusal *refusal) {
    bool structured = text_like(media_type(content_type(record)), "application/cloudevents+json");
    const struct json *root;
    if (value_read(record, structured, scratch, &root, refusal) != OK) {
        return RETRY;
    }
    if (refusal->reason != REASON_NONE) {
        return OK;
    }
    bool repeat;
    if (attributes_repeat(record, scratch, &repeat) != OK) {
        return RETRY;
    }
    struct attributes attributes = structured ? attributes_structured(root) : attributes_binary(record);
    const struct json *data = structured ? json_member(root, "data") : root;
    const char *fault = repeat ? "repeated header" : attributes_fault(&attributes, data);
    if (fault) {
        refuse(refusal, REASON_NOT_CLOUDEVENT, fault);
        return OK;
    }
    *envelope = (struct envelope){
        .id = attributes.id,
        .source = attributes.source,
        .type = attributes.type,
        .time = attributes.time,
        .sequence = attributes.sequence,
        .data = data,
    };
    return OK;
}
