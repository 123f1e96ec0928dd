/* CloudEvents in binary mode: the input is a list of headers, each a length, a name from a table or of its
 * own, and a value; the first byte chooses topic and data. Whatever they say, decode gives an event or a
 * reason, and what it says holds (common.h). */
#include "core/event.h"
#include "tests/fuzz/common.h"

#define HEADERS_MOST 40 /* past those that are compared each with each */

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

static struct text value_of(unsigned which) {
    static const char prefixed[] = "\0\0\0\0\7{\"customer_id\":\"C1\"}"; /* Confluent's */
    switch (which % 4) {
    case 0:
        return TEXT("{\"customer_id\":\"C1\"}");
    case 1:
        return (struct text){prefixed, sizeof prefixed - 1};
    case 2:
        return TEXT_ABSENT;
    default:
        return TEXT(
            "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"s\",\"type\":\"shop.customer.seen.v1\","
            "\"time\":\"2026-01-01T00:00:00Z\",\"data\":{\"customer_id\":\"C1\"}}");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const names[] = {"ce_id",          "ce_source",   "ce_type",     "ce_time",
                                        "ce_specversion", "ce_sequence", "content-type"};
    struct record_header headers[HEADERS_MOST];
    if (!size)
        return 0;
    struct record record = {.topic = TEXT("shop.customer.v1"),
                            .timestamp_ms = INT64_C(4102444800000) /* later than any scenario */,
                            .key = TEXT("C1"),
                            .value = value_of(*data),
                            .headers = headers};
    unsigned key = *data / 4 % 4;
    data++, size--;
    if (key == 1)
        record.key = take(&data, &size);
    else if (key == 2)
        record.key = TEXT_ABSENT;
    while (size && record.header_count < HEADERS_MOST) {
        unsigned which = *data % 8;
        data++, size--;
        headers[record.header_count].name = which < 7 ? text_of(names[which]) : take(&data, &size);
        headers[record.header_count++].value = take(&data, &size);
    }
    common_decode(&record);
    return 0;
}
