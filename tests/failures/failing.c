/* Counting calls, and failing one of them. The allocation functions are defined here, in front of the C
 * library's (or AddressSanitizer's), so that libraries meet them too; who calls is told by the return
 * address. */
#include "tests/failures/failing.h"

#include <errno.h>
#include <link.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIBRARIES 3
#define KINDS 5

/* Where code lies whose allocations count. */
struct range {
    uintptr_t from, to;
};

static struct {
    bool armed, hit, known;
    unsigned kinds;
    int resting;
    unsigned long at, times, calls;
    const char *what;
    enum failing_kind kind;
    unsigned long tried[KINDS], ended;
    struct range ranges[LIBRARIES + 1];
    size_t range_count;
} failing;

extern char __executable_start, etext;

static int add_library(struct dl_phdr_info *info, size_t size, void *unused) {
    static const char *const libraries[LIBRARIES] = {"/libunistring.", "/libinih.", "/libpq."};
    (void)size, (void)unused;
    for (size_t i = 0; i < LIBRARIES; i++) {
        if (!info->dlpi_name || !strstr(info->dlpi_name, libraries[i]))
            continue;
        for (size_t k = 0; k < info->dlpi_phnum; k++) {
            const ElfW(Phdr) *part = &info->dlpi_phdr[k];
            if (part->p_type == PT_LOAD && part->p_flags & PF_X && failing.range_count <= LIBRARIES)
                failing.ranges[failing.range_count++] = (struct range){
                    info->dlpi_addr + part->p_vaddr, info->dlpi_addr + part->p_vaddr + part->p_memsz};
        }
    }
    return 0;
}

static void learn_ranges(void) {
    failing.ranges[0] = (struct range){(uintptr_t)&__executable_start, (uintptr_t)&etext};
    failing.range_count = 1;
    dl_iterate_phdr(add_library, NULL);
    failing.known = true;
}

void failing_arm(unsigned kinds, unsigned long at) {
    failing_arm_for(kinds, at, 1);
}

void failing_arm_for(unsigned kinds, unsigned long at, unsigned long times) {
    if (!failing.known)
        learn_ranges();
    failing.kinds = kinds;
    failing.at = at;
    failing.times = times;
    failing.calls = 0;
    failing.hit = false;
    failing.what = "nothing";
    failing.resting = 0;
    failing.armed = true;
}

bool failing_disarm(void) {
    bool hit = failing.armed && failing.hit;
    failing.armed = false;
    if (hit)
        for (unsigned kind = 0; kind < KINDS; kind++)
            failing.tried[kind] += failing.kind == 1u << kind;
    return hit;
}

unsigned long failing_calls(void) {
    return failing.calls;
}

const char *failing_what(void) {
    return failing.what;
}

void failing_rest(void) {
    failing.resting++;
}

void failing_wake(void) {
    failing.resting--;
}

/* Whoever looks for a failure's place with a debugger stops here. */
static void __attribute__((noinline)) fail_here(enum failing_kind kind, const char *what) {
    if (!failing.hit) {
        failing.kind = kind;
        failing.what = what;
    }
    failing.hit = true;
    errno = ENOMEM;
}

bool failing_now(enum failing_kind kind, const char *what) {
    if (!failing.armed || failing.resting || !(failing.kinds & kind))
        return false;
    failing.calls++;
    if (!failing.at || failing.calls < failing.at || failing.calls - failing.at >= failing.times)
        return false;
    fail_here(kind, what);
    return true;
}

void failing_ended(void) {
    failing.ended++;
}

void failing_tell(const char *area) {
    printf("# %s: %lu allocations, %lu of an arena, %lu library calls, %lu openings, %lu cuts; %lu ended the "
           "process\n",
           area, failing.tried[0], failing.tried[1], failing.tried[2], failing.tried[3], failing.tried[4],
           failing.ended);
    memset(failing.tried, 0, sizeof failing.tried);
    failing.ended = 0;
}

int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

bool failing_leaked(void) {
    return __lsan_do_recoverable_leak_check && __lsan_do_recoverable_leak_check();
}

/* ---- allocation functions ---- */

static bool heap_fails(const void *caller, const char *what) {
    if (!failing.armed || failing.resting || !(failing.kinds & FAILING_HEAP))
        return false;
    for (size_t i = 0; i < failing.range_count; i++)
        if ((uintptr_t)caller >= failing.ranges[i].from && (uintptr_t)caller < failing.ranges[i].to)
            return failing_now(FAILING_HEAP, what);
    return false;
}
#define FAILS(what) heap_fails(__builtin_return_address(0), what)

/* The sanitizer's, where there is one; else the C library's. */
void *__interceptor_malloc(size_t size) __attribute__((weak));
void *__interceptor_calloc(size_t count, size_t size) __attribute__((weak));
void *__interceptor_realloc(void *memory, size_t size) __attribute__((weak));
void *__libc_malloc(size_t size) __attribute__((weak));
void *__libc_calloc(size_t count, size_t size) __attribute__((weak));
void *__libc_realloc(void *memory, size_t size) __attribute__((weak));

static void *real_realloc(void *memory, size_t size) {
    return __interceptor_realloc ? __interceptor_realloc(memory, size) : __libc_realloc(memory, size);
}

void *malloc(size_t size) {
    if (FAILS("malloc"))
        return NULL;
    return __interceptor_malloc ? __interceptor_malloc(size) : __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    if (FAILS("calloc"))
        return NULL;
    return __interceptor_calloc ? __interceptor_calloc(count, size) : __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size) {
    return FAILS("realloc") ? NULL : real_realloc(memory, size);
}

void *reallocarray(void *memory, size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return FAILS("reallocarray") ? NULL : real_realloc(memory, bytes);
}
