/* Kills or stops the process at a labelled place that the environment names. */
#include "core/killpoint.h"

#include <stdio.h>

#ifdef KR_KILL_POINTS
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SOON_NS 2000000 /* a Kafka transaction's end takes several milliseconds */
#define ORDER_BYTES 80

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

/* The signal that a file orders for this label, "kill label" or "stop label", or 0. Whoever takes the file
 * away obeys it, so that of several threads only one does. */
static int ordered(const char *path, const char *label) {
    char order[ORDER_BYTES];
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0)
        return 0;
    ssize_t size = read(file, order, sizeof(order) - 1);
    close(file);
    order[size > 0 ? size : 0] = '\0';
    order[strcspn(order, "\n")] = '\0';
    int number = strncmp(order, "kill ", 5) == 0 ? SIGKILL : strncmp(order, "stop ", 5) == 0 ? SIGSTOP : 0;
    return number && strcmp(order + 5, label) == 0 && unlink(path) == 0 ? number : 0;
}

/* The signal that is due at this passage of the label, or 0. */
static int due(const char *label) {
    static _Atomic long kills, stops;
    if (reached(getenv("KUNDREGISTER_KILL_AT"), label, &kills))
        return SIGKILL;
    if (reached(getenv("KUNDREGISTER_STOP_AT"), label, &stops))
        return SIGSTOP;
    return ordered(getenv("KUNDREGISTER_ORDERS"), label);
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
