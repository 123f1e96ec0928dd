/* Sealed cells: open where they stand, nowhere else, under no other key, and say nothing when they do not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/seal.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct fixture {
    struct arena arena;
    struct sealer *sealer;
    struct seal_key key;
    struct seal_place place;
    struct text cell;
};

static const struct text address = {"Åsa Öhman, Köpmansgatan 1, 65100 Vasa", 40};

static int set_up(void **state) {
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    if (!fixture || seal_start(NULL) != OK) {
        return -1;
    }
    arena_init(&fixture->arena, (size_t)4 << 20);
    fixture->sealer = sealer_new();
    fixture->key = (struct seal_key){.ring = "0123456789abcde", .category = 1, .period = 227, .serial = 3};
    memset(fixture->key.key, 7, sizeof(fixture->key.key));
    fixture->place = (struct seal_place){"shipment", "delivery", TEXT("c-1"), TEXT("s-1"), -1};
    fixture->cell = seal_cell(fixture->sealer, &fixture->key, &fixture->place, address, &fixture->arena);
    *state = fixture;
    return text_present(fixture->cell) ? 0 : -1;
}
static int tear_down(void **state) {
    struct fixture *fixture = *state;
    sealer_free(fixture->sealer);
    arena_release(&fixture->arena);
    free(fixture);
    return 0;
}

static bool opens(struct fixture *fixture, const struct seal_key *key, const struct seal_place *place,
                  struct text cell) {
    struct text plain;
    struct err err = {0};
    enum outcome outcome = open_cell(key, place, cell, &fixture->arena, &plain, &err);
    if (outcome == OK) {
        assert_true(text_equal(plain, address));
        return true;
    }
    assert_int_equal(outcome, FATAL);
    assert_false(text_present(plain));
    assert_null(strstr(err.text, "Vasa"));
    assert_null(strstr(err.text, "c-1"));
    return false;
}

static void opens_where_it_stands(void **state) {
    struct fixture *fixture = *state;
    assert_true(opens(fixture, &fixture->key, &fixture->place, fixture->cell));
    int16_t period;
    uint16_t serial;
    assert_true(sealed_period(fixture->cell, &period, &serial));
    assert_int_equal(period, 227);
    assert_int_equal(serial, 3);
    assert_null(memmem(fixture->cell.at, fixture->cell.size, "Vasa", 4));
}

/* Nasty 28. */
static void moved_cells_do_not_open(void **state) {
    struct fixture *fixture = *state;
    const struct seal_place places[] = {
        {"customer_order", "delivery", TEXT("c-1"), TEXT("s-1"), -1},
        {"shipment", "claim", TEXT("c-1"), TEXT("s-1"), -1},
        {"shipment", "delivery", TEXT("c-2"), TEXT("s-1"), -1},
        {"shipment", "delivery", TEXT("c-1"), TEXT("s-2"), -1},
        {"shipment", "delivery", TEXT("c-1"), TEXT_ABSENT, -1},
        {"shipment", "delivery", TEXT("c-1"), TEXT("s-1"), 1},
        {"shipment", "delivery", TEXT("c-1s-"), TEXT("1"), -1},
        {"shipmen", "tdelivery", TEXT("c-1"), TEXT("s-1"), -1},
    };
    for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
        assert_false(opens(fixture, &fixture->key, &places[i], fixture->cell));
    }
}

static void other_keys_do_not_open(void **state) {
    struct fixture *fixture = *state;
    struct seal_key keys[5] = {fixture->key, fixture->key, fixture->key, fixture->key, fixture->key};
    keys[0].key[31] ^= 1;
    keys[1].ring[0] ^= 1; /* the same secret under another ring's name */
    keys[2].category++;
    keys[3].period++;
    keys[4].serial++;
    for (size_t i = 0; i < 5; i++) {
        assert_false(opens(fixture, &keys[i], &fixture->place, fixture->cell));
    }
}

