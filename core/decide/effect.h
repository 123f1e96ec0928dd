/* What the files of decide/ share with each other and with nobody else: one effect a type of event, the rows
 * that an effect touches, cells, and the outputs. Every function returns OK, or RETRY when the batch's arena
 * is full: the batch is then redone smaller, so that a half-changed state harms nobody. PURE. */
#ifndef KR_DECIDE_EFFECT_H
#define KR_DECIDE_EFFECT_H

#include "core/decide/decide.h"
#include <assert.h>

struct flat;

#define TRY(call)                                                                                            \
    do {                                                                                                     \
        enum outcome tried = (call);                                                                         \
        if (tried != OK)                                                                                     \
            return tried;                                                                                    \
    } while (0)

/* *verdict is VERDICT_APPLIED on entry. */
typedef enum outcome decide_effect(struct decision *decision, const struct event *event,
                                   const uint8_t record_hash[32], enum verdict *verdict);
decide_effect customer_registered, customer_changed, customer_seen, customer_closed; /* customer.c */
decide_effect order_placed, order_changed, order_paid, order_cancelled;              /* order.c */
decide_effect shipment_requested, shipment_cancelled; /* delivery.c; changed = requested */
decide_effect delivery_status, notice_acknowledged;   /* parking.c */
decide_effect parked_expired, parked_learnt;          /* parking.c */
decide_effect erasure_restored;                       /* erasure.c */
decide_effect permission_retold;                      /* permission.c */
decide_effect token_used;                             /* parking.c: a consent event by token */
decide_effect consent_stated;                         /* consent.c: granted, withdrawn, objected */
decide_effect request_received, request_identified, command_tied; /* request.c */

/* ---- merging ---- */

/* Lowers or raises an instant to a fact's; true when that changed it. */
bool earliest(int64_t *held_us, int64_t time_us);
bool latest(int64_t *held_us, int64_t time_us);
/* The same (source, id) with other data: a second fact. */
bool second_fact(const struct version *held, const struct version *version);
/* The clocks of an aggregate before any is set. */
struct clocks clocks_none(void);
bool category_has(const struct policy *policy, enum category category, enum policy_field field);

/* ---- cells ---- */

bool cell_present(const struct cell *cell);
/* Content that decide_needs must have asked for. */
struct text cell_content(const struct cell *cell);
/* Each says whether it changed anything. A cell that no clock ends is not kept at all. */
bool cell_write(struct cell *cell, struct text content);
bool cell_keep_until(struct cell *cell, int32_t until);
bool cell_drop(struct cell *cell);
/* It belongs under other keys from now on: store seals it anew, opening it first when nobody has. */
void cell_moves(struct cell *cell);

/* ---- persons: customer.c ---- */

/* A fact at time_us names the person: the row of that generation, made when there was none. */
enum outcome person_named(struct decision *decision, struct text id, int64_t time_us,
                          struct person **person) MUST_CHECK;
/* Its row and its guard will be written. */
enum outcome person_touch(struct decision *decision, struct text id, int64_t generation) MUST_CHECK;
/* A fact at time_us opens the generation of that row. */
enum outcome person_opens(struct decision *decision, struct person *person, int64_t time_us) MUST_CHECK;
/* Placed, order.changed, consent.granted: names the customer, counts as activity, and may open him. */
enum outcome person_ordered(struct decision *decision, const struct event *event, bool opens) MUST_CHECK;
/* Kind and notice of the generation's row; of ended ones the notice only. */
void person_project(const struct decision *decision, struct person *person, bool newest);
/* The cuts have changed: what of the living profile belongs to the newest generation goes over to its row,
 * the rest goes. */
enum outcome profile_move(struct decision *decision, struct person *from, struct person *to) MUST_CHECK;
/* The profile, and whatever else a cut empties. */
void profile_drop(struct person *person);

/* The contact says something of the field: naming any part of the address states all of it. */
bool contact_states(const struct contact *contact, enum contact_field field);
/* A registered or changed states the field with a higher version than the profile has; *version is that one.
 */
bool contact_wins(const struct person *person, const struct event *event, enum contact_field field,
                  struct version *version);

