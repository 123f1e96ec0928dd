/* Reading and writing JSON, and the arena that the trees live in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/arena.h"
#include "core/json_read.h"
#include "core/json_write.h"
#include "core/nfc.h"
#include <stdio.h>
#include <stdlib.h>

#define LIMIT_BYTES ((size_t)64 * 1024 * 1024)

static struct arena arena;

static int setup(void **state) {
    (void)state;
    arena_init(&arena, LIMIT_BYTES);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    arena_release(&arena);
    return 0;
}

static enum json_fault fault_of(struct text text, unsigned max_depth) {
    struct json *root;
    enum json_fault fault = json_parse(text, max_depth, &arena, &root);
    assert_int_equal(fault == JSON_FINE, root != NULL);
    arena_reset(&arena);
    return fault;
}

static struct json *parse(const char *text) {
    struct json *root;
    assert_int_equal(json_parse(text_of(text), 0, &arena, &root), JSON_FINE);
    return root;
}

static void assert_text(struct text text, const char *expected) {
    assert_non_null(text.at);
    assert_int_equal(text.size, strlen(expected));
    assert_memory_equal(text.at, expected, text.size);
}

/* ---- reading ---- */

static void faults_have_names_and_the_lowest_wins(void **state) {
    (void)state;
    static const struct {
        struct text text;
        enum json_fault fault;
    } cases[] = {
        {TEXT("{}"), JSON_FINE},
        {TEXT(" \t\r\n[1, \"\xc3\xa4\"]\n"), JSON_FINE},
        {TEXT("null"), JSON_FINE},
        {TEXT("-0.5e+3"), JSON_FINE},
        {TEXT("\"\\ud83d\\ude00\\/\""), JSON_FINE},
        {TEXT("\"\\\\ud800\""), JSON_FINE}, /* an escaped backslash, then letters */
        /* not UTF-8 */
        {TEXT("\"\xc0\x80\""), JSON_NOT_UTF8},         /* overlong */
        {TEXT("\"\xe0\x9f\xbf\""), JSON_NOT_UTF8},     /* overlong */
        {TEXT("\"\xed\xa0\x80\""), JSON_NOT_UTF8},     /* surrogate */
        {TEXT("\"\xf4\x90\x80\x80\""), JSON_NOT_UTF8}, /* above U+10FFFF */
        {TEXT("\"\xf0\x8f\xbf\xbf\""), JSON_NOT_UTF8}, /* overlong */
        {TEXT("\"\xff\""), JSON_NOT_UTF8},
        {TEXT("\"\x80\""), JSON_NOT_UTF8},
        {TEXT("\"\xe2\x82\""), JSON_NOT_UTF8}, /* cut short */
        {TEXT("\"\xe2\x82"), JSON_NOT_UTF8},
        {TEXT("\"\\\xff\""), JSON_NOT_UTF8},
        /* not JSON */
        {TEXT(""), JSON_NOT_JSON},
        {TEXT("   "), JSON_NOT_JSON},
        {TEXT("\xef\xbb\xbf{}"), JSON_NOT_JSON},
        {TEXT("NaN"), JSON_NOT_JSON},
        {TEXT("[Infinity]"), JSON_NOT_JSON},
        {TEXT("{"), JSON_NOT_JSON},
        {TEXT("[1,]"), JSON_NOT_JSON},
        {TEXT("{\"a\":1,}"), JSON_NOT_JSON},
        {TEXT("{a:1}"), JSON_NOT_JSON},
        {TEXT("{'a':1}"), JSON_NOT_JSON},
        {TEXT("[01]"), JSON_NOT_JSON},
        {TEXT("[1.]"), JSON_NOT_JSON},
        {TEXT("[.5]"), JSON_NOT_JSON},
        {TEXT("[+1]"), JSON_NOT_JSON},
        {TEXT("[1e]"), JSON_NOT_JSON},
        {TEXT("[-]"), JSON_NOT_JSON},
        {TEXT("[1\f]"), JSON_NOT_JSON},
        {TEXT("[1\v]"), JSON_NOT_JSON},
        {TEXT("[\"\n\"]"), JSON_NOT_JSON},
        {TEXT("[\"\x01\"]"), JSON_NOT_JSON},
        {TEXT("[\"\0\"]"), JSON_NOT_JSON},
        {TEXT("[\"\\x\"]"), JSON_NOT_JSON},
        {TEXT("[\"\\u12g4\"]"), JSON_NOT_JSON},
        {TEXT("[\"\\u12"), JSON_NOT_JSON},
        {TEXT("[1] // no"), JSON_NOT_JSON},
        {TEXT("[/* no */1]"), JSON_NOT_JSON},
        {TEXT("{} x"), JSON_NOT_JSON},
        {TEXT("{} {"), JSON_NOT_JSON},
        {TEXT("{} {} ]"), JSON_NOT_JSON},
        {TEXT("{},{}"), JSON_NOT_JSON},
        {TEXT("truefals"), JSON_NOT_JSON},
        /* the rest */
        {TEXT("{}{}"), JSON_TWO_DOCUMENTS},
        {TEXT("{} \"x"), JSON_NOT_JSON}, /* a string without end is not a whole further value */
        {TEXT("1\"x"), JSON_NOT_JSON},
        {TEXT("{} \n [] 1"), JSON_TWO_DOCUMENTS},
        {TEXT("[[[[]]]]"), JSON_TOO_DEEP},
        {TEXT("[[[1]]]"), JSON_FINE},
        {TEXT("{\"a\":{\"b\":{\"c\":{}}}}"), JSON_TOO_DEEP},
        {TEXT("{\"a\":1,\"a\":1}"), JSON_DUPLICATE_KEY},
        {TEXT("[{\"a\":1,\"\\u0061\":2}]"), JSON_DUPLICATE_KEY},
        {TEXT("{\"\":1,\"\":2}"), JSON_DUPLICATE_KEY},
        {TEXT("{\"a\":{\"a\":1},\"A\":2}"), JSON_FINE},
        {TEXT("{\"a\":\"\\u0000\"}"), JSON_NUL},
        {TEXT("{\"\\u0000\":1}"), JSON_NUL},
        {TEXT("[\"\\ud800\"]"), JSON_LONE_SURROGATE},
        {TEXT("[\"\\udc00\"]"), JSON_LONE_SURROGATE},
        {TEXT("[\"\\ude00\\ud83d\"]"), JSON_LONE_SURROGATE},
        {TEXT("[\"\\ud800\\u0041\"]"), JSON_LONE_SURROGATE},
        {TEXT("{\"\\ud800\":1,\"\\ud801\":2,\"?\":3}"), JSON_LONE_SURROGATE},
        {TEXT("{\"\\ud800\":1,\"\\ud800\":2}"), JSON_DUPLICATE_KEY},
        /* several: the lowest, wherever it stands */
        {TEXT("{\"a\":1,\"a\":\"\\u0000\xff\"}"), JSON_NOT_UTF8},
        {TEXT("{\"a\":1,\"a\":2} x"), JSON_NOT_JSON},
        {TEXT("{\"a\":1,\"a\":2} {}"), JSON_TWO_DOCUMENTS},
        {TEXT("{\"a\":1,\"a\":[[[1]]]}"), JSON_TOO_DEEP},
        {TEXT("[[[[1]]], {\"a\":1,\"a\":1}]"), JSON_TOO_DEEP},
        {TEXT("[\"\\ud800\",\"\\u0000\"]"), JSON_NUL},
        {TEXT("[\"\\u0000\",{\"a\":1,\"a\":1}]"), JSON_DUPLICATE_KEY},
        {TEXT("[[[[[[[[[["), JSON_NOT_JSON},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        enum json_fault fault = fault_of(cases[i].text, 3);
        if (fault != cases[i].fault) {
            fail_msg("%.*s: %s, not %s", TEXT_ARGS(cases[i].text), json_fault_name(fault),
                     json_fault_name(cases[i].fault));
        }
    }
}

