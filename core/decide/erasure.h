/* What the files about erasure share: erasure.c decides, regenerate.c moves, erasure_notice.c and
 * anonymized.c tell. PURE. */
#ifndef KR_DECIDE_ERASURE_H
#define KR_DECIDE_ERASURE_H

#include "core/decide/effect.h"

/* The shipment of that place in the guard's whole, which must be loaded. */
struct shipment *erasure_whole_shipment(const struct decision *decision, const struct person *guard,
                                        size_t index);

/* ---- regenerate.c: everything of a person goes to the generation that the cuts give it ---- */

/* The rows of the generations; the profile goes over from that of newest_us, the newest before. */
enum outcome regenerate_person(struct decision *decision, struct person *guard, int64_t newest_us) MUST_CHECK;
enum outcome regenerate_orders(struct decision *decision, const struct person *guard) MUST_CHECK;
enum outcome regenerate_shipments(struct decision *decision, const struct person *guard) MUST_CHECK;
/* What a carrier held under the refs of another generation was named in a notice: it is told anew. */
enum outcome regenerate_disclosures(struct decision *decision, const struct event *event,
                                    const struct person *guard) MUST_CHECK;

/* ---- erasure_notice.c ---- */

/* The latest instant up to which a request has erased him; TIME_NONE, before any: none has. */
int64_t erasure_requested_us(const struct decision *decision, struct text person);

/* `anonymize` for whatever was told of the person, does not wait, and was not named in such a notice yet. */
enum outcome erasure_notices(struct decision *decision, const struct event *event,
                             struct person *guard) MUST_CHECK;

/* ---- anonymized.c ---- */

/* register.customer.anonymized of that cut. */
enum outcome anonymized_tell(struct decision *decision, const struct event *event, const struct person *guard,
                             const struct cut *cut) MUST_CHECK;
/* register.subject.erased: the whole tombstone. */
enum outcome anonymized_tell_subject(struct decision *decision, const struct event *event,
                                     const struct person *guard) MUST_CHECK;

#endif
