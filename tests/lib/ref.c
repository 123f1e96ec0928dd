/* Prints the ref that a register will give, for tests that must know it beforehand:
 *   ref KEYFILE shipment RECIPIENT CUSTOMER SHIPMENT
 *   ref KEYFILE person RECIPIENT PERSON [GENERATION]
 *   ref KEYFILE token CUSTOMER GENERATION
 *   ref KEYFILE subject PERSON
 *   ref KEYFILE shipments        reads lines "RECIPIENT CUSTOMER SHIPMENT" and prints a ref for each
 * GENERATION: the cut before it in microseconds since 1970, -1 for the first. */
#include "core/decide/state.h"
#include "core/ref.h"
#include "core/seal.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int print_many(const struct ref_key *key) {
    char recipient[65], customer[80], shipment[65];
    while (scanf("%64s %79s %64s", recipient, customer, shipment) == 3)
        puts(ref_shipment(key, text_of(recipient), text_of(customer), text_of(shipment)).chars);
    return 0;
}

static bool generation_of(const char *word, int64_t *generation) {
    char *end;
    errno = 0;
    *generation = strtoll(word, &end, 10);
    return errno == 0 && end != word && *end == '\0';
}

static int print_one(const struct ref_key *key, int count, char **words) {
    int64_t generation = GENERATION_FIRST;
    char subject[SUBJECT_CHARS + 1];
    if (count == 4 && strcmp(words[0], "shipment") == 0)
        puts(ref_shipment(key, text_of(words[1]), text_of(words[2]), text_of(words[3])).chars);
    else if ((count == 3 || (count == 4 && generation_of(words[3], &generation))) &&
             strcmp(words[0], "person") == 0)
        puts(ref_person(key, text_of(words[1]), text_of(words[2]), generation).chars);
    else if (count == 3 && generation_of(words[2], &generation) && strcmp(words[0], "token") == 0)
        puts(ref_token(key, text_of(words[1]), generation).chars);
    else if (count == 2 && strcmp(words[0], "subject") == 0) {
        ref_subject(key, text_of(words[1]), subject);
        puts(subject);
    } else
        return 2;
    return 0;
}

int main(int argc, char **argv) {
    struct ref_key key;
    struct err err;
    if (argc < 3 || seal_start(&err) != OK || secret_read(argv[1], key.bytes, &err) != OK) {
        fputs("ref: no key\n", stderr);
        return 2;
    }
    if (argc == 3 && strcmp(argv[2], "shipments") == 0)
        return print_many(&key);
    return print_one(&key, argc - 2, argv + 2);
}
