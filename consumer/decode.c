/* One record to one event: the reasons in their order. */
#include "consumer/decode.h"

#include "consumer/decode_envelope.h"
#include "consumer/decode_fields.h"
#include "consumer/decode_rules.h"
#include "core/nfc.h"
#include "core/term.h"

#include <sodium.h>

#define AHEAD_MS INT64_C(300000)
#define SCRATCH_BYTES                                                                                        \
    ((size_t)64 * 1024 * 1024) /* the tree of the worst order (512 KiB of "[0,0,") takes 25 MiB */
#define SCRATCH_KEPT_BYTES ((size_t)1024 * 1024)

enum outcome decoder_init(struct decoder *decoder, const struct policy *policy,
                          const uint8_t digest_key[DIGEST_KEY_BYTES]) {
    *decoder = (struct decoder){.policy = policy};
    memcpy(decoder->digest_key, digest_key, DIGEST_KEY_BYTES);
    arena_init(&decoder->scratch, SCRATCH_BYTES);
    decoder->canonical = json_writer_new();
    return decoder->canonical ? OK : RETRY;
}

void decoder_release(struct decoder *decoder) {
    json_writer_free(decoder->canonical);
    arena_release(&decoder->scratch);
    sodium_memzero(decoder, sizeof(*decoder));
}

/* ---- type and topic: 11 to 13 ---- */

static bool topic_matches(struct text topic, const struct event_info *info, struct text *sender) {
    static const struct text before = {"carrier.", 8}, after = {".v1", 3};
    if (!text_is(text_of(info->topic), "carrier")) {
        return text_is(topic, info->topic);
    }
    if (topic.size <= before.size + after.size || memcmp(topic.at, before.at, before.size) != 0 ||
        memcmp(topic.at + topic.size - after.size, after.at, after.size) != 0) {
        return false;
    }
    *sender = (struct text){topic.at + before.size, topic.size - before.size - after.size};
    return true;
}

static void type_read(const struct record *record, struct text name, struct event *event,
                      struct refusal *refusal) {
    for (int type = 0; type < EVENT_INPUT_TYPES; type++) {
        const struct event_info *info = &event_infos[type];
        size_t size = strlen(info->name);
        if (name.size < size || memcmp(name.at, info->name, size) != 0 ||
            (name.size > size && name.at[size] != '.')) {
            continue;
        }
        if (!text_is((struct text){name.at + size, name.size - size}, ".v1")) {
            refuse(refusal, REASON_UNKNOWN_VERSION, info->name);
        } else if (!topic_matches(record->topic, info, &event->sender)) {
            refuse(refusal, REASON_WRONG_TOPIC, info->name);
        }
        event->type = (enum event_type)type;
        return;
    }
    refuse(refusal, REASON_UNKNOWN_TYPE, "type");
}

/* ---- time: 14 to 16 ---- */

/* Against the record's own timestamp, never the clock: a replay must judge alike. */
static bool time_ahead(int64_t time_us, int64_t timestamp_ms) {
    int64_t latest_us;
    if (timestamp_ms < 0) {
        return true;
    }
    if (__builtin_add_overflow(timestamp_ms, AHEAD_MS, &latest_us) ||
        __builtin_mul_overflow(latest_us, 1000, &latest_us)) {
        return false; /* a timestamp beyond every time that can be written */
    }
    return time_us > latest_us;
}

static void time_read(const struct record *record, struct text time, struct event *event,
                      struct refusal *refusal) {
    if (!time.at) {
        refuse(refusal, REASON_TIME_MISSING, "time");
    } else if (!instant_parse(time, &event->version.time_us)) {
        refuse(refusal, REASON_TIME_INVALID, "time");
    } else if (time_ahead(event->version.time_us, record->timestamp_ms)) {
        refuse(refusal, REASON_TIME_AHEAD, "time");
    }
}

/* ---- what an event keeps ---- */

