/* The machine's clock behind clock_ops. */
#include "core/clock.h"

#include "core/stop.h"
#include <errno.h>
#include <stddef.h>
#include <time.h>

#define SLEEP_SHORT_US 20000 /* up to here a request to stop is looked at only afterwards */

static int64_t clock_read_us(clockid_t id) {
    struct timespec at;
    clock_gettime(id, &at);
    return (int64_t)at.tv_sec * 1000000 + at.tv_nsec / 1000;
}

static int64_t system_now_us(void *clock) {
    (void)clock;
    return clock_read_us(CLOCK_REALTIME);
}

static int64_t system_monotonic_us(void *clock) {
    (void)clock;
    return clock_read_us(CLOCK_MONOTONIC);
}

static bool system_sleep_us(void *clock, int64_t sleep_us) {
    (void)clock;
    if (sleep_us > SLEEP_SHORT_US)
        return stop_sleep_ms((sleep_us + 999) / 1000);
    struct timespec rest = {.tv_sec = 0, .tv_nsec = sleep_us > 0 ? sleep_us * 1000 : 0};
    while (nanosleep(&rest, &rest) && errno == EINTR && !stop_requested())
        ;
    return !stop_requested();
}

const struct clock_ops clock_system = {
    .now_us = system_now_us, .monotonic_us = system_monotonic_us, .sleep_us = system_sleep_us};