/* ---- erasure: erasure.c ---- */

/* A `closed` is a cut: the policy erases something of a customer's on request. */
bool erasure_closes(const struct policy *policy);

/* A valid cut stands or falls from now on, or comes: everything of the person is assigned to its generation
 * anew and what is erased goes, with tombstone, notices and `anonymized` (SEMANTICS.md, The act of erasure).
 * The person's whole is loaded. */
enum outcome erasure_cut(struct decision *decision, const struct event *event, struct text person,
                         const int64_t *cuts_us, size_t count, enum cut_cause cause) MUST_CHECK;
/* Whether a request's cut of its consignee concerns the shipment as it stands now, and its cell accordingly.
 * To be done before anything is told of a shipment that was made, moved, closed or opened again. */
enum outcome erasure_shipment(struct decision *decision, struct shipment *shipment) MUST_CHECK;
/* ... and afterwards, for its consignee and whoever was it before: whether his tombstones are complete, and
 * what is told when that changes. */
enum outcome erasure_follow(struct decision *decision, const struct event *event,
                            struct text person) MUST_CHECK;
/* A delivery fact about the consignee at that time is taken in no more: so long after `complete`, or
 * restored. */
bool erasure_refuses(const struct decision *decision, struct text person, int64_t time_us);
/* A carrier may have been told, before the register was restored, what an event of that time says, and is not
 * now: under the refs of a generation before a cut that was not known yet, or at all, since it is erased at
 * once now. The n-th such generation, false after the last. */
bool erasure_lost_generation(const struct decision *decision, struct text person, int64_t time_us,
                             size_t index, int64_t *generation);
/* What an `anonymize` about a generation that a cut has ended gives as its cause. */
const char *erasure_ended_by(const struct state *state, struct text person, int64_t generation);
/* The carrier is to forget it; a register that was never restored knows whom it told. */
enum outcome erasure_tell_lost(struct decision *decision, const struct event *event,
                               struct text consignee) MUST_CHECK;
/* The keys of the category in that ring go. */
enum outcome erasure_doom(struct decision *decision, struct text person, int64_t generation,
                          enum category category) MUST_CHECK;
/* The same in each ring that the person has ever had: what has moved to another generation, or was another
 * consignee's since, left its copies under the keys of the former. What stays is sealed anew
 * (consumer/doom.h). */
enum outcome erasure_doom_rings(struct decision *decision, struct text person,
                                enum category category) MUST_CHECK;
/* A closing of that time ends nothing now, and may have begun a generation in what a restored register lost:
 * its keys go. */
enum outcome erasure_doom_lost_closing(struct decision *decision, struct text person,
                                       int64_t time_us) MUST_CHECK;
/* What this batch made or moved belongs to the person's whole, if that is loaded. */
enum outcome erasure_lists_shipment(struct decision *decision, struct text person,
                                    const struct shipment *shipment) MUST_CHECK;
enum outcome erasure_lists_order(struct decision *decision, const struct order *order) MUST_CHECK;
/* The unit is of an erased person and does not wait: erasure_follow names it in a notice of its own. */
bool erasure_names(const struct decision *decision, const struct shipment *shipment, const struct unit *unit);
/* Latest of the closing times of all shipments to the person first requested not later than the cut;
 * TIME_NONE: none; *waits when one is open. */
int64_t erasure_closed_us(struct decision *decision, struct text person, int64_t cut_us, bool *waits);
/* The person's requests follow when a cut became complete or no longer is. */
enum outcome request_follow(struct decision *decision, const struct event *event,
                            struct text person) MUST_CHECK; /* request.c */
/* Whom a received names: the customer, "recipient:<id>", or nobody (a case: absent). */
enum outcome request_subject(const struct event *event, struct arena *arena, struct text *person) MUST_CHECK;
/* register.request.status, for the request's last event (anonymized.c). */
enum outcome anonymized_tell_request(struct decision *decision, const struct request *request) MUST_CHECK;

/* ---- marketing: consent.c, permission.c, newsletter.c, address.c ---- */

/* A registered or changed of the person stated addresses, taken in or dropped because of a cut; or the cuts
 * changed (event's contact is then not looked at): facts.addresses, the addresses' entries, the newest
 * generation's current ones and whoever's permission hangs on them follow. */
