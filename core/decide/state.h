/* What a decision sees and changes: the aggregates of the persons that a batch touches.
 *
 * PURE: no socket, no clock, no third-party header. load fills a state with rows, decide_event changes it,
 * store writes back what is touched. In tests one state simply lives on: then it is the whole register.
 * Everything lies in the state's arena; items never move once made. Not shared between threads. */
#ifndef KR_DECIDE_STATE_H
#define KR_DECIDE_STATE_H

#include "core/arena.h"
#include "core/event.h"
#include "core/policy.h"
#include "core/ref.h"
#include <stdbool.h>
#include <stdint.h>

#define GENERATION_FIRST ((int64_t)-1)
#define TIME_NONE VERSION_NONE /* -1: an instant that is not there */

/* One category of one aggregate, sealed at rest. `content` is canonical JSON (RFC 8785) of the category's
 * fields, null and absent ones left out (SEMANTICS.md, Dump); opened only where decide_needs asked for it. */
struct cell {
    int32_t until;        /* kept through this local date; DATE_NONE: there is no cell */
    struct text content;  /* absent: not opened (sealed present) or no cell */
    struct text sealed;   /* as stored; absent: new or none */
    bool rewritten;       /* content differs from what is sealed */
    int32_t sealed_until; /* `until` as loaded: another quarter means sealing anew under that period's key */
};

/* A growing list in the arena: ARENA_PUSH(arena, &list). */
#define LIST(type)                                                                                           \
    struct {                                                                                                 \
        type *at;                                                                                            \
        size_t count, room;                                                                                  \
    }

/* ---- person ---- */

struct person {
    struct text person; /* "c1" or "recipient:r1" */
    int64_t generation;
    int64_t revision; /* as loaded; 0: no row yet. Only that of GENERATION_FIRST guards */
    bool touched;     /* store writes the row, revision + 1 */
    bool opened;
    struct version registered; /* highest registered: kind and notice are its */
    struct text kind;          /* "account", "subscriber" */
    struct notice_text notice;
    LIST(int64_t) registered_times; /* ascending, each once: visibility of changed, seen, closed */
    int64_t closed_us;              /* earliest closed that counts */
    int64_t profile_activity_us;    /* latest registered, changed, seen (kept even while unseen) */
    int64_t order_activity_us;      /* latest placed, order.changed (and consent.granted, later) */
    int64_t recorded_us;            /* earliest registered, changed, seen: clock `recorded` of the profile */
    struct version field[CONTACT_FIELDS]; /* protective: cleared. time VERSION_NONE: never stated */
    struct cell profile;                  /* a flat contact */
};

/* Latest of what counts as activity and may be seen; TIME_NONE when nothing. */
int64_t person_last_activity(const struct person *person);
/* A `registered` stands in the generation: profile, field times and its activity may be seen. */
static inline bool person_visible(const struct person *person) {
    return person->registered_times.count > 0;
}

/* ---- order ---- */

struct payment {
    struct version version; /* keyed (source, id): the highest version of each */
};

/* What an order must know of its shipments: last_delivered and the country of an oss sale hang on them. */
struct order_shipment {
    struct text shipment_id;
    bool outbound, cancelled;
    int64_t delivered_us;         /* all parcels delivered: the latest of their times; else TIME_NONE */
    struct text country;          /* the consignee's, default filled in */
    struct version first_version; /* its earliest requested or changed */
};

struct order {
    struct text customer_id, order_id;
    bool stored;              /* has a row */
    bool touched;             /* store writes it */
    struct version version;   /* highest of placed and changed; VERSION_NONE: a stub */
    int64_t first_version_us; /* earliest placed or changed: the generation hangs on it */
    int64_t first_fact_us;    /* earliest fact of any kind that names it */
    int64_t recorded_us;      /* earliest of the order's own events: clock `recorded` */
    int64_t placed_us;        /* earliest placed */
    bool guest;
    int64_t cancelled_us;                  /* earliest cancelled; sticky */
    LIST(struct payment) payments;         /* in version order */
    LIST(struct order_shipment) shipments; /* by shipment_id */
    /* those of the winning lines that the policy names for claim, bytewise, each once; "" stands for the
     * others */
    LIST(struct text) product_classes;
    int64_t last_delivered_us;
    int64_t generation;
    struct cell claim;   /* {buyer, lines, total, currency} */
    struct cell voucher; /* {order_id, date, lines, total, currency, payments} */
    struct cell oss;     /* {order_id, date, country, total} */
};

/* ---- shipment ---- */

struct parcel_status {
    struct text carrier;
    int64_t parcel; /* 0: all */
    enum delivery_status status;
    int64_t time_us; /* highest rank, then the earliest time of that rank */
};

enum unit_state { UNIT_HELD, UNIT_WITHDRAWN, UNIT_ANONYMIZED };

/* What was last told to whom about a shipment. */
struct unit {
    struct text carrier, service, role, person; /* role: consignee, consignor */
    int64_t generation;
    int64_t parcels;
    enum unit_state state;
};

