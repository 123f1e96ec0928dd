/* Linked into a unit program, leaves it the one test that KUNDREGISTER_TEST_ONLY names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

__attribute__((constructor)) static void only(void) {
    const char *name = getenv("KUNDREGISTER_TEST_ONLY");
    if (name)
        cmocka_set_test_filter(name);
}
