/* JSON text to a tree, strictly. The only user of yajl's parser.
 *
 * yajl accepts much that an event must not hold (invalid UTF-8, lone surrogates, U+0000, duplicate keys, any
 * depth), so the text is guarded before the parse and in its callbacks; each fault has its own name, and the
 * lowest of those present wins (SEMANTICS.md, dead-letter reasons 3 to 9), judged over the whole text. */
#ifndef KR_JSON_READ_H
#define KR_JSON_READ_H

#include "core/arena.h"
#include "core/err.h"
#include "core/text.h"
#include <stdbool.h>
#include <stdint.h>

enum json_type { JSON_NULL, JSON_BOOL, JSON_INTEGER, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json {
    enum json_type type;
    bool boolean;
    int64_t integer;    /* JSON_INTEGER: written without fraction or exponent and within int64 */
    struct text text;   /* JSON_STRING: unescaped UTF-8; JSON_INTEGER and JSON_NUMBER: as written */
    struct text key;    /* when the parent is an object */
    struct json *first; /* children of an array or object, in order */
    struct json *next;  /* next sibling */
    uint32_t count;     /* children */
};

enum json_fault {
    JSON_FINE = 0,
    JSON_NOT_UTF8,      /* overlong, surrogate, above U+10FFFF, cut short */
    JSON_NOT_JSON,      /* syntax error, empty, byte order mark, NaN; rubbish after the first value */
    JSON_TWO_DOCUMENTS, /* a whole second value follows */
    JSON_TOO_DEEP,
    JSON_DUPLICATE_KEY,  /* equal after unescaping, in any object */
    JSON_NUL,            /* U+0000 in any string or key */
    JSON_LONE_SURROGATE, /* an escaped half pair */
    JSON_NO_MEMORY,      /* the arena's limit: the caller's batch is too large, not the text's fault */
};

/* Parses the whole text. Depth: the root is level 1 when it is an array or object; more than max_depth levels
 * of nesting is JSON_TOO_DEEP (0 = unlimited up to 512). Tree and strings live in the arena. *root is NULL
 * unless JSON_FINE. Thread-safe. */
enum json_fault json_parse(struct text text, unsigned max_depth, struct arena *arena,
                           struct json **root) MUST_CHECK;
/* Levels of nesting below and including `value`: 0 for a scalar, 1 for a flat object or array. */
unsigned json_depth(const struct json *value);

/* "not_utf8", "duplicate_key", ... as the dead-letter reasons are called. */
const char *json_fault_name(enum json_fault fault);

/* The member of an object, or NULL. `object` may be NULL or of another type (NULL then). */
const struct json *json_member(const struct json *object, const char *key);
/* The member's string, or TEXT_ABSENT when there is none or it is no string. */
struct text json_member_text(const struct json *object, const char *key);

/* Strict UTF-8 (RFC 3629), used for keys and headers too. */
bool utf8_valid(struct text text);
/* Code points in valid UTF-8. */
size_t utf8_length(struct text text);

#endif
