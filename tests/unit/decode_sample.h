/* A decoder over a small policy, and records to put through it: for the tests of the decode stage. */
#ifndef KR_DECODE_SAMPLE_H
#define KR_DECODE_SAMPLE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "consumer/decode.h"
#include <stdio.h>
#include <stdlib.h>

#define NOW_MS INT64_C(1793534400000) /* 2026-11-01T12:00:00Z */
#define REF "0123456789abcdefghijklmnopqrstuvwxyzABCDE-_"
#define SEEN "{\"customer_id\":\"C1\"}"

static struct policy policy;
static struct decoder decoder;
static struct arena arena;
static struct event event;
static struct refusal refusal;
static uint32_t unknown_fields;

static int setup(void **state) {
    (void)state;
    static const uint8_t digest_key[DIGEST_KEY_BYTES] = {7};
    policy.controller.country = TEXT("FI");
    policy.recipient_count = 2;
    policy.recipients[0].id = TEXT("posti");
    policy.recipients[0].countries[0] = TEXT("FI");
    policy.recipients[0].countries[1] = TEXT("SE");
    policy.recipients[0].country_count = 2;
    policy.recipients[0].services[0].name = TEXT("2104");
    policy.recipients[0].services[1].name = TEXT("return");
    policy.recipients[0].service_count = 2;
    policy.recipients[1].id = TEXT("letterhouse");
    policy.recipients[1].services[0].name = TEXT("newsletter");
    policy.recipients[1].service_count = 1;
    arena_init(&arena, (size_t)16 * 1024 * 1024);
    return decoder_init(&decoder, &policy, digest_key) == OK ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    decoder_release(&decoder);
    arena_release(&arena);
    return 0;
}

static void decode(const struct record *record) {
    arena_reset(&arena);
    assert_int_equal(decode_record(record, &decoder, &arena, &event, &refusal, &unknown_fields), OK);
}

static void assert_reason(enum reason expected, const char *what) {
    if (refusal.reason != expected) {
        fail_msg("%s: %s (%s), not %s", what, reason_names[refusal.reason], refusal.detail,
                 reason_names[expected]);
    }
}

static void assert_text(struct text text, const char *expected) {
    assert_non_null(text.at);
    assert_int_equal(text.size, strlen(expected));
    assert_memory_equal(text.at, expected, text.size);
}

#define HEADERS_MOST 12

/* A record in binary mode whose envelope is fine; further headers may be put behind. */
struct sample {
    struct record_header headers[HEADERS_MOST];
    struct record record;
};

static struct record *sample_of(struct sample *sample, const char *topic, const char *type, const char *key,
                                struct text value) {
    *sample = (struct sample){
        .headers = {{TEXT("ce_specversion"), TEXT("1.0")},
                    {TEXT("ce_id"), TEXT("e1")},
                    {TEXT("ce_source"), TEXT("urn:shop")},
                    {TEXT("ce_type"), text_of(type)},
                    {TEXT("ce_time"), TEXT("2026-11-01T12:00:00Z")}},
        .record = {.topic = text_of(topic),
                   .partition = 3,
                   .offset = 42,
                   .timestamp_ms = NOW_MS,
                   .key = text_of(key),
                   .value = value,
                   .header_count = 5},
    };
    sample->record.headers = sample->headers;
    return &sample->record;
}

static void header_add(struct sample *sample, struct text name, struct text value) {
    assert_true(sample->record.header_count < HEADERS_MOST);
    sample->headers[sample->record.header_count++] = (struct record_header){name, value};
}

static void header_set(struct sample *sample, const char *name, struct text value) {
    for (size_t i = 0; i < sample->record.header_count; i++) {
        if (text_is(sample->headers[i].name, name)) {
            sample->headers[i].value = value;
            return;
        }
    }
    fail_msg("no header %s", name);
}

#endif
