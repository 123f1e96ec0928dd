/* The CloudEvents envelope of a record (CloudEvents 1.0, Kafka protocol binding and JSON format): reasons 1
 * to 10. */
#ifndef KR_DECODE_ENVELOPE_H
#define KR_DECODE_ENVELOPE_H

#include "core/arena.h"
#include "core/err.h"
#include "core/event.h"
#include "core/json_read.h"

/* Texts lie in the record or in the scratch arena. */
struct envelope {
    struct text id, source, type;
    struct text time;     /* absent = none or null; empty when it was no string */
    struct text sequence; /* absent, or 1 to 20 digits as written */
    const struct json *data;
};

/* Fills the envelope, or the refusal. RETRY when scratch is full. */
enum outcome envelope_read(const struct record *record, struct arena *scratch, struct envelope *envelope,
                           struct refusal *refusal) MUST_CHECK;

/* Notes a reason where none lower stands yet. detail is a name of ours. */
void refuse(struct refusal *refusal, enum reason reason, const char *detail);

#endif
