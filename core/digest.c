/* Keyed digests by libsodium. */
#include "core/digest.h"

#include <assert.h>
#include <sodium.h>

void digest_keyed(const uint8_t key[DIGEST_KEY_BYTES], struct text text, uint8_t *out, size_t out_bytes) {
    assert(out_bytes >= crypto_generichash_BYTES_MIN && out_bytes <= crypto_generichash_BYTES_MAX);
    int failed =
        crypto_generichash(out, out_bytes, (const unsigned char *)text.at, text.size, key, DIGEST_KEY_BYTES);
    assert(!failed);
    (void)failed;
}
