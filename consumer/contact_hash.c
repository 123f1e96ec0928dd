/* Keyed hashes of contact fields as events carry them: 64 lower-case hex digits. */
#include "consumer/contact_hash.h"
#include "core/keyring.h"
#include <assert.h>
#include <sodium.h>

#define HASH_BYTES 32

static struct text hex_of(const uint8_t hash[HASH_BYTES], struct arena *arena) {
    char hex[2 * HASH_BYTES + 1];
    sodium_bin2hex(hex, sizeof hex, hash, HASH_BYTES);
    return arena_text(arena, text_of(hex));
}

/* False when memory ran out. */
static bool hash_email(const uint8_t key[32], struct text email, struct arena *arena, struct text *hex) {
    uint8_t hash[HASH_BYTES];
    if (!text_present(email))
        return true;
    if (!lookup_hash_email(key, email, arena, hash))
        return false;
    *hex = hex_of(hash, arena);
    return text_present(*hex);
}

static bool hash_phone(const uint8_t key[32], struct text phone, struct arena *arena, struct text *hex) {
    uint8_t hash[HASH_BYTES];
    if (!text_present(phone))
        return true;
    lookup_hash_phone(key, phone, hash);
    *hex = hex_of(hash, arena);
    return text_present(*hex);
}

enum outcome contact_hash_event(const uint8_t key[32], struct event *event, struct arena *arena) {
    bool fits = true;
    if (event->type == CUSTOMER_REGISTERED || event->type == CUSTOMER_CHANGED) {
        const struct contact *contact = &event->as.customer.contact;
        if (contact->stated[EMAIL])
            fits = hash_email(key, contact->field[EMAIL], arena, &event->as.customer.email_hash);
        if (contact->stated[PHONE])
            fits = fits && hash_phone(key, contact->field[PHONE], arena, &event->as.customer.phone_hash);
    } else if (event->type == REQUEST_RECEIVED) {
        fits = hash_email(key, event->as.request.email, arena, &event->as.request.contact_hash) &&
               hash_phone(key, event->as.request.phone, arena, &event->as.request.contact_hash);
    }
    return fits ? OK : RETRY;
}

void contact_hash_read(struct text hex, uint8_t hash[HASH_BYTES]) {
    size_t size = 0;
    int failed = sodium_hex2bin(hash, HASH_BYTES, hex.at, hex.size, NULL, &size, NULL);
    assert(!failed && size == HASH_BYTES);
}
