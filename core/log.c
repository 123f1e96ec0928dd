/* Log lines: builds one JSON line in a buffer on the stack and writes it in one call. */
#include "core/log.h"

#include "core/term.h"
#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define LOG_LINE_MAX 4096  /* PIPE_BUF on Linux: a pipe takes it whole or not at all */
#define LOG_VALUE_MAX 1024 /* so that one long value cannot push the others out */
#define LOG_TAIL 32        /* always kept for ,"truncated":true}\n */

_Static_assert(LOG_LINE_MAX <= PIPE_BUF, "a line must be written atomically");

const char *const log_level_names[LOG_LEVELS] = {"debug", "info", "warning", "error"};

static _Atomic int log_level = LOG_INFO;
static _Atomic int log_descriptor = STDERR_FILENO;
static const char *log_program_name;

struct log_line {
    char bytes[LOG_LINE_MAX];
    size_t used;
    bool truncated;
};

void log_program(const char *name) {
    log_program_name = name;
}

void log_set_level(enum log_level level) {
    atomic_store_explicit(&log_level, (int)level, memory_order_relaxed);
}

bool log_enabled(enum log_level level) {
    return (int)level >= atomic_load_explicit(&log_level, memory_order_relaxed);
}

void log_to(int descriptor) {
    atomic_store_explicit(&log_descriptor, descriptor, memory_order_relaxed);
}

/* Bytes of the valid UTF-8 character at `at`, 0 when there is none (RFC 3629). */
static size_t character_bytes(const unsigned char *at, size_t size) {
    unsigned char lead = at[0], low = 0x80, high = 0xBF;
    size_t bytes;
    if (lead < 0x80)
        return 1;
    if (lead >= 0xC2 && lead <= 0xDF)
        bytes = 2;
    else if ((lead & 0xF0) == 0xE0)
        bytes = 3;
    else if (lead >= 0xF0 && lead <= 0xF4)
        bytes = 4;
    else
        return 0;
    if (lead == 0xE0)
        low = 0xA0;
    else if (lead == 0xED)
        high = 0x9F;
    else if (lead == 0xF0)
        low = 0x90;
    else if (lead == 0xF4)
        high = 0x8F;
    if (size < bytes || at[1] < low || at[1] > high)
        return 0;
    for (size_t i = 2; i < bytes; i++)
        if ((at[i] & 0xC0) != 0x80)
            return 0;
    return bytes;
}

size_t log_escape(char *out, size_t room, struct text text) {
    static const char hex[] = "0123456789abcdef";
    size_t used = 0;
    for (size_t i = 0; i < text.size;) {
        const unsigned char *at = (const unsigned char *)text.at + i;
        size_t bytes = character_bytes(at, text.size - i);
        char piece[6];
        const char *from = piece;
        size_t size;
        if (!bytes) {
            from = "\xEF\xBF\xBD";
            size = 3;
            bytes = 1;
        } else if (*at == '"' || *at == '\\') {
            piece[0] = '\\', piece[1] = (char)*at;
            size = 2;
        } else if (*at < 0x20 || *at == 0x7F) {
            memcpy(piece, "\\u00", 4);
            piece[4] = hex[*at >> 4], piece[5] = hex[*at & 15];
            size = 6;
        } else {
            from = (const char *)at;
            size = bytes;
        }
        if (size > room - used)
            break;
        memcpy(out + used, from, size);
        used += size;
        i += bytes;
    }
    return used;
}

static bool put(struct log_line *line, const char *bytes, size_t size) {
    if (size > LOG_LINE_MAX - LOG_TAIL - line->used)
        return false;
    memcpy(line->bytes + line->used, bytes, size);
    line->used += size;
    return true;
}

static bool put_string(struct log_line *line, struct text text) {
    char escaped[LOG_VALUE_MAX];
    size_t size = log_escape(escaped, sizeof(escaped), text);
    return put(line, "\"", 1) && put(line, escaped, size) && put(line, "\"", 1);
}

static bool put_value(struct log_line *line, const struct log_field *field) {
    char number[24];
    int size;
    switch (field->type) {
    case LOG_FIELD_INT:
        size = snprintf(number, sizeof(number), "%lld", (long long)field->number);
        return put(line, number, (size_t)size);
    case LOG_FIELD_BOOL:
        return field->number ? put(line, "true", 4) : put(line, "false", 5);
    default:
        return put_string(line, field->text);
    }
}

/* A field stands whole or not at all. */
static void put_field(struct log_line *line, const struct log_field *field) {
    size_t before = line->used;
    if (field->type == LOG_FIELD_TEXT && !text_present(field->text))
        return;
    if (put(line, before == 1 ? "" : ",", before != 1) && put_string(line, text_of(field->name)) &&
        put(line, ":", 1) && put_value(line, field))
        return;
    line->used = before;
    line->truncated = true;
}

static void send_line(const struct log_line *line) {
    int descriptor = atomic_load_explicit(&log_descriptor, memory_order_relaxed);
    ssize_t written;
    do
        written = write(descriptor, line->bytes, line->used);
    while (written < 0 && errno == EINTR);
    /* Any other failure is dropped: there is nowhere to tell it, and the work must go on. */
}

void log_fields(enum log_level level, const char *event, const char *message,
                const struct log_field *fields) {
    struct log_line line;
    struct timespec now;
    char time_text[28];
    int errno_before = errno;

    if (!log_enabled(level) || level >= LOG_LEVELS)
        return;
    clock_gettime(CLOCK_REALTIME, &now);
    instant_write((int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000, time_text);
    line.used = 0;
    line.truncated = false;
    (void)put(&line, "{", 1);
    put_field(&line, &LOG_STRING("time", time_text));
    put_field(&line, &LOG_STRING("level", log_level_names[level]));
    put_field(&line, &LOG_STRING("program", log_program_name));
    put_field(&line, &LOG_STRING("event", event));
    put_field(&line, &LOG_STRING("message", message));
    for (; fields && fields->type != LOG_FIELD_END; fields++)
        put_field(&line, fields);
    static const char cut[] = ",\"truncated\":true";
    _Static_assert(sizeof(cut) + 2 <= LOG_TAIL, "the tail has its own room");
    if (line.truncated) {
        memcpy(line.bytes + line.used, cut, sizeof(cut) - 1);
        line.used += sizeof(cut) - 1;
    }
    line.bytes[line.used++] = '}';
    line.bytes[line.used++] = '\n';
    send_line(&line);
    errno = errno_before;
}
