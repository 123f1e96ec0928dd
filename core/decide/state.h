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

/* An instant that ends a generation (SEMANTICS.md, Cuts and generations). One tombstone each. */
enum cut_cause { CUT_CLOSED, CUT_REQUEST, CUT_CAUSES }; /* of two with equal time the request's wins */
struct cut {
    int64_t cut_us;
    enum cut_cause cause;
    /* false: a `closed` whose `registered` an earlier cut has taken away since. It ends nothing; it is kept
     * only because it was told. Requests' are always valid. */
    bool valid;
    bool complete;        /* nothing of it waits (a closed's: always) */
    int64_t completed_us; /* `now` at which it became complete; TIME_NONE while it is not */
    bool token;           /* the unsubscribe token of the generation that it begins is known */
    bool restored;        /* brought in by `restore reconcile`: nothing up to it is taken in any more */
    bool news;            /* scratch: to be told */
};

/* A `registered`: kept whatever its time, for time and notice are proofs. */
struct registered_fact {
    struct version version;
    bool account; /* kind: account, else subscriber */
    struct notice_text notice;
};

/* An address hash that a registered or changed of the person ever stated, and the events' times, ascending.
 */
struct address_fact {
    struct text hash;         /* 64 hex digits (event.h) */
    enum contact_field field; /* EMAIL, PHONE */
    LIST(int64_t) times;
};

/* Keys of (generation, category) with a lower serial are doomed or destroyed: nothing is sealed under them.
 */
struct key_floor {
    int64_t generation;
    enum category category;
    uint16_t cells, transit;
};

/* A shipment that a requested or changed meant for the recipient, whoever has it now, and its earliest
 * version: it opens the generation of that instant. */
struct shipped {
    struct text customer_id, shipment_id;
    int64_t first_us;
};

/* What is known of a person across generations; that of the row of GENERATION_FIRST counts, the guard. */
struct person_facts {
    LIST(struct cut) cuts;                   /* by cut_us, each once */
    bool cuts_changed;                       /* store writes the tombstones */
    LIST(struct registered_fact) registered; /* in version order, each once */
    LIST(struct address_fact) addresses;     /* by (hash, field) */
    LIST(struct key_floor) floors;
    LIST(struct text) requests;   /* ids of the erasure requests that name him, bytewise */
    int64_t named_us;             /* latest fact that names him, changed, seen and closed excepted */
    LIST(struct shipped) shipped; /* of a recipient, by (customer_id, shipment_id) */
    int64_t opened_us;            /* latest opener: registered, placed, granted, shipped */
    int64_t consents;             /* how many consent facts there are */
    bool token;                   /* the unsubscribe token of the first generation is known */
};

/* What may be done about a (purpose, channel) of the policy; in the policy's order. */
enum permission_reason {
    PERMISSION_ALLOWED,
    PERMISSION_NONE,
    PERMISSION_NO_ADDRESS,
    PERMISSION_ERASED,
    PERMISSION_WITHDRAWN,
    PERMISSION_OBJECTED,
    PERMISSION_REASONS
};
extern const char *const permission_reason_names[PERMISSION_REASONS]; /* [PERMISSION_ALLOWED]: NULL */
struct permission {
    struct text purpose, channel;
    enum permission_reason reason;
    struct text basis; /* absent when denied */
    int64_t since_us;  /* TIME_NONE: null */
};

/* What a mail house was last told of the person and generation (SEMANTICS.md, Newsletter). */
struct letter {
    struct text recipient, service;
    int state; /* enum unit_state */
};

/* The rows of orders, shipments and the like of a person, as keys: what an erasure must look through. */
struct whole_key {
    struct text customer_id, object_id;
};
struct whole {
    bool known;
    LIST(struct whole_key) orders;    /* under the customer */
    LIST(struct whole_key) shipments; /* under the customer, to the recipient, or once told of him */
};

