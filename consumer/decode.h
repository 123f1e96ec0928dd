/* Stage 2 of 7: decode. Before: consume. After: load.
 *
 * A record becomes an event, or a reason why not. Judges the reasons 1 to 26 of SEMANTICS.md ("Dead-letter
 * reasons"); of several the lowest number wins. CloudEvents 1.0 over Kafka, binary and structured (SPEC
 * section 7); fields and limits of events.json, which schema/events/ says as JSON Schemas. */
#ifndef KR_DECODE_H
#define KR_DECODE_H

#include "core/arena.h"
#include "core/digest.h"
#include "core/err.h"
#include "core/event.h"
#include "core/json_write.h"
#include "core/policy.h"

#define DECODE_VALUE_BYTES 65536        /* largest Kafka value */
#define DECODE_ORDER_VALUE_BYTES 524288 /* the same on shop.order.v1 */
#define DECODE_DEPTH 8                  /* levels, counted from data's root */

/* One worker's decoder; one thread each. */
struct decoder {
    const struct policy *policy;          /* not owned */
    uint8_t digest_key[DIGEST_KEY_BYTES]; /* of version.digest */
    struct json_writer *canonical;        /* the data as RFC 8785 writes it, for the digest */
    struct arena scratch;                 /* a record's parse tree, wiped after each */
};

/* RETRY when memory ran out. */
enum outcome decoder_init(struct decoder *decoder, const struct policy *policy,
                          const uint8_t digest_key[DIGEST_KEY_BYTES]) MUST_CHECK;
/* Wipes the key too. Harmless on a zeroed decoder. */
void decoder_release(struct decoder *decoder);

/* OK with refusal->reason REASON_NONE: *event is whole, all of its texts in `arena`. OK with a reason: a dead
 * letter; of *event only where it came from is set. RETRY: the arena is full, nothing is said about the
 * record; reset the arena and take fewer records at once. *unknown_fields counts data's fields that no table
 * names, at every level; they are dropped. */
enum outcome decode_record(const struct record *record, struct decoder *decoder, struct arena *arena,
                           struct event *event, struct refusal *refusal, uint32_t *unknown_fields) MUST_CHECK;

#endif
