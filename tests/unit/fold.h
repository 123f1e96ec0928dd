/* A register in memory that events are folded over, batch by batch, through the same stages as the real one:
 * needs, load, decide, store. Rows are kept packed and cells apart, so that what decide did not ask for is
 * not there. */
#ifndef KR_FOLD_H
#define KR_FOLD_H

#include "core/decide/decide.h"

#define FOLD_NOW "2026-05-20T09:00:00Z"

struct fold {
    struct policy *policy;
    struct ref_key ref_key;
    struct json_writer *writer;
    struct arena kept, batch;
    struct state *rows; /* the register */
    LIST(struct output) outputs;
    LIST(struct doom) dooms; /* keys that are to be destroyed */
    size_t verdicts[VERDICTS], second_facts;
    size_t rows_written; /* by the last fold_batch */
    size_t redone;       /* batches that met a ref which decide had not asked for */
    int64_t now_us, restored_us;
};

void fold_init(struct fold *fold);
void fold_release(struct fold *fold);
/* An empty register again. */
void fold_reset(struct fold *fold);

/* One batch, in that order. */
void fold_batch(struct fold *fold, const struct event *const *events, size_t count);
enum verdict fold_event(struct fold *fold, const struct event *event);
/* The calendar's act for a parked event, at its due time. */
enum verdict fold_expire(struct fold *fold, const struct event *parked);

/* The whole dump with open cells, one line an aggregate, in the dump's order. Valid until the next reset. */
struct text fold_dump(struct fold *fold);
/* The packed rows of persons, orders and shipments one after the other (units left out: they tell the
 * history). */
struct text fold_packed(struct fold *fold);
/* What each recipient holds after all outputs (O3): one line a (recipient, person, shipment). Fails the test
 * when an output id comes twice (O1), a notice speaks of what is not held, or who was told of an erased
 * person got no notice of it (O4). */
struct text fold_told(struct fold *fold);
/* The last record under each key of the shop's compacted topics, and the last state of each request. */
struct text fold_records(struct fold *fold);
/* How many outputs of that type (without .v1) there are, and the n-th. */
size_t fold_count(const struct fold *fold, const char *type);
const struct output *fold_output(const struct fold *fold, const char *type, size_t index);
bool fold_doomed(const struct fold *fold, const char *person, int64_t generation, enum category category);

/* ---- events ---- */

/* Minutes after 2026-05-02T07:00Z; the id is the event's, its digest is made of `id` and `data`. */
struct event fold_fact(enum event_type type, const char *id, int64_t minute, const char *data);
struct contact fold_contact(const char *first_name, const char *street, const char *city);
struct event fold_registered(const char *id, int64_t minute, const char *customer_id, struct contact contact);
struct event fold_changed(const char *id, int64_t minute, const char *customer_id, enum contact_field field,
                          const char *value);
struct event fold_placed(const char *id, int64_t minute, const char *customer_id, const char *order_id,
                         int64_t total);
struct event fold_paid(const char *id, int64_t minute, const char *customer_id, const char *order_id,
                       int64_t amount);
struct event fold_cancelled(const char *id, int64_t minute, const char *customer_id, const char *order_id);
struct event fold_requested(const char *id, int64_t minute, const char *customer_id, const char *order_id,
                            const char *shipment_id, const char *carrier, const char *service);
struct event fold_shipment_cancelled(const char *id, int64_t minute, const char *customer_id,
                                     const char *order_id, const char *shipment_id);
/* A status under the ref that the carrier would have. */
struct event fold_status(struct fold *fold, const char *id, int64_t minute, const char *carrier,
                         const char *customer_id, const char *shipment_id, int64_t parcel,
                         enum delivery_status status);
struct event fold_acknowledged(struct fold *fold, const char *id, int64_t minute, const char *carrier,
                               struct text notice_ref, enum ack_outcome outcome);
/* seen, closed */
struct event fold_about(enum event_type type, const char *id, int64_t minute, const char *customer_id);
/* An erasure is asked for; person: "c1" or "recipient:r1", NULL: somebody behind an e-mail address. */
struct event fold_asked(const char *id, int64_t minute, const char *request_id, const char *person,
                        const char *identity);
struct event fold_identified(const char *id, int64_t minute, const char *request_id, const char *identity);
struct event fold_tied(const char *id, int64_t minute, const char *request_id, const char *person);
/* The notice_ref in an output's body. */
struct text fold_notice_ref(struct fold *fold, const struct output *output);

#endif
