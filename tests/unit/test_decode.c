/* The decode stage over bytes, envelope, type and time: every reason 1 to 16 with a record of its own, and
 * limits. */
#include "tests/unit/decode_sample.h"

static struct record *seen(struct sample *sample) {
    return sample_of(sample, "shop.customer.v1", "shop.customer.seen.v1", "C1", TEXT(SEEN));
}

/* ---- 1 to 9: bytes ---- */

static void bytes_that_are_no_document(void **state) {
    (void)state;
    static const struct {
        struct text value;
        enum reason reason;
    } cases[] = {
        {TEXT(SEEN), REASON_NONE},
        {TEXT("\0\0\0\0\1" SEEN), REASON_NONE}, /* Confluent's prefix */
        {{NULL, 0}, REASON_TOMBSTONE},
        {TEXT("{\"x\":\"\xc0\xaf\"}"), REASON_NOT_UTF8},
        {TEXT("\0\xff\xff\xff\xff" SEEN), REASON_NONE}, /* a schema id is no text */
        {TEXT(""), REASON_NOT_JSON},
        {TEXT("\0\0\0\0\1"), REASON_NOT_JSON},
        {TEXT("\0\0{}"), REASON_NOT_JSON},
        {TEXT("\0\0\0\0\1\0\0\0\0\1" SEEN), REASON_NOT_JSON},
        {TEXT("NaN"), REASON_NOT_JSON},
        {TEXT(SEEN "x"), REASON_NOT_JSON},
        {TEXT(SEEN SEEN), REASON_TWO_DOCUMENTS},
        {TEXT("{\"a\":[[[[[[[1]]]]]]],\"customer_id\":\"C1\"}"), REASON_NONE},
        {TEXT("{\"a\":[[[[[[[[1]]]]]]]]}"), REASON_TOO_DEEP},
        {TEXT("{\"a\":1,\"\\u0061\":1}"), REASON_DUPLICATE_KEY},
        {TEXT("{\"a\":{\"b\":\"\\u0000\"}}"), REASON_NUL_CHARACTER},
        {TEXT("{\"a\":\"\\udfff\"}"), REASON_LONE_SURROGATE},
        {TEXT("[]"), REASON_NOT_CLOUDEVENT},
        {TEXT("1"), REASON_NOT_CLOUDEVENT},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct sample sample;
        struct record *record = seen(&sample);
        record->value = cases[i].value;
        decode(record);
        assert_reason(cases[i].reason, cases[i].value.at ? cases[i].value.at : "null");
    }
}

static void sizes_are_of_the_value_alone(void **state) {
    (void)state;
    static const struct {
        const char *topic, *type, *data;
        size_t most;
    } topics[] = {
        {"shop.customer.v1", "shop.customer.seen.v1", SEEN, 65536},
        {"shop.order.v1", "shop.order.cancelled.v1", "{\"order_id\":\"O1\",\"customer_id\":\"C1\"}", 524288},
    };
    for (int i = 0; i < 2; i++) {
        char *bytes = malloc(topics[i].most + 1);
        assert_non_null(bytes);
        memset(bytes, ' ', topics[i].most + 1);
        memcpy(bytes, topics[i].data, strlen(topics[i].data));
        struct sample sample;
        struct record *record =
            sample_of(&sample, topics[i].topic, topics[i].type, "C1", (struct text){bytes, topics[i].most});
        decode(record);
        assert_reason(REASON_NONE, "the largest");
        record->value.size++;
        decode(record);
        assert_reason(REASON_TOO_LARGE, "one more");
        free(bytes);
    }
}

