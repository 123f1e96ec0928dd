/* Kills or stops the process at a labelled place that the environment names. */
#include "core/killpoint.h"

#include <stdio.h>

#ifdef KR_KILL_POINTS
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SOON_NS 2000000 /* a Kafka transaction's end takes several milliseconds */

/* Whether `wanted`, "label" or "label:nth", names this passage; counts the passages. */
static bool reached(const char *wanted, const char *label, _Atomic long *passages) {
    if (!wanted)
        return false;
    size_t size = strcspn(wanted, ":");
    if (size != strlen(label) || memcmp(wanted, label, size) != 0)
        return false;
    long nth = wanted[size] == ':' ? strtol(wanted + size + 1, NULL, 10) : 1;
    return atomic_fetch_add(passages, 1) + 1 == nth;
}

/* The signal that is due at this passage of the label, or 0. */
static int due(const char *label) {
    static _Atomic long kills, stops;
    if (reached(getenv("KUNDREGISTER_KILL_AT"), label, &kills))
        return SIGKILL;
    return reached(getenv("KUNDREGISTER_STOP_AT"), label, &stops) ? SIGSTOP : 0;
}

void kill_point(const char *label) {
    int number = due(label);
    if (number)
        raise(number);
}

static void *strike(void *number) {
    const struct timespec soon = {.tv_sec = 0, .tv_nsec = SOON_NS};
    nanosleep(&soon, NULL);
    kill(getpid(), *(int *)number);
    return NULL;
}

void kill_point_soon(const char *label) {
    static int number;
    pthread_t thread;
    int now = due(label);
    if (!now)
        return;
    number = now;
    if (pthread_create(&thread, NULL, strike, &number) == 0)
        pthread_detach(thread);
}

bool kill_point_list(const char *const *labels) {
    for (; *labels; labels++)
        puts(*labels);
    return true;
}
#else
bool kill_point_list(const char *const *labels) {
    (void)labels;
    return false;
}
#endif