static struct text sequence_trimmed(struct text sequence) {
    while (sequence.size > 1 && sequence.at[0] == '0') {
        sequence.at++;
        sequence.size--;
    }
    return sequence;
}

/* The envelope's texts into the batch's arena, and the digest. RETRY when the arena is full. */
static enum outcome event_complete(struct decoder *decoder, const struct envelope *envelope,
                                   const struct record *record, struct arena *arena, struct event *event) {
    struct text canonical = json_writer_text(decoder->canonical);
    struct text topic = arena_text(arena, event->topic);
    event->version.source = nfc_text(arena, envelope->source);
    event->version.id = nfc_text(arena, envelope->id);
    event->version.sequence = arena_text(arena, sequence_trimmed(envelope->sequence));
    if (!canonical.at || !topic.at || !event->version.source.at || !event->version.id.at ||
        (envelope->sequence.at && !event->version.sequence.at)) {
        return RETRY;
    }
    if (event->sender.at) {
        event->sender.at = topic.at + (event->sender.at - event->topic.at);
    }
    event->topic = topic;
    digest_keyed(decoder->digest_key, canonical, event->version.digest, DIGEST_BYTES);
    if (event->type == COMMAND_TIED) {
        event->as.tied.request_id = arena_text(arena, record->key);
        return event->as.tied.request_id.at ? OK : RETRY;
    }
    if (event->type == NOTICE_ACKNOWLEDGED && event->as.ack.outcome != ACK_RETAINED) {
        event->as.ack.ground = event->as.ack.until = TEXT_ABSENT; /* said of nothing that is retained */
    }
    return OK;
}

/* ---- the whole ---- */

static enum outcome decode_steps(const struct record *record, struct decoder *decoder, struct arena *arena,
                                 struct event *event, struct refusal *refusal, uint32_t *unknown_fields) {
    struct envelope envelope = {0};
    if (envelope_read(record, &decoder->scratch, &envelope, refusal) != OK) { /* 1 to 10 */
        return RETRY;
    }
    if (refusal->reason == REASON_NONE) {
        type_read(record, envelope.type, event, refusal); /* 11 to 13 */
    }
    if (refusal->reason == REASON_NONE) {
        time_read(record, envelope.time, event, refusal); /* 14 to 16 */
    }
    if (refusal->reason != REASON_NONE) {
        return OK;
    }
    if (fields_read(envelope.data, event, arena, decoder->canonical, refusal, unknown_fields) !=
        OK) { /* 17 to 20 */
        return RETRY;
    }
    rules_conditional(envelope.data, event->type, refusal); /* 17, 18 */
    if (refusal->reason != REASON_NONE) {
        return OK;
    }
    rules_crosswise(envelope.data, record, event, decoder->policy, refusal); /* 21 to 26 */
    if (refusal->reason != REASON_NONE) {
        return OK;
    }
    return event_complete(decoder, &envelope, record, arena, event);
}

enum outcome decode_record(const struct record *record, struct decoder *decoder, struct arena *arena,
                           struct event *event, struct refusal *refusal, uint32_t *unknown_fields) {
    const struct event origin = {
        .topic = record->topic,
        .partition = record->partition,
        .offset = record->offset,
        .timestamp_ms = record->timestamp_ms,
    };
    *event = origin;
    *refusal = (struct refusal){.reason = REASON_NONE};
    *unknown_fields = 0;
    enum outcome outcome = decode_steps(record, decoder, arena, event, refusal, unknown_fields);
    if (outcome != OK || refusal->reason != REASON_NONE) {
        *event = origin;
    }
    json_writer_reset(decoder->canonical);
    if (decoder->scratch.held_bytes > SCRATCH_KEPT_BYTES) {
        arena_release(&decoder->scratch); /* a giant's memory is not kept for the next */
    } else {
        arena_reset(&decoder->scratch);
    }
    return outcome;
}
