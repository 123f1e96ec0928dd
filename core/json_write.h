/* JSON text from calls, compact, UTF-8 as it is. With keys given in sorted order and integers only, what
 * comes out is RFC 8785 canonical: sealed cells and digests rely on that. At most 64 levels deep and 64 MiB
 * long. */
#ifndef KR_JSON_WRITE_H
#define KR_JSON_WRITE_H

#include "core/arena.h"
#include "core/text.h"
#include <stdbool.h>
#include <stdint.h>

struct json_writer; /* one document at a time; its buffer lies outside the arena and is wiped on reset */

struct json_writer *json_writer_new(void);
void json_writer_free(struct json_writer *writer);
/* Starts a new document. */
void json_writer_reset(struct json_writer *writer);

/* Each returns nothing: the first failure sticks and shows in json_writer_text. */
void json_object(struct json_writer *writer);
void json_object_end(struct json_writer *writer);
void json_array(struct json_writer *writer);
void json_array_end(struct json_writer *writer);
void json_key(struct json_writer *writer, const char *key);
void json_text(struct json_writer *writer, struct text text);     /* null when absent */
void json_string(struct json_writer *writer, const char *string); /* null when NULL */
void json_int(struct json_writer *writer, int64_t value);
void json_bool(struct json_writer *writer, bool value);
void json_null(struct json_writer *writer);
/* JSON text put in as it is (already canonical). */
void json_raw(struct json_writer *writer, struct text json);

/* The document, valid until the next reset; TEXT_ABSENT when a call failed or a container is open. */
struct text json_writer_text(struct json_writer *writer);
/* The same, copied into the arena. */
struct text json_writer_take(struct json_writer *writer, struct arena *arena);

#endif