/* What events of this batch may do to a person: others of the batch must find loaded what follows then. */
struct person_hint {
    LIST(int64_t) cuts; /* times of the cuts, ascending */
    bool shipping;      /* a shipment to him is made or changed */
};

struct person {
    struct text person; /* "c1" or "recipient:r1" */
    int64_t generation;
    int64_t revision;          /* as loaded; 0: no row yet. Only that of GENERATION_FIRST guards */
    bool touched;              /* store writes the row, revision + 1 */
    bool opened;               /* has an opener in this generation; stays known after a cut */
    bool ended;                /* by a valid cut: of its line only the notice is left */
    bool absent;               /* no line: nothing names him in it, or it is no generation any more */
    struct person_facts facts; /* of the guard only */
    struct whole whole;        /* of the guard only: filled by load for NEED_WHOLE */
    struct person_hint hint;   /* of the guard only: scratch of decide_needs */
    LIST(struct permission) permissions; /* as last told; empty: the generation has no permission line */
    LIST(struct letter) letters;         /* by (recipient, service) */
    struct text address[2]; /* hash of the visible e-mail and phone, absent = none: ADDRESS_... */
    /* the rest is emptied by a cut */
    struct text kind;            /* "account", "subscriber": of the generation's highest registered */
    struct notice_text notice;   /* its, too; stays after a cut */
    int64_t closed_us;           /* earliest closed that counts, of a policy that erases nothing on request */
    int64_t profile_activity_us; /* latest registered, changed, seen (kept even while unseen) */
    int64_t order_activity_us;   /* latest placed, order.changed (and consent.granted, later) */
    int64_t recorded_us;         /* earliest registered, changed, seen: clock `recorded` of the profile */
    struct version field[CONTACT_FIELDS]; /* protective: cleared. time VERSION_NONE: never stated */
    struct cell profile;                  /* a flat contact */
    unsigned
        marketing_hints; /* scratch of decide_needs, of the guard only: what events of this batch may bring */
};

/* "recipient:...", a consignee of gifts; else a customer. */
bool person_is_recipient(struct text person);
/* Latest of what counts as activity and may be seen; TIME_NONE when nothing. */
int64_t person_last_activity(const struct person *person);
/* A `registered` stands in the generation: profile, field times and its activity may be seen. */
static inline bool person_visible(const struct person *person) {
    return text_present(person->kind);
}

#define ADDRESS_EMAIL 0
#define ADDRESS_PHONE 1

/* ---- consents: one row a fact, never deleted by a withdrawal ---- */

struct consent {
    struct text person, fact; /* fact: ref_fact, 43 characters: the row's name */
    bool stored, touched;
    enum event_type act; /* CONSENT_... */
    struct version version;
    bool by_token;      /* then generation is the token's, whatever the time */
    int64_t generation; /* else that of its time */
    struct text purpose, channel, basis, order_id, method; /* absent = all, or not said */
    bool has_confirmed, confirmed;
    struct cell proof; /* {method, wording}, category consent_proof */
};

/* ---- requests ---- */

enum identity {
    IDENTITY_NONE,
    IDENTITY_ACCOUNT,
    IDENTITY_EMAIL_LOOP,
    IDENTITY_STRONG,
    IDENTITY_CLERK,
    IDENTITIES
};
extern const char *const identity_names[IDENTITIES];
enum request_state { REQUEST_UNTOLD, REQUEST_AWAITING_IDENTITY, REQUEST_OPEN, REQUEST_DONE, REQUEST_STATES };
extern const char *const request_state_names[REQUEST_STATES]; /* [REQUEST_UNTOLD]: NULL */

