/* Log lines: one JSON object a line on stderr, one write each, so that lines of several threads never mix.
 *
 * {"time":"2026-11-22T20:31:05.000000Z","level":"info","program":"kundregister-consumer","event":"batch_redone",
 *  "message":"The batch is done again.","topic":"shop.order.v1","partition":3}
 *
 * Never personal data: not in the message, not in a field. `event` is a short code that stays the same,
 * `message` a sentence for people. A line is at most 4096 bytes (PIPE_BUF): what does not fit is left out and
 * "truncated":true says so. Callable from any thread; allocates nothing. */
#ifndef KR_LOG_H
#define KR_LOG_H

#include "core/err.h"
#include "core/text.h"
#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR, LOG_LEVELS };
extern const char *const log_level_names[LOG_LEVELS]; /* "debug", "info", "warning", "error" */

enum log_field_type { LOG_FIELD_END, LOG_FIELD_TEXT, LOG_FIELD_INT, LOG_FIELD_BOOL };
struct log_field {
    const char *name;
    enum log_field_type type;
    struct text text; /* absent: the field is left out */
    int64_t number;
};

#define LOG_TEXT(field_name, value)                                                                          \
    (struct log_field) {                                                                                     \
        .name = (field_name), .type = LOG_FIELD_TEXT, .text = (value)                                        \
    }
#define LOG_STRING(field_name, value) LOG_TEXT(field_name, text_of(value))
#define LOG_INT(field_name, value)                                                                           \
    (struct log_field) {                                                                                     \
        .name = (field_name), .type = LOG_FIELD_INT, .number = (int64_t)(value)                              \
    }
#define LOG_BOOL(field_name, value)                                                                          \
    (struct log_field) {                                                                                     \
        .name = (field_name), .type = LOG_FIELD_BOOL, .number = (value)                                      \
    }
/* The four fields of a struct err. */
#define LOG_ERR(err)                                                                                         \
    LOG_STRING("outcome", outcome_name((err)->kind)), LOG_INT("code", (err)->code),                          \
        LOG_STRING("sqlstate", (err)->sqlstate[0] ? (err)->sqlstate : NULL),                                 \
        LOG_STRING("error", (err)->text)
#define LOG_END                                                                                              \
    (struct log_field) {                                                                                     \
        .type = LOG_FIELD_END                                                                                \
    }

/* log_write(LOG_INFO, "event_code", "A sentence.", LOG_TEXT("topic", topic), LOG_INT("partition", 3)); any
 * number of fields, none included; a closing LOG_END may stand. */
#define log_write(level, event, message, ...)                                                                \
    log_fields((level), (event), (message), (const struct log_field[]){__VA_ARGS__ __VA_OPT__(, ) LOG_END})
void log_fields(enum log_level level, const char *event, const char *message, const struct log_field *fields);

/* Before other threads start: the program's name (a string that stays). */
void log_program(const char *name);
/* Lines below that level are dropped. "info" until set. May be called at any time. */
void log_set_level(enum log_level level);
bool log_enabled(enum log_level level);
/* Another descriptor than stderr, for tests. */
void log_to(int descriptor);

/* Writes `text` as the inside of a JSON string: escaped, invalid UTF-8 as U+FFFD, cut at a whole character
 * when `room` runs out. Returns the bytes written; no NUL. */
size_t log_escape(char *out, size_t room, struct text text);

#endif
