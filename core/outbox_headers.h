/* Extra headers of an outbox row, packed in its column `headers`: the consumer packs, the relay unpacks.
 * Clear, so never personal. Format: count (1 byte), then for each name size (1 byte), name, value size (4
 * bytes, big endian), value. Callable from any thread. */
#ifndef KR_OUTBOX_HEADERS_H
#define KR_OUTBOX_HEADERS_H

#include "core/arena.h"
#include "core/event.h"

#define OUTBOX_HEADERS_MAX 16

/* Packed into the arena; TEXT_ABSENT when the arena is full or a limit is passed (OUTBOX_HEADERS_MAX headers,
 * names of 1 to 255 bytes). */
struct text outbox_headers_pack(struct arena *arena, const struct record_header *headers, size_t count);
/* The headers that Spring for Apache Kafka's DeadLetterPublishingRecoverer writes, so that its users' tools
 * read our dead letters: kafka_dlt-original-topic (UTF-8), -partition (int32), -offset and -timestamp
 * (int64), big endian. */
struct text outbox_headers_dead_letter(struct arena *arena, struct text topic, int32_t partition,
                                       int64_t offset, int64_t timestamp_ms);
/* Fills headers with texts that point into `packed`, returns their number; -1 when it is damaged. */
int outbox_headers_unpack(struct text packed, struct record_header headers[OUTBOX_HEADERS_MAX]);

#endif