static void damaged_cells_do_not_open(void **state) {
    struct fixture *fixture = *state;
    char *bytes = arena_take(&fixture->arena, fixture->cell.size);
    for (size_t i = 0; i < fixture->cell.size; i++) {
        memcpy(bytes, fixture->cell.at, fixture->cell.size);
        bytes[i] ^= 0x20;
        assert_false(
            opens(fixture, &fixture->key, &fixture->place, (struct text){bytes, fixture->cell.size}));
    }
    for (size_t size = 0; size < fixture->cell.size; size++) {
        assert_false(opens(fixture, &fixture->key, &fixture->place, (struct text){fixture->cell.at, size}));
    }
    assert_false(opens(fixture, &fixture->key, &fixture->place, TEXT_ABSENT));
}

static void lengths_are_padded(void **state) {
    struct fixture *fixture = *state;
    static char plain[4096];
    memset(plain, 0x80, sizeof(plain));
    for (size_t size = 0; size <= 400; size++) {
        struct text cell = seal_cell(fixture->sealer, &fixture->key, &fixture->place,
                                     (struct text){plain, size}, &fixture->arena);
        struct text back;
        struct err err;
        assert_int_equal(cell.size, 29 + 16 + (size / 64 + 1) * 64);
        assert_int_equal(open_cell(&fixture->key, &fixture->place, cell, &fixture->arena, &back, &err), OK);
        assert_true(text_equal(back, (struct text){plain, size}));
    }
}

static void nonces_never_repeat(void **state) {
    struct fixture *fixture = *state;
    enum { CELLS = 1000 };
    struct text cells[CELLS];
    for (size_t i = 0; i < CELLS; i++) {
        cells[i] = seal_cell(fixture->sealer, &fixture->key, &fixture->place, address, &fixture->arena);
        for (size_t j = 0; j < i; j++) {
            assert_memory_not_equal(cells[i].at + 5, cells[j].at + 5, 24);
        }
    }
}

static void long_ids_are_bound_too(void **state) {
    struct fixture *fixture = *state;
    char id[1000];
    memset(id, 'i', sizeof(id));
    struct seal_place place = fixture->place;
    place.owner = (struct text){id, sizeof(id)};
    struct text cell = seal_cell(fixture->sealer, &fixture->key, &place, address, &fixture->arena);
    assert_true(opens(fixture, &fixture->key, &place, cell));
    id[999] = 'j';
    assert_false(opens(fixture, &fixture->key, &place, cell));
}

static void a_full_arena_is_no_damage(void **state) {
    struct fixture *fixture = *state;
    struct arena small;
    struct text plain;
    struct err err;
    arena_init(&small, 16);
    assert_int_equal(open_cell(&fixture->key, &fixture->place, fixture->cell, &small, &plain, &err), RETRY);
    assert_false(text_present(seal_cell(fixture->sealer, &fixture->key, &fixture->place, address, &small)));
    arena_release(&small);
}

static enum outcome read_secret(const char *content, uint8_t key[32], struct err *err) {
    char path[] = "/tmp/test_seal.XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, content, strlen(content)), strlen(content));
    assert_int_equal(close(file), 0);
    enum outcome outcome = secret_read(path, key, err);
    assert_int_equal(unlink(path), 0);
    return outcome;
}

static void secrets_come_from_files(void **state) {
    (void)state;
    static const char digits[] = "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF";
    char longer[80];
    uint8_t key[32];
    struct err err;
    assert_int_equal(read_secret(digits, key, &err), OK);
    assert_int_equal(key[31], 0xff);
    (void)snprintf(longer, sizeof(longer), "%s\n", digits);
    assert_int_equal(read_secret(longer, key, &err), OK);
    (void)snprintf(longer, sizeof(longer), "%s0", digits);
    assert_int_equal(read_secret(longer, key, &err), FATAL);
    assert_int_equal(read_secret(digits + 1, key, &err), FATAL);
    assert_int_equal(read_secret("", key, &err), FATAL);
    assert_int_equal(secret_read("/nonexistent/key", key, &err), FATAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(opens_where_it_stands, set_up, tear_down),
        cmocka_unit_test_setup_teardown(moved_cells_do_not_open, set_up, tear_down),
        cmocka_unit_test_setup_teardown(other_keys_do_not_open, set_up, tear_down),
        cmocka_unit_test_setup_teardown(damaged_cells_do_not_open, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lengths_are_padded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nonces_never_repeat, set_up, tear_down),
        cmocka_unit_test_setup_teardown(long_ids_are_bound_too, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_arena_is_no_damage, set_up, tear_down),
        cmocka_unit_test(secrets_come_from_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
