/* The data of an event by the table of its type: reasons 17 to 20 as far as they concern one field, the
 * event's struct, and the canonical JSON of what was known. */
#ifndef KR_DECODE_FIELDS_H
#define KR_DECODE_FIELDS_H

#include "core/arena.h"
#include "core/err.h"
#include "core/event.h"
#include "core/json_read.h"
#include "core/json_write.h"

/* Reads every field, also after the first fault: the lowest reason anywhere is the record's. `canonical` is a
 * reset writer; it holds the document only when nothing was refused. RETRY when the arena is full. */
enum outcome fields_read(const struct json *data, struct event *event, struct arena *arena,
                         struct json_writer *canonical, struct refusal *refusal,
                         uint32_t *unknown_fields) MUST_CHECK;

#endif
