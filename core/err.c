/* Filling and naming errors. */
#include "core/err.h"

#include <stdarg.h>
#include <stdio.h>

enum outcome err_set(struct err *err, enum outcome kind, int code, const char *format, ...) {
    if (!err) {
        return kind;
    }
    err->kind = kind;
    err->code = code;
    err->sqlstate[0] = '\0';
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(err->text, sizeof(err->text), format, arguments);
    va_end(arguments);
    for (char *at = err->text; *at; at++) {
        if (*at == '\n' || *at == '\r') {
            *at = ' '; /* libraries end their messages with a newline; a log line holds none */
        }
    }
    return kind;
}

const char *outcome_name(enum outcome outcome) {
    switch (outcome) {
    case OK:
        return "ok";
    case RETRY:
        return "retry";
    case POISON:
        return "poison";
    case FENCED:
        return "fenced";
    case FATAL:
        return "fatal";
    }
    return "unknown";
}
