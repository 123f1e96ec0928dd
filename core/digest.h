/* Keyed digests: BLAKE2b (RFC 7693) as libsodium computes it. Who lacks the key can neither recompute nor
 * join them. Callable from any thread. */
#ifndef KR_DIGEST_H
#define KR_DIGEST_H

#include "core/text.h"
#include <stdint.h>

#define DIGEST_KEY_BYTES 32

/* out_bytes is 16 to 64 and is part of what is hashed: a shorter digest is not the beginning of a longer one.
 */
void digest_keyed(const uint8_t key[DIGEST_KEY_BYTES], struct text text, uint8_t *out, size_t out_bytes);

#endif