static void the_tree_is_what_was_written(void **state) {
    (void)state;
    const struct json *root =
        parse("{\"s\":\"a\\n\\u00e4\\ud83d\\ude00\",\"n\":-12,\"big\":9223372036854775808,"
              "\"least\":-9223372036854775808,\"f\":1.0,\"e\":1e2,\"t\":true,\"z\":null,"
              "\"a\":[1,[],{}],\"\\u006b\":\"\",\"minus\":-0}");
    assert_int_equal(root->type, JSON_OBJECT);
    assert_int_equal(root->count, 11);
    assert_text(json_member_text(root, "s"), "a\n\xc3\xa4\xf0\x9f\x98\x80");
    assert_int_equal(json_member(root, "n")->type, JSON_INTEGER);
    assert_int_equal(json_member(root, "n")->integer, -12);
    assert_int_equal(json_member(root, "big")->type, JSON_NUMBER);
    assert_text(json_member(root, "big")->text, "9223372036854775808");
    assert_true(json_member(root, "least")->integer == INT64_MIN);
    assert_int_equal(json_member(root, "f")->type, JSON_NUMBER);
    assert_int_equal(json_member(root, "e")->type, JSON_NUMBER);
    assert_true(json_member(root, "t")->boolean);
    assert_int_equal(json_member(root, "z")->type, JSON_NULL);
    assert_int_equal(json_member(root, "a")->count, 3);
    assert_text(json_member_text(root, "k"), "");
    assert_int_equal(json_member(root, "minus")->type, JSON_INTEGER);
    assert_int_equal(json_depth(root), 3);
    assert_int_equal(json_depth(json_member(root, "n")), 0);
    assert_null(json_member(root, "none"));
    assert_null(json_member(json_member(root, "a"), "s"));
    assert_null(json_member(NULL, "s"));
    assert_null(json_member_text(root, "n").at);
    arena_reset(&arena);
}

