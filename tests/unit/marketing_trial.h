/* Events of marketing for tests, and trials of all their orders: consents, permissions, suppressed addresses,
 * the last records and what mail houses hold must be the same after each, and a replay must be silent. */
#ifndef KR_MARKETING_TRIAL_H
#define KR_MARKETING_TRIAL_H

#include "tests/unit/fold.h"

#define RECORD "register.marketing.permission"
#define LETTER "register.disclosure.newsletter"
#define EVENTS_MOST 9
#define SINCE_NONE ((int64_t)-1)

/* The register that all the others work on. */
void marketing_begin(struct fold *used);

struct event marketing_registered(const char *id, int64_t minute, const char *customer_id, const char *email);
struct event marketing_changed(const char *id, int64_t minute, const char *customer_id, const char *email);
struct event marketing_said(enum event_type type, const char *id, int64_t minute, const char *customer_id);
struct event marketing_granted(const char *id, int64_t minute, const char *customer_id, bool confirmed);
struct event marketing_soft_opt_in(const char *id, int64_t minute, const char *customer_id,
                                   const char *order_id);
struct event marketing_by_token(enum event_type type, const char *id, int64_t minute, const char *customer_id,
                                int64_t generation);

/* All orders that keep partition order, in batches of one to three; leaves the register of the given order.
 */
void marketing_try(const struct event *events, size_t count);
/* Some orders and batches of a random choice among the events. */
void marketing_try_some(const struct event *all, size_t count, uint64_t *seed);
/* The only line of the generation. */
const struct permission *marketing_line(const char *customer_id, int64_t generation);
void marketing_assert(const char *customer_id, int64_t generation, enum permission_reason reason,
                      int64_t since_minute);

#endif
