/* Names that only their reader can use: keyed BLAKE2b over a label and length-prefixed parts. */
#include "core/ref.h"

#include <sodium.h>
#include <stdio.h>

_Static_assert(REF_CHARS + 1 == sodium_base64_ENCODED_LEN(32, sodium_base64_VARIANT_URLSAFE_NO_PADDING),
               "a ref is 32 bytes in base64url");

/* Enough for a few ids; longer input goes to the hash piece by piece. */
#define INPUT_BYTES 512

/* What is hashed, gathered so that BLAKE2b is called once for the usual short input. */
struct input {
    crypto_generichash_state state;
    size_t size, hash_bytes;
    const struct ref_key *key;
    bool streaming;
    unsigned char bytes[INPUT_BYTES];
};

static void input_flush(struct input *input) {
    if (!input->streaming) {
        crypto_generichash_init(&input->state, input->key->bytes, REF_KEY_BYTES, input->hash_bytes);
        input->streaming = true;
    }
    crypto_generichash_update(&input->state, input->bytes, input->size);
    input->size = 0;
}

static void input_bytes(struct input *input, const void *bytes, size_t size) {
    if (size > INPUT_BYTES - input->size)
        input_flush(input);
    if (size > INPUT_BYTES) {
        crypto_generichash_update(&input->state, bytes, size);
        return;
    }
    if (size)
        memcpy(input->bytes + input->size, bytes, size);
    input->size += size;
}

static void input_number(struct input *input, int64_t number) {
    unsigned char bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)((uint64_t)number >> (8 * i));
    input_bytes(input, bytes, sizeof(bytes));
}

/* The length first, so that no two lists of parts look alike; absent differs from empty. */
static void input_text(struct input *input, struct text text) {
    input_number(input, text.at ? (int64_t)text.size : -1);
    input_bytes(input, text.at, text.at ? text.size : 0);
}

static void input_begin(struct input *input, const struct ref_key *key, size_t hash_bytes,
                        const char *label) {
    input->size = 0;
    input->hash_bytes = hash_bytes;
    input->key = key;
    input->streaming = false;
    input_text(input, text_of(label));
}

static void input_end(struct input *input, unsigned char *hash) {
    if (input->streaming) {
        input_flush(input);
        crypto_generichash_final(&input->state, hash, input->hash_bytes);
        return;
    }
    crypto_generichash(hash, input->hash_bytes, input->bytes, input->size, input->key->bytes, REF_KEY_BYTES);
}

/* Thirty-two bytes as forty-three characters. libsodium's own takes constant time, which is ten times slower:
 * a ref is no secret, and decide makes dozens for an event. */
static void base64url(const unsigned char bytes[32], char chars[REF_CHARS + 1]) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    size_t to = 0;
    for (size_t i = 0; i < 30; i += 3) {
        unsigned group = (unsigned)bytes[i] << 16 | (unsigned)bytes[i + 1] << 8 | bytes[i + 2];
        chars[to++] = digits[group >> 18];
        chars[to++] = digits[group >> 12 & 63];
        chars[to++] = digits[group >> 6 & 63];
        chars[to++] = digits[group & 63];
    }
    unsigned rest = (unsigned)bytes[30] << 8 | bytes[31];
    chars[to++] = digits[rest >> 10];
    chars[to++] = digits[rest >> 4 & 63];
    chars[to++] = digits[rest << 2 & 63];
    chars[to] = '\0';
}

static struct ref input_ref(struct input *input) {
    unsigned char hash[32];
    struct ref ref;
    input_end(input, hash);
    base64url(hash, ref.chars);
    return ref;
}

struct ref ref_person(const struct ref_key *key, struct text recipient, struct text person,
                      int64_t generation) {
    struct input input;
    input_begin(&input, key, 32, "person_ref");
    input_text(&input, recipient);
    input_text(&input, person);
    input_number(&input, generation);
    return input_ref(&input);
}