/* Half a megabyte of brackets: no recursion, no memory, and a syntax error behind it is still found. */
static void deep_texts_cost_nothing(void **state) {
    (void)state;
    const size_t half = 250000;
    char *text = malloc(half * 2 + 1);
    assert_non_null(text);
    memset(text, '[', half);
    memset(text + half, ']', half);
    struct arena small;
    arena_init(&small, 2 * 1024 * 1024);
    struct json *root;
    assert_int_equal(json_parse((struct text){text, half * 2}, 8, &small, &root), JSON_TOO_DEEP);
    text[half * 2] = ']';
    assert_int_equal(json_parse((struct text){text, half * 2 + 1}, 8, &small, &root), JSON_NOT_JSON);
    assert_int_equal(json_parse((struct text){text, half}, 8, &small, &root), JSON_NOT_JSON);
    arena_release(&small);
    memset(text, '[', 512);
    memset(text + 512, ']', 512);
    assert_int_equal(fault_of((struct text){text, 1024}, 0), JSON_FINE);
    memset(text, '[', 513);
    memset(text + 513, ']', 513);
    assert_int_equal(fault_of((struct text){text, 1026}, 0), JSON_TOO_DEEP);
    free(text);
}

static void many_keys_are_compared_in_good_time(void **state) {
    (void)state;
    const size_t count = 50000, each = 10;
    char *text = malloc(count * each + 1);
    assert_non_null(text);
    text[0] = '{';
    for (size_t i = 0; i < count; i++) {
        char member[16];
        assert_int_equal(snprintf(member, sizeof(member), "\"%05zu\":1,", i), (int)each);
        memcpy(text + 1 + i * each, member, each);
    }
    text[count * each] = '}';
    struct text whole = {text, count * each + 1};
    assert_int_equal(fault_of(whole, 8), JSON_FINE);
    memcpy(text + 1 + (count - 1) * each, text + 1, 7); /* the last key is the first one again */
    assert_int_equal(fault_of(whole, 8), JSON_DUPLICATE_KEY);
    free(text);
}

