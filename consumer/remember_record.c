/* Records of erasures, scanned or parsed. */
#include "consumer/remember_record.h"

#include "core/json_read.h"
#include "core/term.h"
#include <string.h>

#define RECORD_DEPTH 8
#define OWN_CUTS (sizeof((struct remember_record){.cut_count = 0}.own) / sizeof(struct remembered))

struct erasure {
    struct text category, cause, cut;
};

/* A cut has an element a category. */
static bool add_erasure(struct remember_record *record, size_t room, const struct erasure *erasure) {
    struct remembered item = {.by_request = !text_is(erasure->cause, "closed")};
    unsigned bit = 0;
    while (bit < CATEGORIES && !text_is(erasure->category, category_names[bit]))
        bit++;
    if (bit == CATEGORIES || !text_present(erasure->cause) || !instant_parse(erasure->cut, &item.cut_us))
        return false;
    item.categories = 1u << bit;
    for (size_t i = 0; i < record->cut_count; i++) {
        struct remembered *known = &record->cuts[i];
        if (known->cut_us != item.cut_us)
            continue;
        known->categories |= item.categories;
        known->by_request |= item.by_request;
        return true;
    }
    if (record->cut_count == room)
        return false;
    record->cuts[record->cut_count++] = item;
    return true;
}

/* ---- parsed ---- */

enum outcome remember_parse(struct text body, struct arena *arena, struct remember_record *record) {
    struct json *root = NULL;
    arena_reset(arena);
    record->cut_count = 0;
    enum json_fault fault = json_parse(body, RECORD_DEPTH, arena, &root);
    const struct json *erasures = json_member(root, "erasures");
    if (fault == JSON_NO_MEMORY)
        return RETRY;
    if (!erasures || erasures->type != JSON_ARRAY ||
        !remember_subject_read(json_member_text(root, "subject"), record->subject))
        return POISON;
    record->cuts = ARENA_ARRAY(arena, struct remembered, erasures->count + 1);
    if (!record->cuts)
        return RETRY;
    for (const struct json *one = erasures->first; one; one = one->next) {
        const struct erasure erasure = {json_member_text(one, "category"), json_member_text(one, "cause"),
                                        json_member_text(one, "cut")};
        if (!add_erasure(record, erasures->count, &erasure))
            return POISON;
    }
    return OK;
}

/* ---- scanned: strings without escapes, true and false, objects and arrays; anything else fails ---- */

struct scan {
    const char *at, *end;
};

static bool eat(struct scan *scan, char c) {
    bool is = scan->at < scan->end && *scan->at == c;
    scan->at += is;
    return is;
}

static bool scan_string(struct scan *scan, struct text *text) {
    if (!eat(scan, '"'))
        return false;
    const char *close = memchr(scan->at, '"', (size_t)(scan->end - scan->at));
    if (!close || memchr(scan->at, '\\', (size_t)(close - scan->at)))
        return false;
    *text = (struct text){scan->at, (size_t)(close - scan->at)};
    scan->at = close + 1;
    return true;
}

static bool scan_word(struct scan *scan, const char *word) {
    size_t size = strlen(word);
    if ((size_t)(scan->end - scan->at) < size || memcmp(scan->at, word, size) != 0)
        return false;
    scan->at += size;
    return true;
}

/* Any value of these, read over. */
static bool skip_value(struct scan *scan) {
    struct text ignored;
    unsigned depth = 0;
    do {
        char c = scan->at < scan->end ? *scan->at : '\0';
        if (c == '"') {
            if (!scan_string(scan, &ignored))
                return false;
        } else if (c == '{' || c == '[') {
            depth++;
            scan->at++;
        } else if (depth && (c == '}' || c == ']')) {
            depth--;
            scan->at++;
        } else if (depth && (c == ',' || c == ':')) {
            scan->at++;
        } else if (!scan_word(scan, "true") && !scan_word(scan, "false")) {
            return false;
        }
    } while (depth);
    return true;
}

static bool scan_erasure(struct scan *scan, struct erasure *erasure) {
    struct text key;
    if (!eat(scan, '{'))
        return false;
    do {
        if (!scan_string(scan, &key) || !eat(scan, ':'))
            return false;
        bool fine = text_is(key, "category") ? scan_string(scan, &erasure->category)
                    : text_is(key, "cause")  ? scan_string(scan, &erasure->cause)
                    : text_is(key, "cut")    ? scan_string(scan, &erasure->cut)
                                             : skip_value(scan);
        if (!fine)
            return false;
    } while (eat(scan, ','));
    return eat(scan, '}');
}

static bool scan_erasures(struct scan *scan, struct remember_record *record) {
    if (!eat(scan, '['))
        return false;
    do {
        struct erasure erasure = {.cut = TEXT_ABSENT};
        if (!scan_erasure(scan, &erasure) || !add_erasure(record, OWN_CUTS, &erasure))
            return false;
    } while (eat(scan, ','));
    return eat(scan, ']');
}

bool remember_scan(struct text body, struct remember_record *record) {
    struct scan scan = {body.at, body.at + body.size};
    struct text key, subject = TEXT_ABSENT;
    record->cut_count = 0;
    record->cuts = record->own;
    if (!eat(&scan, '{'))
        return false;
    do {
        if (!scan_string(&scan, &key) || !eat(&scan, ':'))
            return false;
        bool fine = text_is(key, "subject")    ? scan_string(&scan, &subject)
                    : text_is(key, "erasures") ? scan_erasures(&scan, record)
                                               : skip_value(&scan);
        if (!fine)
            return false;
    } while (eat(&scan, ','));
    return eat(&scan, '}') && scan.at == scan.end && record->cut_count &&
           remember_subject_read(subject, record->subject);
}
