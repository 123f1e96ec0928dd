/* What a command prints: one small document of fields and tables, shown as aligned text for people or, with
 * --json, as one JSON object with the same names. Collected first and printed by output_print, so that
 * nothing is half shown when a later step fails. Control characters never reach a terminal: what a person
 * typed as a name must not steer the screen. One thread. */
#ifndef KR_OUTPUT_H
#define KR_OUTPUT_H

#include "core/arena.h"
#include "core/json_write.h"
#include "core/text.h"
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct output;

/* Lives in the arena, as does all that is put in. NULL when the arena is full. */
struct output *output_new(struct arena *arena, bool json);

/* A table: rows follow until output_table_end; every row gives the same keys in the same order. `title`
 * stands above it for people, `none` is the sentence shown to them when it has no row. */
void output_table(struct output *output, const char *key, const char *title, const char *none);
void output_row(struct output *output);
void output_table_end(struct output *output);

/* One value: a cell of the current row, or a field of the document when no table is open. Keys stay. */
void output_text(struct output *output, const char *key,
                 struct text value); /* absent = null, "-" for people */
void output_string(struct output *output, const char *key, const char *value);
void output_format(struct output *output, const char *key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void output_int(struct output *output, const char *key, int64_t value);
void output_bool(struct output *output, const char *key, bool value);
void output_null(struct output *output, const char *key);
void output_time(struct output *output, const char *key, int64_t instant_us); /* -1 = null */
void output_date(struct output *output, const char *key, int32_t date);       /* DATE_NONE = null */
void output_seconds(struct output *output, const char *key, int64_t duration_us);
/* Texts parted by commas, as an array in JSON; absent = null. */
void output_list(struct output *output, const char *key, struct text commas);
/* Canonical JSON as it is. */
void output_json(struct output *output, const char *key, struct text json);
/* A sentence for people; not in JSON. */
void output_note(struct output *output, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Prints all of it. False when memory ran out or stdout refused it (errno says why). */
bool output_print(struct output *output, FILE *file);

/* Writes text for a terminal: control characters become '?'. */
void output_safely(FILE *file, struct text text);

#endif