static void a_full_arena_is_not_the_texts_fault(void **state) {
    (void)state;
    struct arena small;
    struct json *root;
    arena_init(&small, 1024);
    const char *text = "[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]";
    assert_int_equal(json_parse(text_of(text), 8, &small, &root), JSON_NO_MEMORY);
    assert_null(root);
    arena_release(&small);
}

static void utf8_is_counted_in_code_points(void **state) {
    (void)state;
    assert_int_equal(utf8_length(TEXT("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80")), 4);
    assert_true(utf8_valid(TEXT("")));
    assert_true(utf8_valid(TEXT("12345678\xf4\x8f\xbf\xbf")));
    assert_false(utf8_valid(TEXT("12345678\xf4\x8f\xbf")));
    assert_false(utf8_valid(TEXT("1234567\x80")));
}

static void names_are_composed(void **state) {
    (void)state;
    assert_text(nfc_text(&arena, TEXT("Zoe\xcc\x88")), "Zo\xc3\xab");
    assert_text(nfc_text(&arena, TEXT("\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab")), "\xed\x95\x9c");
    assert_text(nfc_text(&arena, TEXT("\xe2\x84\xab")), "\xc3\x85"); /* the angstrom sign */
    assert_text(nfc_text(&arena, TEXT("\xc3\x85sa")), "\xc3\x85sa");
    assert_text(nfc_text(&arena, TEXT("")), "");
    assert_null(nfc_text(&arena, TEXT_ABSENT).at);
    arena_reset(&arena);
}

/* ---- writing ---- */

static void what_is_written_is_canonical(void **state) {
    (void)state;
    struct json_writer *writer = json_writer_new();
    assert_non_null(writer);
    for (int round = 0; round < 2; round++) { /* a reset writer is as good as new */
        json_writer_reset(writer);
        json_object(writer);
        json_key(writer, "a");
        json_array(writer);
        json_int(writer, INT64_MIN);
        json_int(writer, 0);
        json_bool(writer, true);
        json_null(writer);
        json_object(writer);
        json_object_end(writer);
        json_array(writer);
        json_array_end(writer);
        json_array_end(writer);
        json_key(writer, "b\"");
        json_text(writer, TEXT("\"\\/\b\f\n\r\t\x01\x1f\x7f \xc3\xa4\xf0\x9f\x98\x80 and more"));
        json_key(writer, "c");
        json_string(writer, NULL);
        json_key(writer, "d");
        json_raw(writer, TEXT("{\"x\":1}"));
        json_object_end(writer);
        assert_text(
            json_writer_text(writer),
            "{\"a\":[-9223372036854775808,0,true,null,{},[]],"
            "\"b\\\"\":\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f \xc3\xa4\xf0\x9f\x98\x80 and more\","
            "\"c\":null,\"d\":{\"x\":1}}");
    }
    struct json *root;
    assert_int_equal(json_parse(json_writer_take(writer, &arena), 0, &arena, &root), JSON_FINE);
    assert_text(json_member_text(root, "b\""),
                "\"\\/\b\f\n\r\t\x01\x1f\x7f \xc3\xa4\xf0\x9f\x98\x80 and more");
    json_writer_free(writer);
    arena_reset(&arena);
}

static void every_length_and_escape_survives_the_way_round(void **state) {
    (void)state;
    struct json_writer *writer = json_writer_new();
    char bytes[64];
    struct json *root;
    for (size_t size = 0; size < sizeof(bytes); size++) {
        for (size_t at = 0; at < size; at++) {
            memset(bytes, 'x', sizeof(bytes));
            bytes[at] = (char)("\"\\\x01\x1f \x7f"[at % 6]);
            json_writer_reset(writer);
            json_text(writer, (struct text){bytes, size});
            assert_int_equal(json_parse(json_writer_text(writer), 8, &arena, &root), JSON_FINE);
            assert_true(text_equal(root->text, (struct text){bytes, size}));
        }
        arena_reset(&arena);
    }
    json_writer_free(writer);
}