static void keys_and_headers_are_guarded(void **state) {
    (void)state;
    struct sample sample;
    seen(&sample)->key = TEXT("C1\xff");
    decode(&sample.record);
    assert_reason(REASON_NOT_UTF8, "key");
    seen(&sample)->key = TEXT("C1\0");
    decode(&sample.record);
    assert_reason(REASON_NUL_CHARACTER, "key");
    seen(&sample);
    header_add(&sample, TEXT("ce_extra"), TEXT("\xed\xa0\x80"));
    decode(&sample.record);
    assert_reason(REASON_NOT_UTF8, "extension");
    seen(&sample);
    header_add(&sample, TEXT("ce_extra"), TEXT("a\0b"));
    decode(&sample.record);
    assert_reason(REASON_NUL_CHARACTER, "extension");
    seen(&sample);
    header_add(&sample, TEXT("other"), TEXT("\xff\0"));
    header_add(&sample, TEXT("ce_"), TEXT_ABSENT);
    header_add(&sample, TEXT(""), TEXT(""));
    decode(&sample.record);
    assert_reason(REASON_NONE, "what is not ours may be anything");
    seen(&sample);
    header_add(&sample, TEXT("ce_extra"), TEXT("a"));
    header_add(&sample, TEXT("ce_extra"), TEXT("a"));
    decode(&sample.record);
    assert_reason(REASON_NOT_CLOUDEVENT, "repeated");
    /* the key's NUL (8) is behind the value's syntax (4) and before its half pair (9) */
    seen(&sample)->key = TEXT("\0");
    sample.record.value = TEXT("{");
    decode(&sample.record);
    assert_reason(REASON_NOT_JSON, "4 before 8");
    sample.record.value = TEXT("[\"\\ud800\"]");
    decode(&sample.record);
    assert_reason(REASON_NUL_CHARACTER, "8 before 9");
}

static void many_headers_are_read_in_good_time(void **state) {
    (void)state;
    enum { COUNT = 20000 };
    struct sample sample;
    struct record *record = seen(&sample);
    struct record_header *headers = calloc(COUNT + 5, sizeof(*headers));
    char(*names)[16] = calloc(COUNT, sizeof(*names));
    assert_non_null(headers);
    assert_non_null(names);
    memcpy(headers, sample.headers, 5 * sizeof(*headers));
    for (int i = 0; i < COUNT; i++) {
        snprintf(names[i], sizeof(names[i]), "ce_%d", i);
        headers[5 + i] = (struct record_header){text_of(names[i]), TEXT("")};
    }
    record->headers = headers;
    record->header_count = COUNT + 5;
    decode(record);
    assert_reason(REASON_NONE, "all differ");
    headers[COUNT].name = headers[5].name;
    decode(record);
    assert_reason(REASON_NOT_CLOUDEVENT, "one repeats");
    free(headers);
    free(names);
}

/* ---- 10: the envelope ---- */

static void attributes_in_binary_mode(void **state) {
    (void)state;
    char long_text[257];
    memset(long_text, 'x', sizeof(long_text));
    const struct text most = {long_text, 256}, more = {long_text, 257};
    const struct {
        const char *name;
        struct text value;
        enum reason reason;
    } cases[] = {
        {"ce_specversion", TEXT("0.3"), REASON_NOT_CLOUDEVENT},
        {"ce_specversion", TEXT_ABSENT, REASON_NOT_CLOUDEVENT},
        {"ce_id", TEXT(""), REASON_NOT_CLOUDEVENT},
        {"ce_id", TEXT_ABSENT, REASON_NOT_CLOUDEVENT},
        {"ce_id", more, REASON_NOT_CLOUDEVENT},
        {"ce_id", most, REASON_NONE},
        {"ce_source", TEXT(""), REASON_NOT_CLOUDEVENT},
        {"ce_source", more, REASON_NOT_CLOUDEVENT},
        {"ce_source", most, REASON_NONE},
        {"ce_type", TEXT(""), REASON_NOT_CLOUDEVENT},
        {"ce_type", more, REASON_NOT_CLOUDEVENT},
        {"ce_type", most, REASON_UNKNOWN_TYPE},
    };
    struct sample sample;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        seen(&sample);
        header_set(&sample, cases[i].name, cases[i].value);
        decode(&sample.record);
        assert_reason(cases[i].reason, cases[i].name);
    }
    seen(&sample)->header_count = 0;
    decode(&sample.record);
    assert_reason(REASON_NOT_CLOUDEVENT, "no headers");
}

