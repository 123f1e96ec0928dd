/* Between stages 2 and 3: keyed hashes of the e-mail and phone that an event states, by which addresses are
 * compared and persons looked up without the register holding any. */
#ifndef KR_CONSUMER_CONTACT_HASH_H
#define KR_CONSUMER_CONTACT_HASH_H

#include "core/err.h"
#include "core/event.h"

/* Fills in email_hash and phone_hash of registered and changed, contact_hash of a request that came with an
 * address; other events are left alone. key: lookup_key_derive. RETRY when the arena is full. */
enum outcome contact_hash_event(const uint8_t key[32], struct event *event, struct arena *arena) MUST_CHECK;
/* The 32 bytes of such a hash. */
void contact_hash_read(struct text hex, uint8_t hash[32]);

#endif