/* A request.received: each has a cut of its own once the request is identified. */
struct received_fact {
    struct version version;
    struct text person;       /* "c1" or "recipient:r1"; absent: a case */
    struct text contact_hash; /* of a case: 64 hex digits of its e-mail or phone */
    struct text channel;
    enum identity identity;
};
/* A case tied to a person by an employee's command. */
struct tie {
    struct version version;
    struct text person;
};
struct request {
    struct text request_id;
    int64_t revision; /* as loaded, guards; 0: no row */
    bool touched;
    LIST(struct received_fact) received; /* in version order, each once */
    LIST(struct tie) ties;               /* in version order, each once */
    int64_t identified_us;               /* the earliest identified; TIME_NONE */
    enum identity strongest;             /* of received and identified */
    /* what follows from these and from the persons' shipments */
    enum request_state state; /* as last told */
    int32_t due;              /* DATE_NONE while awaiting identity */
    int32_t until;            /* DATE_NONE until it is done */
    const struct event *last; /* scratch: the last event of this batch that changed it */
    LIST(struct text) hints;  /* scratch of decide_needs: whom events of this batch name or tie */
};

/* ---- address hashes: who ever used one ---- */

struct address_entry {
    struct text person;
    int64_t matched_us;                          /* latest registered or changed of his that has it */
    bool current;                                /* it is his address now, in his newest generation */
    int64_t objected_first_us, objected_last_us; /* his objections; TIME_NONE */
    LIST(int64_t) objected_between;              /* those between the two, ascending, each once */
    int64_t withdrawn_us; /* his earliest withdrawal in an erased generation; TIME_NONE */
};
struct address {
    struct text hash;
    int64_t revision; /* as loaded, guards; 0: no row */
    bool touched;
    LIST(struct address_entry) entries; /* by person */
};

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
    bool stored;                /* has a row */
    bool touched;               /* store writes it */
    struct version version;     /* highest of placed and changed; VERSION_NONE: a stub */
    int64_t first_version_us;   /* earliest placed or changed: the generation hangs on it */
    int64_t first_fact_us;      /* earliest fact of any kind that names it */
    int64_t recorded_us;        /* earliest of the order's own events: clock `recorded` */
    int64_t placed_us;          /* earliest placed */
    LIST(int64_t) placed_again; /* times of further ones, ascending, each once: what generations they open */
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

enum unit_state {
    UNIT_HELD,
    UNIT_WITHDRAWN,
    UNIT_ANONYMIZED,
    UNIT_ERASED, /* named in an act of erasure's notice */
};

/* What was last told to whom about a shipment. */
struct unit {
    struct text carrier, service, role, person; /* role: consignee, consignor */
    int64_t generation;
    int64_t parcels;
    enum unit_state state;
};

/* What a request's cut of the consignee means for a shipment (SEMANTICS.md, Cuts and generations). */
enum shipment_erasure {
    SHIPMENT_KEPT,   /* requested after every request's cut */
    SHIPMENT_WAITS,  /* under way: keeps its delivery cell until it is closed */
    SHIPMENT_ERASED, /* closed: its cell is empty, nothing more is told of it */
    SHIPMENT_ERASURES
};

struct unit_hint; /* needs_shipment.c's own */

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
    LIST(struct text) named;             /* recipients that any requested or changed meant it for, bytewise */
    LIST(struct parcel_status) statuses; /* by (carrier, parcel) */
    LIST(struct unit) units;             /* bytewise by (carrier, service, role, person, generation) */
    enum shipment_erasure erasure;       /* waits, erased: a cut of the consignee concerns it */
    struct cell delivery;                /* flat contact + pickup_point */
    struct unit_hint *hints;             /* scratch of decide_needs: units that events of this batch name */
};

/* SEMANTICS.md, Parcels: cancelled, or every parcel at rank 7 or above. */
bool shipment_closed(const struct shipment *shipment);
/* When it closed: its earliest cancel, else the latest of its parcels' times; TIME_NONE while it is open. */
int64_t shipment_closed_us(const struct shipment *shipment);
/* The latest of the parcels' times when all are delivered, else TIME_NONE. */
int64_t shipment_delivered_us(const struct shipment *shipment);

/* ---- refs, parked events, notices ---- */

