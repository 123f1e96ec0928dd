/* Kills or stops the process at a labelled place that the environment names. */
#include "core/killpoint.h"

#include <stdio.h>

#ifdef KR_KILL_POINTS
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

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

void kill_point(const char *label) {
    static _Atomic long kills, stops;
    if (reached(getenv("KUNDREGISTER_KILL_AT"), label, &kills))
        raise(SIGKILL);
    if (reached(getenv("KUNDREGISTER_STOP_AT"), label, &stops))
        raise(SIGSTOP);
}

bool kill_point_planted(const char *name) {
    const char *planted = getenv("KUNDREGISTER_PLANT");
    return planted && strcmp(planted, name) == 0;
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