static void sequences_and_content_types(void **state) {
    (void)state;
    static const struct {
        const char *name, *value;
        enum reason reason;
        const char *sequence;
    } cases[] = {
        {"ce_sequence", "0", REASON_NONE, "0"},
        {"ce_sequence", "000", REASON_NONE, "0"},
        {"ce_sequence", "00099999999999999999", REASON_NONE, "99999999999999999"},
        {"ce_sequence", "123456789012345678901", REASON_NOT_CLOUDEVENT, NULL},
        {"ce_sequence", "", REASON_NOT_CLOUDEVENT, NULL},
        {"ce_sequence", "-1", REASON_NOT_CLOUDEVENT, NULL},
        {"ce_sequence", "1a", REASON_NOT_CLOUDEVENT, NULL},
        {"content-type", "application/json", REASON_NONE, NULL},
        {"Content-Type", "Application/JSON; charset=UTF-8", REASON_NONE, NULL},
        {"content-type", "application/vnd.shop+json", REASON_NONE, NULL},
        {"content-type", "text/plain", REASON_NOT_CLOUDEVENT, NULL},
        {"content-type", "application/avro", REASON_NOT_CLOUDEVENT, NULL},
        {"content-type", "", REASON_NOT_CLOUDEVENT, NULL},
        {"content-type", "json", REASON_NOT_CLOUDEVENT, NULL},
    };
    struct sample sample;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        seen(&sample);
        header_add(&sample, text_of(cases[i].name), text_of(cases[i].value));
        decode(&sample.record);
        assert_reason(cases[i].reason, cases[i].value);
        if (cases[i].sequence) {
            assert_text(event.version.sequence, cases[i].sequence);
        } else {
            assert_null(event.version.sequence.at);
        }
    }
}

#define ENVELOPE(attributes) "{\"specversion\":\"1.0\",\"id\":\"e1\",\"source\":\"urn:shop\"" attributes "}"
#define SEEN_TYPE ",\"type\":\"shop.customer.seen.v1\""
#define SEEN_TIME ",\"time\":\"2026-11-01T12:00:00Z\""
#define SEEN_DATA ",\"data\":" SEEN

