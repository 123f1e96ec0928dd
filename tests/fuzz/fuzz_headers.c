/* CloudEvents in binary mode: the input is a list of headers, each a length, a name from a table or of its
 * own, and a value; whatever they say, decode gives an event or a reason. */
#include "consumer/decode.h"
#include "core/policy.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HEADERS_MOST 16

static void complain(void *context, const char *path, const char *message) {
    (void)context, (void)path, (void)message;
}

static struct text take(const uint8_t **data, size_t *size) {
    size_t length = *size ? **data % 64 : 0;
    if (!*size)
        return TEXT("");
    (*data)++, (*size)--;
    length = length < *size ? length : *size;
    struct text text = {(const char *)*data, length};
    *data += length, *size -= length;
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const names[] = {"ce_id",          "ce_source",   "ce_type",     "ce_time",
                                        "ce_specversion", "ce_sequence", "content-type"};
    static struct policy *policy;
    static struct decoder decoder;
    static struct arena arena;
    struct record_header headers[HEADERS_MOST];
    struct err err;
    if (!policy) {
        static const uint8_t key[DIGEST_KEY_BYTES] = {1};
        policy = policy_read(SOURCE_DIR "/schema/policy/jerone.json", complain, NULL, &err);
        if (!policy || decoder_init(&decoder, policy, key) != OK)
            abort();
        arena_init(&arena, 16 << 20);
    }
    struct record record = {.topic = TEXT("shop.customer.v1"),
                            .timestamp_ms = 1795000000000,
                            .key = TEXT("C1"),
                            .value = TEXT("{\"customer_id\":\"C1\"}"),
                            .headers = headers};
    while (size && record.header_count < HEADERS_MOST) {
        unsigned which = *data % 8;
        data++, size--;
        headers[record.header_count].name = which < 7 ? text_of(names[which]) : take(&data, &size);
        headers[record.header_count++].value = take(&data, &size);
    }
    struct event event;
    struct refusal refusal;
    uint32_t unknown_fields;
    if (decode_record(&record, &decoder, &arena, &event, &refusal, &unknown_fields) == OK &&
        refusal.reason >= REASONS)
        abort();
    arena_reset(&arena);
    return 0;
}
