/* What the shop and a carrier say in the tests of the consumer's loop: records appended to topics in memory.
 */
#ifndef KR_CONSUME_SAMPLE_H
#define KR_CONSUME_SAMPLE_H

#include "core/ref.h"
#include "tests/unit/memory_register.h"

extern const struct ref_key sample_ref_key;

/* Every path that stores something, a parked status and a bad record among them. */
void sample_all(struct memory_register *memory);
/* Consents, one withdrawn by a token that nobody knows yet, and an address in two hands. */
void sample_consents(struct memory_register *memory);
/* Erasures: while a parcel is under way (delivered later), of a gift's consignee (s3, under way still), by
 * closing; then a return, and a request sent twice. */
void sample_erasures(struct memory_register *memory);
/* A status of shipment s1 of c1. */
void sample_status(struct memory_register *memory, const char *id, const char *time, const char *status);
/* A consent of that customer. */
void sample_granted(struct memory_register *memory, const char *customer_id, const char *id,
                    const char *time);
void sample_order_and_shipment(struct memory_register *memory);

#endif
