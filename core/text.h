/* A piece of text: pointer and length, not owned, not terminated. `at == NULL` means absent; an empty text
 * has a non-NULL `at` and size 0. Who owns the bytes is said where the text stands; in events and states it
 * is the batch's arena. */
#ifndef KR_TEXT_H
#define KR_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct text {
    const char *at;
    size_t size;
};

#define TEXT_ABSENT ((struct text){NULL, 0})
/* The text of a string literal. */
#define TEXT(literal) ((struct text){"" literal, sizeof(literal) - 1})
/* For printf's %.*s. */
#define TEXT_ARGS(text) (int)(text).size, ((text).at ? (text).at : "")

static inline struct text text_of(const char *string) {
    return string ? (struct text){string, strlen(string)} : TEXT_ABSENT;
}
static inline bool text_present(struct text text) {
    return text.at != NULL;
}
/* Bytewise; absent equals only absent. */
static inline bool text_equal(struct text a, struct text b) {
    if (!a.at || !b.at)
        return a.at == b.at;
    return a.size == b.size && memcmp(a.at, b.at, a.size) == 0;
}
/* Bytewise order, a prefix first, absent before everything: <0, 0, >0. */
static inline int text_compare(struct text a, struct text b) {
    if (!a.at || !b.at)
        return (a.at != NULL) - (b.at != NULL);
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common ? memcmp(a.at, b.at, common) : 0;
    return order ? order : (a.size > b.size) - (a.size < b.size);
}
static inline bool text_is(struct text text, const char *string) {
    return text.at && strlen(string) == text.size && memcmp(text.at, string, text.size) == 0;
}

#endif
