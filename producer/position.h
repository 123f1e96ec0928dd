/* The relay's position: how a record of register.outbox-position.v1 is written, and whether Kafka, mirror and
 * outbox tell the same story. Pure. */
#ifndef KR_POSITION_H
#define KR_POSITION_H

#include "producer/relay.h"

#define POSITION_TOPIC "register.outbox-position.v1"
#define POSITION_VALUE_BYTES 96

/* {"row_id":"<32 hex digits>","seq":17} */
struct text position_write(const struct relay_mark *mark, char buffer[POSITION_VALUE_BYTES]);
/* A record into the mark. POISON: it is none of ours; RETRY: memory ran out. */
enum outcome position_read(struct text key, struct text value, struct arena *arena,
                           struct relay_mark *mark) MUST_CHECK;
/* Puts a record into the marks, replacing the topic's earlier one; removes it when `value` is absent. FATAL
 * when it is none of ours, and (ENOMEM) when memory ran out. */
enum outcome position_merge(struct relay_marks *marks, struct text key, struct text value,
                            struct arena *arena, struct err *err) MUST_CHECK;

/* The comparison at start. `same` as outbox_ops.find gave it for `kafka`. FATAL, with the way out in
 * err.text, when the register was restored or diverged, or when Kafka lost positions. */
enum outcome position_compare(const struct relay_marks *kafka, const bool *same,
                              const struct relay_marks *mirror, struct err *err) MUST_CHECK;

#endif
