/* Makes one call fail: the n-th of all that can, as SQLite's and curl's tests do.
 *
 * While armed, each call that the program's own code makes of an allocation function, of its arenas and of
 * the libraries' functions that can fail is counted, and the n-th fails. Allocations inside libunistring,
 * libinih and libpq count as well. A test runs its subject for n = 1, 2, 3, ... until failing_disarm tells
 * that there was no n-th call any more. Programs that use this are linked with the --wrap options of
 * CMakeLists.txt. One thread. */
#ifndef KR_FAILING_H
#define KR_FAILING_H

#include <stdbool.h>

enum failing_kind {
    FAILING_HEAP = 1,  /* malloc and its like: NULL */
    FAILING_ARENA = 2, /* an arena that gets no chunk: NULL or an absent text */
    FAILING_CALL = 4,  /* a library's or the system's function says that it failed, for want of memory */
    FAILING_OPENS = 8, /* what is sealed does not open, as if it were damaged */
    FAILING_CUT = 16,  /* PostgreSQL's connection is cut just before a call of libpq */
};
#define FAILING_MEMORY (FAILING_HEAP | FAILING_ARENA | FAILING_CALL)

/* From now on calls of these kinds count, and the at-th fails (0: none does). */
void failing_arm(unsigned kinds, unsigned long at);
/* The same, and the `times - 1` calls after it as well: memory stays short for a while. */
void failing_arm_for(unsigned kinds, unsigned long at, unsigned long times);
/* True when that call came. */
bool failing_disarm(void);
/* How many calls there were since it was armed. */
unsigned long failing_calls(void);
/* The name of the function that failed. */
const char *failing_what(void);
/* In between nothing counts: what is done by the test itself, or by what stands for a server. They nest. */
void failing_rest(void);
void failing_wake(void);
/* For wrapped calls: true when this one is to fail. */
bool failing_now(enum failing_kind kind, const char *what);

/* The failure ended the process (FATAL), so that its supervisor had to start it again. */
void failing_ended(void);
/* Prints as a remark how many points were tried since it was called last, with `area` in front. */
void failing_tell(const char *area);
/* Fails when something that was allocated is lost (under AddressSanitizer only). */
bool failing_leaked(void);

#endif