static void a_large_document_grows_the_buffer(void **state) {
    (void)state;
    struct json_writer *writer = json_writer_new();
    json_array(writer);
    for (int i = 0; i < 50000; i++) {
        json_text(writer, TEXT("0123456789"));
    }
    json_array_end(writer);
    struct text text = json_writer_text(writer);
    assert_int_equal(text.size, 50000 * 13 + 1);
    assert_int_equal(fault_of(text, 8), JSON_FINE);
    json_writer_free(writer);
}

static void a_wrong_order_of_calls_sticks(void **state) {
    (void)state;
    struct json_writer *writer = json_writer_new();
    assert_null(json_writer_text(writer).at); /* nothing was written */
    json_object(writer);
    assert_null(json_writer_text(writer).at); /* open */
    json_int(writer, 1);                      /* no key */
    json_object_end(writer);
    assert_null(json_writer_text(writer).at);
    json_writer_reset(writer);
    json_object(writer);
    json_key(writer, "a");
    json_object_end(writer); /* no value */
    assert_null(json_writer_text(writer).at);
    json_writer_reset(writer);
    json_array(writer);
    json_object_end(writer);
    assert_null(json_writer_text(writer).at);
    json_writer_reset(writer);
    json_int(writer, 1);
    json_int(writer, 2); /* a second document */
    assert_null(json_writer_text(writer).at);
    json_writer_reset(writer);
    for (int i = 0; i < 65; i++) {
        json_array(writer); /* too deep */
    }
    for (int i = 0; i < 65; i++) {
        json_array_end(writer);
    }
    assert_null(json_writer_text(writer).at);
    json_writer_free(writer);
}

/* ---- the arena ---- */

static void an_arena_is_zeroed_limited_and_used_again(void **state) {
    (void)state;
    struct arena some;
    arena_init(&some, 300000);
    for (int round = 0; round < 3; round++) {
        size_t taken = 0;
        for (unsigned char *at; (at = arena_take(&some, 1000)) != NULL; taken++) {
            assert_int_equal((uintptr_t)at % _Alignof(max_align_t), 0);
            for (size_t i = 0; i < 1000; i++) {
                assert_int_equal(at[i], 0);
            }
            memset(at, 0xaa, 1000);
        }
        assert_in_range(taken, 200, 300);
        assert_true(some.held_bytes <= 300000);
        arena_reset(&some);
        assert_int_equal(some.used_bytes, 0);
    }
    assert_non_null(arena_take(&some, 290000)); /* empty chunks give way to one that is large enough */
    assert_null(arena_take(&some, 290000));
    assert_null(arena_take(&some, SIZE_MAX));
    assert_null(arena_array(&some, SIZE_MAX / 2, 3));
    arena_release(&some);
}

static void a_list_grows_and_keeps_its_items(void **state) {
    (void)state;
    struct {
        int *at;
        size_t count, room;
    } list = {0};
    for (int i = 0; i < 1000; i++) {
        int *item = ARENA_PUSH(&arena, &list);
        assert_non_null(item);
        assert_int_equal(*item, 0);
        *item = i;
    }
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(list.at[i], i);
    }
    arena_reset(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(faults_have_names_and_the_lowest_wins),
        cmocka_unit_test(the_tree_is_what_was_written),
        cmocka_unit_test(deep_texts_cost_nothing),
        cmocka_unit_test(many_keys_are_compared_in_good_time),
        cmocka_unit_test(a_full_arena_is_not_the_texts_fault),
        cmocka_unit_test(utf8_is_counted_in_code_points),
        cmocka_unit_test(names_are_composed),
        cmocka_unit_test(what_is_written_is_canonical),
        cmocka_unit_test(every_length_and_escape_survives_the_way_round),
        cmocka_unit_test(a_large_document_grows_the_buffer),
        cmocka_unit_test(a_wrong_order_of_calls_sticks),
        cmocka_unit_test(an_arena_is_zeroed_limited_and_used_again),
        cmocka_unit_test(a_list_grows_and_keeps_its_items),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
