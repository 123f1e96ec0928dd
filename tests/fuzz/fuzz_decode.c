/* Whatever arrives, decode returns, and what it says holds (common.h): the first byte chooses the topic and
 * whether the key is the one that the data asks for, the rest is a structured CloudEvent. */
#include "core/event.h"
#include "tests/fuzz/common.h"

#include <string.h>

#define FOREIGN_KEY 0x80

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t room);

/* What stands behind the first of these names, so that most records are not refused for their key. */
static struct text key_of(struct text value) {
    static const char *const names[] = {"\"customer_id\":\"", "\"shipment_ref\":\"", "\"notice_ref\":\"",
                                        "\"request_id\":\"", "\"token\":\""};
    bool request = memmem(value.at, value.size, "privacy.request", 15) != NULL;
    for (size_t i = request ? 3 : 0; i < sizeof names / sizeof *names; i++) {
        const char *found = memmem(value.at, value.size, names[i], strlen(names[i]));
        if (!found)
            continue;
        found += strlen(names[i]);
        size_t left = value.size - (size_t)(found - value.at);
        const char *end = memchr(found, '"', left);
        return (struct text){found, end ? (size_t)(end - found) : left};
    }
    return TEXT("C1");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const topics[] = {"shop.customer.v1",    "shop.order.v1",   "shop.shipment.v1",
                                         "shop.return.v1",      "shop.consent.v1", "privacy.request.v1",
                                         "register.command.v1", "carrier.posti.v1"};
    static const struct record_header header = {TEXT("content-type"), TEXT("application/cloudevents+json")};
    if (!size)
        return 0;
    struct text value = after_first(data, size);
    const struct record record = {.topic = text_of(topics[data[0] % 8]),
                                  .timestamp_ms = INT64_C(4102444800000) /* later than any scenario */,
                                  .key = data[0] & FOREIGN_KEY ? TEXT("C1") : key_of(value),
                                  .value = value,
                                  .headers = &header,
                                  .header_count = 1};
    common_decode(&record);
    return 0;
}

/* Every other time a value or a member as a whole. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned seed) {
    size_t mutated = size > 1 && seed % 2 ? mutate_json((char *)data + 1, size - 1, room - 1, seed / 2) : 0;
    return mutated ? mutated + 1 : LLVMFuzzerMutate(data, size, room);
}