enum outcome address_stated(struct decision *decision, const struct event *event) MUST_CHECK;
enum outcome address_recut(struct decision *decision, const struct event *event,
                           struct text person) MUST_CHECK;
/* Whatever the person's permission hangs on may have changed (openers, consents, addresses, orders, cuts):
 * lines of each generation are told anew, the record goes out when the last line's generation differs, and
 * the mail houses follow. profile_before: content of the newest profile before the event, for `corrected`;
 * absent: it did not change. closed, request: why it ended when it did through a cut. */
enum outcome permission_follow(struct decision *decision, const struct event *event, struct text person,
                               struct text profile_before) MUST_CHECK;
/* The generations of his consents after the cuts changed, and the ends of their proofs. */
enum outcome consent_recut(struct decision *decision, struct text person) MUST_CHECK;
/* The ends of his proofs, when his profile's end moved. */
enum outcome consent_keep_until(struct decision *decision, struct text person) MUST_CHECK;
/* The latest end of the proofs of generations up to that one; DATE_NONE: there is none. */
int32_t consent_proofs_until(const struct decision *decision, struct text person, int64_t generation);
/* His latest grant by id in the generation, which opened it and counts as activity; TIME_NONE: none. */
int64_t consent_granted_us(const struct state *state, struct text person, int64_t generation);
/* The disclosure_ref of what a mail house was told of the person and generation. permission_follow withdraws
 * what a request's cut ends (UNIT_WITHDRAWN) before the act's own notice names it. */
struct ref letter_ref(const struct ref_key *ref_key, const struct person *row, const struct letter *letter);

/* ---- orders: order.c, order_cell.c ---- */

enum outcome order_touch(struct decision *decision, struct order *order) MUST_CHECK;
/* The customer's cuts have changed: its generation, and its claim where the policy erases that. */
enum outcome order_recut(struct decision *decision, struct order *order) MUST_CHECK;
/* A fact that is not the order's own names it: a stub when there was none. */
enum outcome order_named(struct decision *decision, struct text customer_id, struct text order_id,
                         int64_t time_us, struct order **order) MUST_CHECK;
/* What the order must know of the shipment changed: refreshes it, last_delivered and what hangs on them. */
enum outcome order_take_shipment(struct decision *decision, struct order *order,
                                 const struct shipment *shipment) MUST_CHECK;
enum outcome order_drop_shipment(struct decision *decision, struct order *order,
                                 struct text shipment_id) MUST_CHECK;
/* Country of its outbound shipment with the smallest (earliest version, shipment_id); absent when there is
 * none. */
struct text order_oss_country(const struct order *order);

enum order_change { ORDER_WON = 1, ORDER_PAYMENT = 2, ORDER_COUNTRY = 4 };
/* The winning placed or changed becomes the claim. */
enum outcome order_write_claim(struct decision *decision, struct order *order,
                               const struct event *event) MUST_CHECK;
/* Enters a payment where it belongs in version order; replaces (its index, or the count) is taken out first.
 * The voucher's payments become *payments. */
enum outcome order_enter_payment(struct decision *decision, struct order *order, const struct event *event,
                                 size_t replaces, struct text *payments) MUST_CHECK;
/* Brings voucher and oss up to date after `changes`; payments absent: those of the voucher as it stands. */
enum outcome order_write_cells(struct decision *decision, struct order *order, unsigned changes,
                               struct text payments) MUST_CHECK;

/* ---- shipments: delivery.c ---- */

enum outcome shipment_touch(struct decision *decision, struct shipment *shipment) MUST_CHECK;
/* The generation of the earliest requested or changed; true when it is another now (regenerate.c). */
bool shipment_regenerate(const struct decision *decision, struct shipment *shipment);
/* Sets the end of the delivery cell; order: whose last_delivered counts for outbound ones (a return may pass
 * NULL). */
enum outcome shipment_keep_until(struct decision *decision, struct shipment *shipment,
                                 const struct order *order) MUST_CHECK;
