/* The end of a daemon: flags set by signal handlers. */
#include "core/stop.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define STOP_SAME_REQUEST_MS 1000
#define STOP_SLICE_MS 20

static _Atomic int64_t stop_since_ms; /* 0 = not asked for; monotonic */
static _Atomic bool stop_reload;
static _Atomic int64_t stop_drain_ms = 20000;

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "handlers may only touch lock-free atomics");

static int64_t monotonic_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now); /* async-signal-safe, signal-safety(7) */
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 + 1;
}

static void handle_stop(int signal_number) {
    int errno_before = errno;
    int64_t nobody = 0, now = monotonic_ms();
    if (!atomic_compare_exchange_strong(&stop_since_ms, &nobody, now) && now - nobody >= STOP_SAME_REQUEST_MS)
        _exit(128 + signal_number);
    errno = errno_before;
}

static void handle_reload(int signal_number) {
    (void)signal_number;
    atomic_store(&stop_reload, true);
}

void stop_install(void) {
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    sigemptyset(&action.sa_mask);
    action.sa_flags = SA_RESTART; /* loops poll the flag; libraries need not meet EINTR */
    action.sa_handler = handle_stop;
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    action.sa_handler = handle_reload;
    sigaction(SIGHUP, &action, NULL);
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, NULL);
}

void stop_set_drain(int64_t drain_ms) {
    atomic_store(&stop_drain_ms, drain_ms);
}

bool stop_requested(void) {
    return atomic_load_explicit(&stop_since_ms, memory_order_relaxed) != 0;
}

void stop_request(void) {
    int64_t nobody = 0;
    (void)atomic_compare_exchange_strong(&stop_since_ms, &nobody, monotonic_ms());
}

int64_t stop_drain_left_ms(void) {
    int64_t since = atomic_load(&stop_since_ms);
    if (!since)
        return INT64_MAX;
    int64_t left = since + atomic_load(&stop_drain_ms) - monotonic_ms();
    return left > 0 ? left : 0;
}

bool stop_reload_requested(void) {
    return atomic_exchange(&stop_reload, false);
}

bool stop_sleep_ms(int64_t sleep_ms) {
    int64_t until = monotonic_ms() + sleep_ms;
    for (;;) {
        int64_t left = until - monotonic_ms();
        if (stop_requested())
            return false;
        if (left <= 0)
            return true;
        if (left > STOP_SLICE_MS)
            left = STOP_SLICE_MS;
        struct timespec slice = {.tv_nsec = left * 1000000};
        (void)nanosleep(&slice, NULL);
    }
}

enum outcome stop_no_core_dumps(struct err *err) {
    const struct rlimit none = {0, 0};
    if (setrlimit(RLIMIT_CORE, &none) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        return err_set(err, FATAL, errno, "core dumps cannot be switched off: %s", strerrordesc_np(errno));
    return OK;
}
