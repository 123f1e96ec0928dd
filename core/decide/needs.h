/* How the files that say what an event must find loaded ask for it. Asking is repeated, round after round,
 * with what the state knows so far (decide.h, decide_needs): asking too much costs a read, asking too little
 * is a bug that the effects assert. PURE. */
#ifndef KR_DECIDE_NEEDS_H
#define KR_DECIDE_NEEDS_H

#include "core/decide/decide.h"

struct asking {
    const struct event *event;
    const struct policy *policy;
    const struct ref_key *ref_key;
    struct state *state;
    struct arena *arena;
    need_touch *touch;
    void *context;
    struct text cause; /* made when first used */
    /* whose permission may change: the event's customer, or whom a cut of it concerns; absent: the event is a
     * consent by token */
    struct text person;
};

enum outcome ask(const struct asking *asking, enum need_kind kind, struct text owner, struct text object,
                 unsigned cells) MUST_CHECK;
enum outcome ask_person(const struct asking *asking, struct text person) MUST_CHECK;
/* The ref of a notice that this event may cause, with what is parked under it. */
enum outcome ask_notice_ref(struct asking *asking, const struct ref *about, const char *kind,
                            int part) MUST_CHECK;
/* All that is a person's, row by row: guard, orders, shipments with their consignees, requests and whom else
 * those concern. Cells of orders and shipments later than after_us are opened, and what waits. */
enum outcome ask_whole(struct asking *asking, struct text person, int64_t after_us) MUST_CHECK;

/* ---- needs_erasure.c ---- */

#define NEED_ORDER_CELLS (NEED_CLAIM | NEED_VOUCHER | NEED_OSS)
/* The person has cuts, or an event of this batch may make one. */
bool needs_concerns(const struct asking *asking, struct text person);
/* This event may cut the person then; TIME_NONE: when other events of the batch say. */
enum outcome needs_cut(struct asking *asking, struct text person, int64_t cut_us) MUST_CHECK;
/* This event may change what an erased person waits for: a shipment to him first requested then. */
enum outcome needs_follow(struct asking *asking, struct text person, int64_t time_us) MUST_CHECK;
/* request.received, identified, and a case tied to a person. */
enum outcome needs_request(struct asking *asking) MUST_CHECK;

/* The notices of erasure_tell_lost. erasure_notice.c */
enum outcome erasure_lost_needs(struct asking *asking, struct text consignee) MUST_CHECK;

/* ---- needs_shipment.c ---- */

enum outcome needs_requested(struct asking *asking) MUST_CHECK; /* and changed */
enum outcome needs_cancelled(struct asking *asking) MUST_CHECK;
enum outcome needs_status(struct asking *asking, const struct shipment *shipment) MUST_CHECK;

/* needs_marketing.c: what consent_stated, permission_follow, address_stated, address_recut and consent_recut
 * read and write when this event concerns asking->person. Asked for every event that may move his permission:
 * consents, registered, changed, closed, placed, paid, order.cancelled, the facts of a cut. */
enum outcome marketing_needs(struct asking *asking) MUST_CHECK;

#endif