struct ref ref_shipment(const struct ref_key *key, struct text recipient, struct text customer_id,
                        struct text shipment_id) {
    struct input input;
    input_begin(&input, key, 32, "shipment_ref");
    input_text(&input, recipient);
    input_text(&input, customer_id);
    input_text(&input, shipment_id);
    return input_ref(&input);
}

struct ref ref_disclosure(const struct ref_key *key, struct text carrier, struct text person,
                          int64_t generation, struct text customer_id, struct text shipment_id,
                          struct text service, struct text role) {
    struct input input;
    input_begin(&input, key, 32, "disclosure_ref");
    input_text(&input, carrier);
    input_text(&input, person);
    input_number(&input, generation);
    input_text(&input, customer_id);
    input_text(&input, shipment_id);
    input_text(&input, service);
    input_text(&input, role);
    return input_ref(&input);
}

struct ref ref_notice(const struct ref_key *key, const struct ref *about, const char *kind, struct text cause,
                      int part) {
    struct input input;
    input_begin(&input, key, 32, "notice_ref");
    input_text(&input, text_of(about->chars));
    input_text(&input, text_of(kind));
    input_text(&input, cause);
    input_number(&input, part);
    return input_ref(&input);
}

struct ref ref_token(const struct ref_key *key, struct text customer_id, int64_t generation) {
    struct input input;
    input_begin(&input, key, 32, "token");
    input_text(&input, customer_id);
    input_number(&input, generation);
    return input_ref(&input);
}

struct ref ref_fact(const struct ref_key *key, struct text cause) {
    struct input input;
    input_begin(&input, key, 32, "fact");
    input_text(&input, cause);
    return input_ref(&input);
}

void ref_subject(const struct ref_key *key, struct text person, char subject[SUBJECT_CHARS + 1]) {
    unsigned char hash[SUBJECT_CHARS / 2];
    struct input input;
    input_begin(&input, key, sizeof(hash), "subject");
    input_text(&input, person);
    input_end(&input, hash);
    sodium_bin2hex(subject, SUBJECT_CHARS + 1, hash, sizeof(hash));
}

struct output_id output_id_derive(const struct ref_key *key, struct text recipient, const char *kind,
                                  struct text person, int64_t generation, struct text object,
                                  struct text cause, int64_t ordinal) {
    struct input input;
    struct output_id id;
    input_begin(&input, key, sizeof(id.bytes), "output_id");
    input_text(&input, recipient);
    input_text(&input, text_of(kind));
    input_text(&input, person);
    input_number(&input, generation);
    input_text(&input, object);
    input_text(&input, cause);
    input_number(&input, ordinal);
    input_end(&input, id.bytes);
    id.bytes[6] = (unsigned char)((id.bytes[6] & 0x0f) | 0x80); /* version 8 */
    id.bytes[8] = (unsigned char)((id.bytes[8] & 0x3f) | 0x80); /* variant of RFC 9562 */
    return id;
}

struct text event_cause(const struct event *event, struct arena *arena) {
    const struct version *version = &event->version;
    size_t size = version->source.size + version->id.size + version->sequence.size + 3 + 8 + DIGEST_BYTES;
    char *cause = arena_take(arena, size), *at = cause;
    if (!cause)
        return TEXT_ABSENT;
    const struct text parts[] = {version->source, version->id, version->sequence};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (parts[i].size)
            memcpy(at, parts[i].at, parts[i].size);
        at += parts[i].size;
        *at++ = '\0';
    }
    for (int i = 0; i < 8; i++)
        *at++ = (char)((uint64_t)version->time_us >> (8 * i));
    memcpy(at, version->digest, DIGEST_BYTES);
    return (struct text){cause, size};
}

void output_id_write(const struct output_id *id, char buffer[37]) {
    static const char hex[] = "0123456789abcdef";
    char *at = buffer;
    for (size_t i = 0; i < sizeof(id->bytes); i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *at++ = '-';
        *at++ = hex[id->bytes[i] >> 4];
        *at++ = hex[id->bytes[i] & 15];
    }
    *at = '\0';
}