static void attributes_in_structured_mode(void **state) {
    (void)state;
    static const struct {
        struct text value;
        enum reason reason;
    } cases[] = {
        {TEXT(ENVELOPE(SEEN_TYPE SEEN_TIME SEEN_DATA)), REASON_NONE},
        {TEXT("\0\0\0\0\1" ENVELOPE(SEEN_TYPE SEEN_TIME SEEN_DATA)), REASON_NONE},
        {TEXT(ENVELOPE(SEEN_TYPE SEEN_TIME SEEN_DATA ",\"sequence\":\"7\",\"extra\":[1],\"subject\":null")),
         REASON_NONE},
        {TEXT(ENVELOPE(SEEN_TYPE SEEN_TIME SEEN_DATA ",\"sequence\":7")), REASON_NOT_CLOUDEVENT},
        {TEXT(ENVELOPE(SEEN_TYPE SEEN_TIME SEEN_DATA ",\"sequence\":null")), REASON_NONE},
        {TEXT(ENVELOPE(SEEN_TYPE SEEN_TIME SEEN_DATA ",\"datacontenttype\":\"application/json\"")),
         REASON_NONE},
        {TEXT(ENVELOPE(SEEN_TYPE SEEN_TIME SEEN_DATA ",\"datacontenttype\":\"text/xml\"")),
         REASON_NOT_CLOUDEVENT},
        {TEXT(ENVELOPE(SEEN_TYPE SEEN_TIME)), REASON_NOT_CLOUDEVENT},
        {TEXT(ENVELOPE(SEEN_TYPE SEEN_TIME ",\"data\":\"text\"")), REASON_NOT_CLOUDEVENT},
        {TEXT(ENVELOPE(SEEN_TYPE SEEN_TIME ",\"data\":[]")), REASON_NOT_CLOUDEVENT},
        {TEXT(ENVELOPE(SEEN_TYPE SEEN_TIME ",\"data_base64\":\"e30=\"")), REASON_NOT_CLOUDEVENT},
        {TEXT("{\"specversion\":1.0,\"id\":\"e1\",\"source\":\"s\"" SEEN_TYPE SEEN_TIME SEEN_DATA "}"),
         REASON_NOT_CLOUDEVENT},
        {TEXT("{\"specversion\":\"1.0\",\"id\":1,\"source\":\"s\"" SEEN_TYPE SEEN_TIME SEEN_DATA "}"),
         REASON_NOT_CLOUDEVENT},
        {TEXT("{\"specversion\":\"1.0\",\"id\":null,\"source\":\"s\"" SEEN_TYPE SEEN_TIME SEEN_DATA "}"),
         REASON_NOT_CLOUDEVENT},
        {TEXT("[]"), REASON_NOT_CLOUDEVENT},
        {TEXT(ENVELOPE(SEEN_TYPE SEEN_DATA)), REASON_TIME_MISSING},
        {TEXT(ENVELOPE(SEEN_TYPE SEEN_DATA ",\"time\":null")), REASON_TIME_MISSING},
        {TEXT(ENVELOPE(SEEN_TYPE SEEN_DATA ",\"time\":1793534400")), REASON_TIME_INVALID},
        /* eight levels below the attribute, nine are too many, whether data or not */
        {TEXT(ENVELOPE(SEEN_TYPE SEEN_TIME SEEN_DATA ",\"x\":[[[[[[[[1]]]]]]]]")), REASON_NONE},
        {TEXT(ENVELOPE(SEEN_TYPE SEEN_TIME SEEN_DATA ",\"x\":[[[[[[[[[1]]]]]]]]]")), REASON_TOO_DEEP},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct sample sample;
        struct record *record = seen(&sample);
        record->value = cases[i].value;
        record->header_count = 0;
        header_add(&sample, TEXT("content-type"), TEXT("application/CloudEvents+json; charset=utf-8"));
        decode(record);
        assert_reason(cases[i].reason, cases[i].value.at);
    }
}

/* ---- 11 to 16: type, topic, time ---- */

static void types_and_topics(void **state) {
    (void)state;
    static const struct {
        const char *topic, *type;
        enum reason reason;
    } cases[] = {
        {"shop.customer.v1", "shop.customer.seen.v1", REASON_NONE},
        {"shop.customer.v1", "shop.customer.vanished.v1", REASON_UNKNOWN_TYPE},
        {"shop.customer.v1", "shop.customer.seenv1", REASON_UNKNOWN_TYPE},
        {"shop.customer.v1", "register.request.status.v1", REASON_UNKNOWN_TYPE},
        {"shop.customer.v1", "calendar.parked.expired.v1", REASON_UNKNOWN_TYPE},
        {"shop.customer.v1", "shop.customer.seen", REASON_UNKNOWN_VERSION},
        {"shop.customer.v1", "shop.customer.seen.v2", REASON_UNKNOWN_VERSION},
        {"shop.customer.v1", "shop.customer.seen.v10", REASON_UNKNOWN_VERSION},
        {"shop.customer.v1", "shop.customer.seen.V1", REASON_UNKNOWN_VERSION},
        {"shop.order.v1", "shop.customer.seen.v2", REASON_UNKNOWN_VERSION},
        {"shop.order.v1", "shop.customer.seen.v1", REASON_WRONG_TOPIC},
        {"carrier.posti.v1", "shop.customer.seen.v1", REASON_WRONG_TOPIC},
        {"shop.customer.v1", "carrier.delivery.status.v1", REASON_WRONG_TOPIC},
        {"carrier..v1", "carrier.delivery.status.v1", REASON_WRONG_TOPIC},
        {"carrier.posti.v2", "carrier.delivery.status.v1", REASON_WRONG_TOPIC},
        {"carrier.posti.v1", "carrier.delivery.status.v1", REASON_FIELD_MISSING},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct sample sample;
        decode(sample_of(&sample, cases[i].topic, cases[i].type, "C1", TEXT(SEEN)));
        assert_reason(cases[i].reason, cases[i].type);
    }
}

