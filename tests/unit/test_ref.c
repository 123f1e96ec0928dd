/* Refs and output ids: the same input gives the same name, any other input another, and nobody can join them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/ref.h"
#include <sodium.h>

static const struct ref_key key = {{1, 2, 3}}, other_key = {{1, 2, 4}};

static void refs_have_43_characters_of_base64url(void **state) {
    (void)state;
    struct ref ref = ref_person(&key, TEXT("posti"), TEXT("c1"), -1);
    assert_int_equal(strlen(ref.chars), REF_CHARS);
    for (size_t i = 0; i < REF_CHARS; i++)
        assert_non_null(
            strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", ref.chars[i]));
    struct ref again = ref_person(&key, TEXT("posti"), TEXT("c1"), -1);
    assert_string_equal(ref.chars, again.chars);
}

/* Two carriers cannot join a person or a shipment; generations and kinds differ too. */
/* As libsodium writes the same bytes. */
static void refs_are_what_libsodium_writes(void **state) {
    (void)state;
    for (int64_t n = 0; n < 1000; n++) {
        struct ref ref = ref_token(&key, TEXT("c1"), n);
        unsigned char bytes[32];
        char chars[REF_CHARS + 1];
        size_t size;
        assert_int_equal(sodium_base642bin(bytes, sizeof bytes, ref.chars, REF_CHARS, NULL, &size, NULL,
                                           sodium_base64_VARIANT_URLSAFE_NO_PADDING),
                         0);
        assert_int_equal(size, sizeof bytes);
        sodium_bin2base64(chars, sizeof chars, bytes, sizeof bytes, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
        assert_string_equal(ref.chars, chars);
    }
}

static void refs_differ_in_every_part(void **state) {
    (void)state;
    const struct ref refs[] = {
        ref_person(&key, TEXT("posti"), TEXT("c1"), -1),
        ref_person(&other_key, TEXT("posti"), TEXT("c1"), -1),
        ref_person(&key, TEXT("matkahuolto"), TEXT("c1"), -1),
        ref_person(&key, TEXT("posti"), TEXT("c2"), -1),
        ref_person(&key, TEXT("posti"), TEXT("c1"), 7),
        ref_person(&key, TEXT("postic"), TEXT("1"), -1), /* parts do not run into each other */
        ref_shipment(&key, TEXT("posti"), TEXT("c1"), TEXT("s1")),
        ref_shipment(&key, TEXT("posti"), TEXT("c"), TEXT("1s1")),
        ref_disclosure(&key, TEXT("posti"), TEXT("c1"), -1, TEXT("c1"), TEXT("s1"), TEXT("2103"),
                       TEXT("consignee")),
        ref_disclosure(&key, TEXT("posti"), TEXT("c1"), -1, TEXT("c1"), TEXT("s1"), TEXT("2104"),
                       TEXT("consignee")),
        ref_disclosure(&key, TEXT("posti"), TEXT("c1"), -1, TEXT("c1"), TEXT("s1"), TEXT("2103"),
                       TEXT("consignor")),
        ref_token(&key, TEXT("c1"), -1),
        ref_notice(&key, &(struct ref){"r"}, "corrected", TEXT("cause"), 0),
        ref_notice(&key, &(struct ref){"r"}, "withdrawn", TEXT("cause"), 0),
        ref_notice(&key, &(struct ref){"r"}, "corrected", TEXT("cause"), 1),
    };
    for (size_t i = 0; i < sizeof(refs) / sizeof(refs[0]); i++) {
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(refs[i].chars, refs[j].chars);
    }
}

static void long_parts_are_hashed_whole(void **state) {
    (void)state;
    static char long_id[3000];
    memset(long_id, 'x', sizeof(long_id));
    struct ref whole = ref_person(&key, TEXT("posti"), (struct text){long_id, sizeof(long_id)}, -1);
    struct ref shorter = ref_person(&key, TEXT("posti"), (struct text){long_id, sizeof(long_id) - 1}, -1);
    long_id[2999] = 'y';
    struct ref changed = ref_person(&key, TEXT("posti"), (struct text){long_id, sizeof(long_id)}, -1);
    assert_string_not_equal(whole.chars, shorter.chars);
    assert_string_not_equal(whole.chars, changed.chars);
}

static void output_ids_are_uuids_of_version_8(void **state) {
    (void)state;
    char written[37], other[37];
    struct output_id id =
        output_id_derive(&key, TEXT("posti"), "kind", TEXT("c1"), -1, TEXT("object"), TEXT("cause"), 0);
    output_id_write(&id, written);
    assert_int_equal(strlen(written), 36);
    assert_int_equal(written[8], '-');
    assert_int_equal(written[14], '8');
    assert_non_null(strchr("89ab", written[19]));
    id = output_id_derive(&key, TEXT_ABSENT, "kind", TEXT("c1"), -1, TEXT("object"), TEXT("cause"), 0);
    output_id_write(&id, other);
    assert_string_not_equal(written, other);
    id = output_id_derive(&key, TEXT("posti"), "kind", TEXT("c1"), -1, TEXT("object"), TEXT("cause"), 1);
    output_id_write(&id, other);
    assert_string_not_equal(written, other);
}

/* Two facts under one (source, id) are two causes. */
static void causes_name_the_whole_fact(void **state) {
    (void)state;
    struct arena arena;
    arena_init(&arena, 1 << 16);
    struct event event = {.version = {.time_us = 5, .source = TEXT("urn:shop"), .id = TEXT("e1")}};
    struct event other = event;
    struct text cause = event_cause(&event, &arena);
    assert_true(text_equal(cause, event_cause(&other, &arena)));
    other.version.digest[0] = 1;
    assert_false(text_equal(cause, event_cause(&other, &arena)));
    other = event;
    other.version.time_us = 6;
    assert_false(text_equal(cause, event_cause(&other, &arena)));
    other = event;
    other.version.source = TEXT("urn:shope");
    other.version.id = TEXT("1");
    assert_false(text_equal(cause, event_cause(&other, &arena)));
    arena_release(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refs_have_43_characters_of_base64url),
        cmocka_unit_test(refs_are_what_libsodium_writes),
        cmocka_unit_test(refs_differ_in_every_part),
        cmocka_unit_test(long_parts_are_hashed_whole),
        cmocka_unit_test(output_ids_are_uuids_of_version_8),
        cmocka_unit_test(causes_name_the_whole_fact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