enum ref_knowledge { REF_UNKNOWN, REF_PARKED, REF_KNOWN }; /* no row; a row without meaning; a row */
enum ref_kind { REF_SHIPMENT, REF_NOTICE, REF_TOKEN };

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
        object_id; /* when now == REF_KNOWN; a notice's customer_id is its person; a token's recipient is
                    * "shop", its object_id the generation in decimal */
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
/* decide_needs has left word for other events of the batch: how often so far. */
void state_hinted(struct state *state);
size_t state_hints(const struct state *state);

/* Each finds or makes: a made one is empty (revision 0, stored false, TIME_NONE, DATE_NONE) and means "no
 * row". Keys are copied into the arena. NULL only when the arena is full. */
struct person *state_person(struct state *state, struct text person, int64_t generation);
struct order *state_order(struct state *state, struct text customer_id, struct text order_id);
struct shipment *state_shipment(struct state *state, struct text customer_id, struct text shipment_id);
struct ref_entry *state_ref(struct state *state, struct text ref);
struct notice *state_notice(struct state *state, struct text person, struct text notice_ref);
struct consent *state_consent(struct state *state, struct text person, struct text fact);
struct request *state_request(struct state *state, struct text request_id);
struct address *state_address(struct state *state, struct text hash);

/* The same without making: NULL when nobody has asked for it yet (load makes what it looked for, found or
 * not). */
struct person *state_find_person(const struct state *state, struct text person, int64_t generation);
struct order *state_find_order(const struct state *state, struct text customer_id, struct text order_id);
struct shipment *state_find_shipment(const struct state *state, struct text customer_id,
                                     struct text shipment_id);
struct ref_entry *state_find_ref(const struct state *state, struct text ref);
struct notice *state_find_notice(const struct state *state, struct text person, struct text notice_ref);
struct request *state_find_request(const struct state *state, struct text request_id);
struct address *state_find_address(const struct state *state, struct text hash);
/* Those of one person, in no particular order; NULL with count 0 when there are none. */
struct consent *const *state_consents_of(const struct state *state, struct text person, size_t *count);
/* The person's guard, the row of GENERATION_FIRST; NULL as above. */
struct person *state_find_guard(const struct state *state, struct text person);

/* The generation of the person to which an instant belongs: named by the latest cut before it,
 * GENERATION_FIRST before any. The one place that chooses a generation. */
int64_t state_generation_at(const struct state *state, struct text person, int64_t time_us);

/* Everything of a kind, in the order of making: `for (size_t i = 0; i < n; i++) items[i]`. */
struct person *const *state_persons(const struct state *state, size_t *count);
struct order *const *state_orders(const struct state *state, size_t *count);
struct shipment *const *state_shipments(const struct state *state, size_t *count);
struct ref_entry *const *state_refs(const struct state *state, size_t *count);
struct notice *const *state_notices(const struct state *state, size_t *count);
struct consent *const *state_consents(const struct state *state, size_t *count);
struct request *const *state_requests(const struct state *state, size_t *count);
struct address *const *state_addresses(const struct state *state, size_t *count);

/* ---- what follows from a person's cuts ---- */

/* The highest registered of the generation, kept or dropped because of a cut; NULL: there is none. */
const struct registered_fact *person_registered(const struct state *state, struct text person,
                                                int64_t generation);
/* The time of the generation's first registered; TIME_NONE: there is none. */
int64_t person_registered_us(const struct state *state, struct text person, int64_t generation);
/* The generation after the last valid cut. */
int64_t state_newest_generation(const struct state *state, struct text person);
/* The cut that ends the generation; NULL for the newest. */
const struct cut *state_cut_of(const struct state *state, struct text person, int64_t generation);
/* The earliest valid request's cut not before the instant: what was requested then is erased by it, or waits.
 * NULL: none. */
const struct cut *state_delivery_cut(const struct state *state, struct text person, int64_t time_us);

#endif