/* A carrier's status under a ref that is known and its own. */
enum outcome shipment_status(struct decision *decision, const struct event *event,
                             const struct ref_entry *entry, enum verdict *verdict) MUST_CHECK;
/* "recipient:<id>", or the customer; absent when the arena is full. */
struct text shipment_consignee(const struct event *event, struct arena *arena);
const char *shipment_role(bool is_return);

/* ---- disclosures: disclosure.c ---- */

/* The unit that should be held now; false when none should. */
bool unit_wanted(const struct shipment *shipment, struct unit *unit);
/* The shipment knows of the unit, in whatever state. */
bool unit_entered(const struct shipment *shipment, const struct unit *unit);
/* Who holds it now, or NULL. */
struct unit *unit_held(const struct shipment *shipment);
bool unit_same(const struct unit *a, const struct unit *b);
bool unit_same_person(const struct unit *a, const struct unit *b); /* ... of the same carrier */
/* The carrier was told of the shipment before: then its shipment_ref is known, without a look. */
bool carrier_told(const struct shipment *shipment, struct text carrier);
/* The delivery content that somebody holds, as last told; absent when nobody does. Taken before it changes.
 */
struct text disclosure_told(const struct shipment *shipment);
/* Tells the difference between what carriers hold of the shipment and what they should. */
enum outcome disclosure_settle(struct decision *decision, const struct event *event,
                               struct shipment *shipment, struct text told) MUST_CHECK;

/* ---- refs: parking.c; notices: notice.c ---- */

/* The ref gets its meaning: what is parked under it takes effect. owner: customer of a shipment, person of a
 * notice. */
enum outcome ref_known(struct decision *decision, const struct ref *ref, enum ref_kind kind,
                       struct text recipient, struct text owner, struct text object) MUST_CHECK;
/* An answer under a ref that is known and its own. */
enum outcome notice_answered(struct decision *decision, const struct event *event,
                             const struct ref_entry *entry) MUST_CHECK;

/* ---- outputs: output.c ---- */

/* A notice about to go out; decided, answer_by and the like are filled in from the decision. */
struct notice_plan {
    const char *kind;  /* corrected, withdrawn, anonymize */
    const char *cause; /* its reason, or cause; of corrected: changed */
    int part;
    const struct shipment *shipment; /* NULL: of a letter, or of several shipments */
    const struct unit *unit;         /* its carrier, person, service, role; of anonymize any of them */
    struct ref disclosure;           /* of corrected, withdrawn */
    LIST(struct text) disclosures;   /* all that it covers */
    const struct flat *flat;         /* of corrected */
    field_set fields;
};
/* Parts of notices that recall what a restored register may have told before: this one and lower ones, which
 * no other notice of an event has. */
#define NOTICE_LOST_PART (-1)
/* What the outputs of one event share. */
struct output_cause {
    const struct event *event;
    struct text bytes; /* event_cause: for ids and refs */
    struct text name;  /* "source id": for the ledger */
};
enum outcome output_cause_of(struct decision *decision, const struct event *event,
                             struct output_cause *cause) MUST_CHECK;
struct ref unit_ref(const struct ref_key *ref_key, const struct shipment *shipment, const struct unit *unit);
/* The output of a message to a recipient about a unit, its body taken from the writer, but for what differs
 * by type. shipment NULL: a letter. NULL when the arena is full. */
struct output *output_to_recipient(struct decision *decision, const struct output_cause *cause,
                                   const char *type, const struct shipment *shipment, const struct unit *unit,
                                   const struct ref *person_ref, struct text object, int ordinal);
/* The `anonymize` has been decided already, by this event now or when it came before. */
bool output_notice_known(const struct decision *decision, const struct output_cause *cause,
                         const struct notice_plan *plan);
/* NULL when the policy no longer has it. */
const struct policy_service *unit_service(const struct policy *policy, const struct unit *unit);
enum outcome output_disclosure(struct decision *decision, const struct output_cause *cause,
                               const struct shipment *shipment, const struct unit *unit) MUST_CHECK;
/* The output, the notice's row and its ref. */
enum outcome output_notice(struct decision *decision, const struct output_cause *cause,
                           const struct notice_plan *plan) MUST_CHECK;
#endif
