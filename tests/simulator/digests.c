/* Remembers what BLAKE2b gave for the same input. Refs and ids of few persons are derived over and over: by
 * each process, in each try of a batch and in the reference. What is hashed and what comes of it stay
 * libsodium's. */
#include <sodium.h>
#include <string.h>

enum { SLOTS = 1024, INPUT_MOST = 208, KEY_BYTES = 32, HASH_MOST = 32 };

struct slot {
    unsigned char key[KEY_BYTES], input[INPUT_MOST], hash[HASH_MOST];
    unsigned char size, hash_bytes; /* hash_bytes 0: empty */
};

int __real_crypto_generichash(unsigned char *hash, size_t hash_bytes, const unsigned char *input,
                              unsigned long long size, const unsigned char *key, size_t key_bytes);
int __wrap_crypto_generichash(unsigned char *hash, size_t hash_bytes, const unsigned char *input,
                              unsigned long long size, const unsigned char *key, size_t key_bytes);

static struct slot *slot_of(const unsigned char *input, size_t size) {
    static struct slot slots[SLOTS];
    uint64_t mixed = size, word = 0;
    for (; size >= sizeof word; input += sizeof word, size -= sizeof word) {
        memcpy(&word, input, sizeof word);
        mixed = (mixed ^ word) * 0x9E3779B97F4A7C15u;
        mixed ^= mixed >> 32;
    }
    word = 0;
    memcpy(&word, input, size);
    mixed = (mixed ^ word) * 0x9E3779B97F4A7C15u;
    return &slots[mixed >> 54];
}

int __wrap_crypto_generichash(unsigned char *hash, size_t hash_bytes, const unsigned char *input,
                              unsigned long long size, const unsigned char *key, size_t key_bytes) {
    if (size > INPUT_MOST || key_bytes != KEY_BYTES || hash_bytes > HASH_MOST)
        return __real_crypto_generichash(hash, hash_bytes, input, size, key, key_bytes);
    struct slot *slot = slot_of(input, (size_t)size);
    if (slot->hash_bytes != hash_bytes || slot->size != size ||
        memcmp(slot->input, input, (size_t)size) != 0 || memcmp(slot->key, key, KEY_BYTES) != 0) {
        slot->hash_bytes = 0;
        if (__real_crypto_generichash(slot->hash, hash_bytes, input, size, key, key_bytes))
            return -1;
        memcpy(slot->input, input, (size_t)size);
        memcpy(slot->key, key, KEY_BYTES);
        slot->size = (unsigned char)size;
        slot->hash_bytes = (unsigned char)hash_bytes;
    }
    memcpy(hash, slot->hash, hash_bytes);
    return 0;
}
