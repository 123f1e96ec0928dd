/* Dead letters: what the loop adds to those that decide makes. A pointer to the record, a reason and a keyed
 * hash go out and into a table; the payload never. */
#ifndef KR_CONSUMER_DEAD_LETTER_H
#define KR_CONSUMER_DEAD_LETTER_H

#include "core/decide/decide.h"

bool dead_letter_is(const struct output *output);
/* Spring's kafka_dlt-original-* headers, packed; absent when the arena is full. */
struct text dead_letter_headers(const struct output *output, struct arena *arena);
/* What PostgreSQL refused: the detail is its SQLSTATE alone. */
struct refusal dead_letter_refused(const char sqlstate[6]);

#endif