static void times(void **state) {
    (void)state;
    static const struct {
        const char *time;
        int64_t timestamp_ms;
        enum reason reason;
    } cases[] = {
        {NULL, NOW_MS, REASON_TIME_MISSING},
        {"", NOW_MS, REASON_TIME_INVALID},
        {"2026-11-01T12:00:00", NOW_MS, REASON_TIME_INVALID},
        {"2026-11-01", NOW_MS, REASON_TIME_INVALID},
        {"2026-11-01T11:59:60Z", NOW_MS, REASON_TIME_INVALID},
        {"1969-12-31T23:59:59Z", NOW_MS, REASON_TIME_INVALID},
        {"1970-01-01T00:00:00Z", NOW_MS, REASON_NONE},
        {"2026-11-01T14:00:00.123456789+02:00", NOW_MS, REASON_NONE},
        {"2026-11-01T12:05:00Z", NOW_MS, REASON_NONE},
        {"2026-11-01T12:05:00.000001Z", NOW_MS, REASON_TIME_AHEAD},
        {"2026-11-01T12:00:00Z", -1, REASON_TIME_AHEAD},
        {"2026-11-01T12:00:00Z", 0, REASON_TIME_AHEAD},
        {"9999-12-31T23:59:59Z", INT64_MAX, REASON_NONE},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct sample sample;
        seen(&sample)->timestamp_ms = cases[i].timestamp_ms;
        header_set(&sample, "ce_time", text_of(cases[i].time));
        decode(&sample.record);
        assert_reason(cases[i].reason, cases[i].time ? cases[i].time : "null");
    }
}

/* The worst that fits: half a megabyte of "0,". It is a bad record, not a want of memory. */
static void the_largest_tree_is_judged(void **state) {
    (void)state;
    char *data = malloc(DECODE_ORDER_VALUE_BYTES);
    assert_non_null(data);
    const char *head = "{\"order_id\":\"O1\",\"customer_id\":\"C1\",\"x\":[";
    size_t size = strlen(head);
    memcpy(data, head, size);
    while (size + 4 < DECODE_ORDER_VALUE_BYTES) {
        memcpy(data + size, "0,", 2);
        size += 2;
    }
    memcpy(data + size, "0]}", 3);
    struct sample sample;
    decode(
        sample_of(&sample, "shop.order.v1", "shop.order.cancelled.v1", "C1", (struct text){data, size + 3}));
    assert_reason(REASON_NONE, "zeros");
    assert_int_equal(unknown_fields, 1);
    free(data);
}

static void a_full_arena_asks_for_another_try(void **state) {
    (void)state;
    struct arena tiny;
    struct sample sample;
    for (size_t limit_bytes = 0; limit_bytes < 96; limit_bytes += 16) {
        arena_init(&tiny, limit_bytes);
        assert_int_equal(decode_record(seen(&sample), &decoder, &tiny, &event, &refusal, &unknown_fields),
                         limit_bytes < 64 ? RETRY : OK);
        arena_release(&tiny);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_that_are_no_document),
        cmocka_unit_test(sizes_are_of_the_value_alone),
        cmocka_unit_test(keys_and_headers_are_guarded),
        cmocka_unit_test(many_headers_are_read_in_good_time),
        cmocka_unit_test(attributes_in_binary_mode),
        cmocka_unit_test(sequences_and_content_types),
        cmocka_unit_test(attributes_in_structured_mode),
        cmocka_unit_test(types_and_topics),
        cmocka_unit_test(times),
        cmocka_unit_test(the_largest_tree_is_judged),
        cmocka_unit_test(a_full_arena_asks_for_another_try),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
