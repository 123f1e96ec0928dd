/* Prints the ref that a register will give, for tests that must know it beforehand:
 *   ref KEYFILE shipment RECIPIENT CUSTOMER SHIPMENT
 *   ref KEYFILE person RECIPIENT PERSON
 *   ref KEYFILE shipments        reads lines "RECIPIENT CUSTOMER SHIPMENT" and prints a ref for each */
#include "core/decide/state.h"
#include "core/ref.h"
#include "core/seal.h"
#include <stdio.h>
#include <string.h>

static int print_many(const struct ref_key *key) {
    char recipient[65], customer[80], shipment[65];
    while (scanf("%64s %79s %64s", recipient, customer, shipment) == 3)
        puts(ref_shipment(key, text_of(recipient), text_of(customer), text_of(shipment)).chars);
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
    if (argc == 6 && strcmp(argv[2], "shipment") == 0)
        puts(ref_shipment(&key, text_of(argv[3]), text_of(argv[4]), text_of(argv[5])).chars);
    else if (argc >= 5 && strcmp(argv[2], "person") == 0)
        puts(ref_person(&key, text_of(argv[3]), text_of(argv[4]), GENERATION_FIRST).chars);
    else
        return 2;
    return 0;
}
