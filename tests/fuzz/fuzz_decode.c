/* Whatever arrives, decode returns: the first byte chooses the topic, the rest is a structured CloudEvent. */
#include "consumer/decode.h"
#include "core/policy.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void complain(void *context, const char *path, const char *message) {
    (void)context, (void)path, (void)message;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const topics[] = {"shop.customer.v1", "shop.order.v1",   "shop.shipment.v1",
                                         "shop.return.v1",   "shop.consent.v1", "privacy.request.v1",
                                         "carrier.posti.v1"};
    static struct policy *policy;
    static struct decoder decoder;
    static struct arena arena;
    struct err err;
    if (!policy) {
        policy = policy_read(SOURCE_DIR "/schema/policy/jerone.json", complain, NULL, &err);
        static const uint8_t key[DIGEST_KEY_BYTES] = {1};
        if (!policy || decoder_init(&decoder, policy, key) != OK)
            abort();
        arena_init(&arena, 16 << 20);
    }
    if (!size)
        return 0;
    const struct record_header header = {TEXT("content-type"), TEXT("application/cloudevents+json")};
    const struct record record = {.topic = text_of(topics[data[0] % 7]),
                                  .timestamp_ms = 1795000000000,
                                  .key = TEXT("C1"),
                                  .value = {(const char *)data + 1, size - 1},
                                  .headers = &header,
                                  .header_count = 1};
    struct event event;
    struct refusal refusal;
    uint32_t unknown_fields;
    if (decode_record(&record, &decoder, &arena, &event, &refusal, &unknown_fields) == OK &&
        refusal.reason >= REASONS)
        abort();
    arena_reset(&arena);
    return 0;
}
