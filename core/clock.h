/* The clock as the loops see it: real time, a clock that only moves on, and sleep; so that a test runs a loop
 * without waiting. Callable from any thread. */
#ifndef KR_CLOCK_H
#define KR_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

struct clock_ops {
    /* Microseconds since 1970 UTC; may jump when somebody sets the machine's clock. */
    int64_t (*now_us)(void *clock);
    /* Microseconds since some instant; never goes back. For ages and deadlines. */
    int64_t (*monotonic_us)(void *clock);
    /* False when the end was asked for (core/stop.h): at once or within 20 ms. */
    bool (*sleep_us)(void *clock, int64_t sleep_us);
};

/* The machine's. Its `clock` is NULL. */
extern const struct clock_ops clock_system;

#endif
