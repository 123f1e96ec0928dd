/* Keyed hashes to find a person by: what a person writes in two ways must hash to one. */
#include "core/keyring.h"

#include "core/digest.h"

#include <stdlib.h>
#include <unicase.h>

#define LOOKUP_BYTES 1024 /* an address is at most 254 characters; a longer text is hashed as it stands */

void lookup_key_derive(const uint8_t digest_key[32], uint8_t key[32]) {
    digest_keyed(digest_key, TEXT("kundregister lookup key"), key, 32);
}

/* The kind goes in front: a phone number that is somebody's e-mail is another hash. */
static void lookup_hash(const uint8_t key[32], const char *kind, struct text value, uint8_t hash[32]) {
    char bytes[LOOKUP_BYTES];
    size_t kind_bytes = strlen(kind) + 1;
    if (value.size > sizeof(bytes) - kind_bytes) {
        digest_keyed(key, value, hash, 32);
        return;
    }
    memcpy(bytes, kind, kind_bytes);
    if (value.size) {
        memcpy(bytes + kind_bytes, value.at, value.size);
    }
    digest_keyed(key, (struct text){bytes, kind_bytes + value.size}, hash, 32);
    secret_wipe(bytes, kind_bytes + value.size);
}

static bool space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

bool lookup_hash_email(const uint8_t key[32], struct text email, struct arena *arena, uint8_t hash[32]) {
    while (email.size && space(email.at[0])) {
        email = (struct text){email.at + 1, email.size - 1};
    }
    while (email.size && space(email.at[email.size - 1])) {
        email.size--;
    }
    char *lower = arena_take(arena, email.size ? email.size : 1);
    bool ascii = true;
    if (!lower) {
        return false;
    }
    for (size_t i = 0; ascii && i < email.size; i++) {
        char c = email.at[i];
        ascii = (unsigned char)c < 0x80;
        lower[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    if (ascii) {
        lookup_hash(key, "email", (struct text){lower, email.size}, hash);
        return true;
    }
    size_t size = 0;
    uint8_t *folded = u8_tolower((const uint8_t *)email.at, email.size, NULL, UNINORM_NFC, NULL, &size);
    if (!folded) {
        return false; /* not as it came: an objection under another hash would be lost */
    }
    lookup_hash(key, "email", (struct text){(const char *)folded, size}, hash);
    secret_wipe(folded, size);
    free(folded);
    return true;
}

void lookup_hash_phone(const uint8_t key[32], struct text phone, uint8_t hash[32]) {
    lookup_hash(key, "phone", phone, hash);
}
