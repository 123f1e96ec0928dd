/* Prints the keys of rings, for tests that search for them where they must not be:
 *   ring KEKFILE VAULT_ID        reads lines "PERSON GENERATION KEY_ID BLOB TRANSIT", the last three in
 * hexadecimal, and prints "PERSON GENERATION cells|transit CATEGORY PERIOD SERIAL KEY" for each key */
#include "core/ring.h"
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define BLOB_MAX 65536

static const char *vault_id;
static uint8_t unwrapping[RING_LABELS][32];

static bool from_hex(const char *hex, uint8_t *bytes, size_t room, size_t *size) {
    return sodium_hex2bin(bytes, room, hex, strlen(hex), NULL, size, NULL) == 0;
}

static bool print_keys(enum ring_label label, const struct ring_row *row, struct text blob) {
    struct ring_keys keys = {0};
    char hex[2 * SEAL_KEY_BYTES + 1];
    if (ring_unwrap(unwrapping[label], label, vault_id, row, blob, &keys) != OK)
        return false;
    for (size_t i = 0; i < keys.count; i++) {
        const struct ring_key *key = &keys.at[i];
        printf("%.*s %lld %s %d %d %d %s\n", TEXT_ARGS(row->person), (long long)row->generation,
               label == RING_CELLS ? "cells" : "transit", key->category, key->period, key->serial,
               sodium_bin2hex(hex, sizeof(hex), key->key, sizeof(key->key)));
    }
    ring_keys_release(&keys);
    return true;
}

int main(int argc, char **argv) {
    static char person[128], id[64], cells[2 * BLOB_MAX + 1], transit[2 * BLOB_MAX + 1];
    static uint8_t cells_blob[BLOB_MAX], transit_blob[BLOB_MAX];
    uint8_t kek[32];
    struct err err;
    long long generation;
    if (argc != 3 || seal_start(&err) != OK || secret_read(argv[1], kek, &err) != OK)
        return 2;
    vault_id = argv[2];
    for (int label = 0; label < RING_LABELS; label++)
        ring_derive(kek, (enum ring_label)label, unwrapping[label]);
    while (scanf("%127s %lld %63s %131072s %131072s", person, &generation, id, cells, transit) == 5) {
        struct ring_row row = {.person = text_of(person), .generation = generation};
        size_t size, cells_size, transit_size;
        if (!from_hex(id, row.key_id, sizeof(row.key_id), &size) ||
            !from_hex(cells, cells_blob, sizeof(cells_blob), &cells_size) ||
            !from_hex(transit, transit_blob, sizeof(transit_blob), &transit_size) ||
            !print_keys(RING_CELLS, &row, (struct text){(const char *)cells_blob, cells_size}) ||
            !print_keys(RING_TRANSIT, &row, (struct text){(const char *)transit_blob, transit_size})) {
            fprintf(stderr, "ring: a ring does not open\n");
            return 1;
        }
    }
    return 0;
}
