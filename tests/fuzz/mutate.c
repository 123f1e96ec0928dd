/* Mutations of JSON that keep it JSON, mostly: values and members are moved about as wholes. */
#include "tests/fuzz/common.h"

#include <stdlib.h>
#include <string.h>

#define SPANS_MOST 512

/* A value, or a member (from its key on) when `key`. */
struct span {
    size_t from, to;
    bool key;
};

struct spans {
    struct span at[SPANS_MOST];
    size_t count;
};

static const char *const hard[] = {"null",
                                   "true",
                                   "0",
                                   "-1",
                                   "1e3",
                                   "0.5",
                                   "9223372036854775808",
                                   "-9223372036854775808",
                                   "1E400",
                                   "\"\"",
                                   "\"0\"",
                                   "\"guest\"",
                                   "\"guest:o1\"",
                                   "\"recipient:r1\"",
                                   "\"\\u0000\"",
                                   "\"\\ud800\"",
                                   "\"\\ud83d\\ude00\"",
                                   "\"a\\u030a\"",
                                   "\"A\xcc\x8a\"",
                                   "\"\xed\xa0\x80\"",
                                   "\"\xf4\x90\x80\x80\"",
                                   "\"\xc0\xaf\"",
                                   "\"a@b\"",
                                   "\"+358401234567\"",
                                   "\"FI\"",
                                   "\"EUR\"",
                                   "\"2026-02-29\"",
                                   "\"2026-11-01T10:00:00+02:00\"",
                                   "\"2026-12-31T23:59:60Z\"",
                                   "\"P3Y\"",
                                   "[]",
                                   "{}",
                                   "[[[[[[[[[[]]]]]]]]]]",
                                   "{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":1}}}}}}}}"};

static size_t string_end(const char *at, size_t from, size_t size) {
    for (size_t i = from + 1; i < size; i++) {
        if (at[i] == '\\')
            i++;
        else if (at[i] == '"')
            return i + 1;
    }
    return size;
}

/* One past the value that begins there, whatever it is; brackets are counted, not matched by kind. */
static size_t value_end(const char *at, size_t from, size_t size) {
    size_t depth = 0, i = from;
    do {
        if (at[i] == '"') {
            i = string_end(at, i, size);
            continue;
        }
        depth += at[i] == '{' || at[i] == '[';
        if ((at[i] == '}' || at[i] == ']') && depth)
            depth--;
        else if (!depth && strchr(",:}] \t\r\n", at[i]))
            return i;
        i++;
    } while (i < size && (depth || !strchr(",:}]", at[i])));
    return i < size ? i : size;
}

static void find_spans(const char *at, size_t size, struct spans *spans) {
    spans->count = 0;
    for (size_t i = 0; i < size && spans->count < SPANS_MOST;) {
        if (strchr(" \t\r\n,:}]", at[i])) {
            i++;
            continue;
        }
        size_t end = value_end(at, i, size);
        bool key = at[i] == '"' && end < size && at[end] == ':';
        size_t to = key && end + 1 < size ? value_end(at, end + 1, size) : end;
        spans->at[spans->count++] = (struct span){i, to > i ? to : i + 1, key};
        i = at[i] == '{' || at[i] == '[' ? i + 1 : end > i ? end : i + 1;
    }
}

/* Puts `with` in the place of [from, to). */
static size_t splice(char *at, size_t size, size_t room, size_t from, size_t to, struct text with) {
    size_t after = size - to;
    if (from + with.size + after > room)
        return 0;
    memmove(at + from + with.size, at + to, after);
    memcpy(at + from, with.at, with.size);
    return from + with.size + after;
}

static size_t take_out(char *at, size_t size, size_t room, struct span span) {
    if (span.to < size && at[span.to] == ',')
        span.to++;
    else if (span.from && at[span.from - 1] == ',')
        span.from--;
    return splice(at, size, room, span.from, span.to, TEXT(""));
}

size_t mutate_json(char *at, size_t size, size_t room, unsigned seed) {
    static struct spans spans;
    static char copy[1 << 16];
    find_spans(at, size, &spans);
    if (!spans.count)
        return 0;
    struct span to = spans.at[seed % spans.count], from = spans.at[seed / 7 % spans.count];
    size_t from_size = from.to - from.from;
    struct text value = text_of(hard[seed / 11 % (sizeof hard / sizeof *hard)]);
    if (from_size + 1 > sizeof copy)
        return 0;
    switch (seed / 3 % 5) {
    case 0: /* another one's copy */
        memcpy(copy, at + from.from, from_size);
        return from.key == to.key ? splice(at, size, room, to.from, to.to, (struct text){copy, from_size})
                                  : take_out(at, size, room, to);
    case 1:
        return take_out(at, size, room, to);
    case 2: /* twice */
        copy[0] = ',';
        memcpy(copy + 1, at + from.from, from_size);
        return splice(at, size, room, from.to, from.to, (struct text){copy, from_size + 1});
    default:
        if (to.key) {
            const char *colon = memchr(at + to.from, ':', to.to - to.from);
            to.from = colon ? (size_t)(colon - at) + 1 : to.from;
        }
        return splice(at, size, room, to.from, to.to, value);
    }
}