struct unit_hint; /* needs.c's own */

struct shipment {
    struct text customer_id, shipment_id;
    bool stored, touched;
    struct version version;       /* highest of requested and changed; VERSION_NONE: only a cancel is known */
    struct version first_version; /* lowest of them */
    int64_t recorded_us;          /* earliest requested, changed or cancelled */
    struct text order_id, person; /* person: the consignee; the customer while only a cancel is known */
    int64_t generation;
    bool is_return;
    struct text country, return_id, carrier, service;
    int64_t parcels;
    int64_t cancelled_us;                /* earliest; sticky */
    LIST(struct parcel_status) statuses; /* by (carrier, parcel) */
    LIST(struct unit) units;             /* bytewise by (carrier, service, role, person, generation) */
    struct cell delivery;                /* flat contact + pickup_point */
    struct unit_hint *hints;             /* scratch of decide_needs: units that events of this batch name */
};

/* SEMANTICS.md, Parcels: cancelled, or every parcel at rank 7 or above. */
bool shipment_closed(const struct shipment *shipment);
/* The latest of the parcels' times when all are delivered, else TIME_NONE. */
int64_t shipment_delivered_us(const struct shipment *shipment);

/* ---- refs, parked events, notices ---- */

enum ref_knowledge { REF_UNKNOWN, REF_PARKED, REF_KNOWN }; /* no row; a row without meaning; a row */
enum ref_kind { REF_SHIPMENT, REF_NOTICE };

/* An event waiting for its ref. */
struct parked {
    struct event event; /* delivery.status or notice.acknowledged, whole; of an expired one only its place */
    int64_t expires_us; /* record timestamp + 30 days */
    uint8_t record_hash[32];
    bool stored;  /* has a row */
    bool removed; /* applied or expired: store deletes the row */
};

/* decide moves `now`: to REF_PARKED when an event is parked under it, to REF_KNOWN when a fact that
 * names the carrier (winning or not) or a notice gives it its meaning. A row without meaning stays when what
 * was parked under it has expired. */
struct ref_entry {
    struct text ref;
    enum ref_knowledge loaded, now;
    enum ref_kind kind;
    struct text recipient, customer_id,
        object_id;                /* when now == REF_KNOWN; a notice's customer_id is its person */
    LIST(struct parked *) parked; /* by (topic, partition, offset): those loaded, and those of this batch */
};

struct notice {
    struct text person, notice_ref, recipient, kind, cause; /* kind: corrected, withdrawn, anonymize */
    bool stored, touched;
    int64_t generation;
    struct text customer_id, shipment_id; /* may be absent */
    LIST(struct text) disclosures;
    field_set fields;  /* of corrected */
    int64_t caused_us; /* time of the causing event: clock `disclosed` of the ground */
    int64_t decided_us;
    int32_t answer_by;
    int64_t reminder;
    struct version answer; /* highest acknowledgement; VERSION_NONE: none */
    enum ack_outcome outcome;
    int32_t retained_until;
    struct cell ground; /* {"ground":"..."}, category ledger */
};

/* ---- the state ---- */

struct state; /* maps over the above; opaque */

struct state *state_new(struct arena *arena); /* lives in the arena; NULL when it is full */

/* Each finds or makes: a made one is empty (revision 0, stored false, TIME_NONE, DATE_NONE) and means "no
 * row". Keys are copied into the arena. NULL only when the arena is full. */
struct person *state_person(struct state *state, struct text person, int64_t generation);
struct order *state_order(struct state *state, struct text customer_id, struct text order_id);
struct shipment *state_shipment(struct state *state, struct text customer_id, struct text shipment_id);
struct ref_entry *state_ref(struct state *state, struct text ref);
struct notice *state_notice(struct state *state, struct text person, struct text notice_ref);

/* The same without making: NULL when nobody has asked for it yet (load makes what it looked for, found or
 * not). */
struct person *state_find_person(const struct state *state, struct text person, int64_t generation);
struct order *state_find_order(const struct state *state, struct text customer_id, struct text order_id);
struct shipment *state_find_shipment(const struct state *state, struct text customer_id,
                                     struct text shipment_id);
struct ref_entry *state_find_ref(const struct state *state, struct text ref);
struct notice *state_find_notice(const struct state *state, struct text person, struct text notice_ref);

/* The generation of the person to which an instant belongs: named by the latest cut before it,
 * GENERATION_FIRST before any. The one place that chooses a generation. */
int64_t state_generation_at(const struct state *state, struct text person, int64_t time_us);

/* Everything of a kind, in the order of making: `for (size_t i = 0; i < n; i++) items[i]`. */
struct person *const *state_persons(const struct state *state, size_t *count);
struct order *const *state_orders(const struct state *state, size_t *count);
struct shipment *const *state_shipments(const struct state *state, size_t *count);
struct ref_entry *const *state_refs(const struct state *state, size_t *count);
struct notice *const *state_notices(const struct state *state, size_t *count);

#endif
