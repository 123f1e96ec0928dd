/* Stage 4 of 7: decide. Before: load. After: store.
 *
 * What an event does is a function of (state, event, policy, now) -> (new state, outputs). PURE: no socket,
 * no clock, no third-party header; everything it makes lies in the batch's arena. State is a fold
 * (SEMANTICS.md): outputs are the difference between what the fold says now and what was last told. */
#ifndef KR_DECIDE_H
#define KR_DECIDE_H

#include "core/decide/state.h"
#include "core/err.h"
#include "core/json_write.h"
#include "core/policy.h"
#include "core/ref.h"

#define PARKING_US (INT64_C(30) * 24 * 3600 * 1000000) /* how long an event waits for its ref */

/* What became of an event: applied + forgotten + parked + dead letters = input, always. */
enum verdict { VERDICT_APPLIED, VERDICT_FORGOTTEN, VERDICT_PARKED, VERDICT_DEAD_LETTER, VERDICTS };

/* One message for an output topic. */
struct output {
    const char *type; /* "register.disclosure.shipment", without .v1 */
    struct text topic, key;
    struct output_id id;
    struct text body;   /* JSON */
    struct text person; /* whose ring seals the body on its way; absent: nothing personal in it */
    int64_t generation;
    enum category category; /* of the transit key */
    /* the ledger's line */
    struct text subject;   /* the person; of a dead letter "topic/partition" */
    struct text recipient; /* absent: not a disclosure or notice to a recipient */
    struct text customer_id, shipment_id, service, role, disclosure_ref, purpose, cause;
    field_set fields;
    /* a dead letter's pointer (type "register.dead-letter"), for its row and its kafka_dlt-original-* headers
     */
    struct {
        struct text topic;
        int32_t partition;
        int64_t offset, timestamp_ms;
        struct refusal refusal;
        uint8_t record_hash[32];
    } dead;
};

/* Keys that an erasing step lets go: all of the category in that ring, up to those that what stays is sealed
 * under anew. store chooses the floor, writes it to the person's facts and has the vault destroy the rest. */
struct doom {
    struct text person;
    int64_t generation;
    enum category category;
};

struct decision {
    /* given */
    const struct policy *policy;
    const struct ref_key *ref_key;
    struct arena *arena;
    struct json_writer *writer;
    struct state *state;
    int64_t now_us; /* read once per transaction; of calendar acts the nominal due time */
    /* When the register came back from a backup last (restore reconcile); 0: never. What was published since
     * that backup is not known to it. */
    int64_t restored_us;
    /* made */
    LIST(struct output) outputs; /* in the order in which they must go out */
    size_t verdicts[VERDICTS];   /* counted for each event, unparked ones again when they are settled */
    size_t second_facts;         /* same (source, id), other data */
    LIST(struct doom) dooms;     /* each once */
};

/* Judges one event and changes decision->state. record_hash: keyed hash of the record, for the dead letter it
 * may become or be parked with. OK, or RETRY when the arena is full (the batch is too large: halve it). */
enum outcome decide_event(struct decision *decision, const struct event *event, const uint8_t record_hash[32],
                          enum verdict *verdict) MUST_CHECK;

/* After the last event of a transaction: what is told of its end only, the states of requests. */
enum outcome decide_finish(struct decision *decision) MUST_CHECK;

/* Adds the dead letter of a record that is not taken in, and counts it. */
enum outcome decide_dead_letter(struct decision *decision, struct text topic, int32_t partition,
                                int64_t offset, int64_t timestamp_ms, const struct refusal *refusal,
                                const uint8_t record_hash[32]) MUST_CHECK;

/* The tombstone of that cut of the person lists the category. */
bool cut_erases(const struct policy *policy, struct text person, const struct cut *cut,
                enum category category);

/* What an event must find loaded. load makes persons, requests and addresses in the state, found or not;
 * orders, shipments, notices and refs only when they have rows. Cells are asked for only once their row is
 * loaded, so `touch` must take further cells of what is there already. load asks in rounds, since a ref must
 * be resolved before its shipment is known and a shipment before its order; each round asks the events that
 * met something new, all of them again when one has left word for others (state_hints), loads what is new,
 * and ends when nothing is. `touch` is called for each thing. A notice's ref that has a row, for an answer
 * came first, may go unasked where its cause is still to come about in the same batch: whoever stores then
 * finds the row in the way, and does the batch again with that ref loaded. */
enum need_kind {
    NEED_REF,
    NEED_PERSON,
    NEED_ORDER,
    NEED_SHIPMENT,
    NEED_NOTICE,
    NEED_CONSENTS, /* all of a person */
    NEED_REQUEST,  /* owner: the request id */
    NEED_ADDRESS,  /* owner: the hash */
    NEED_WHOLE, /* the keys of all that is a person's, into his guard's `whole`; the rows are asked for one by
                   one */
};
enum need_cell {
    NEED_NO_CELL = 0,
    NEED_PROFILE = 1, /* cells whose content decide reads: open them */
    NEED_CLAIM = 2,
    NEED_VOUCHER = 4,
    NEED_OSS = 8,
    NEED_DELIVERY = 16,
    NEED_GROUND = 32,
    NEED_PARKED = 64, /* of NEED_REF: what is parked under it, for the event may make it known */
    NEED_PROOF = 128,
};
struct need {
    enum need_kind kind;
    struct text owner;  /* person or customer id; the ref of NEED_REF */
    struct text object; /* order id, shipment id, notice ref */
    unsigned cells;     /* NEED_... bits */
};
typedef enum outcome need_touch(void *context, const struct need *need);
/* Asks with what `state` knows so far. What is parked under a ref is asked for (NEED_PARKED) only where this
 * event may make the ref known; load may bring a portion of it, the rest comes by CALENDAR_PARKED_LEARNT.
 * policy and ref_key tell which refs a shipment would be disclosed under. */
enum outcome decide_needs(const struct event *event, const struct policy *policy,
                          const struct ref_key *ref_key, struct state *state, struct arena *arena,
                          need_touch *touch, void *context) MUST_CHECK;

#endif
