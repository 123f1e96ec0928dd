/* How each loop of a daemon is. */
#include "core/ready.h"

#include "core/log.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static struct {
    pthread_mutex_t
        lock; /* guards count, ok and reasons; taken only when a loop's state is set or asked for */
    unsigned count;
    bool ok[READY_SLOTS];
    char reasons[READY_SLOTS][READY_REASON_MAX];
} ready = {.lock = PTHREAD_MUTEX_INITIALIZER};
static _Atomic int64_t beats_ms[READY_SLOTS]; /* 0 = none expected */

static int64_t monotonic_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 + 1;
}

void ready_init(unsigned count) {
    pthread_mutex_lock(&ready.lock);
    ready.count = count < READY_SLOTS ? count : READY_SLOTS;
    for (unsigned slot = 0; slot < READY_SLOTS; slot++) {
        ready.ok[slot] = false;
        (void)snprintf(ready.reasons[slot], READY_REASON_MAX, "starting: not all is connected yet");
        atomic_store(&beats_ms[slot], 0);
    }
    pthread_mutex_unlock(&ready.lock);
}

void ready_set(unsigned slot, bool ok, const char *reason) {
    if (slot >= READY_SLOTS)
        return;
    pthread_mutex_lock(&ready.lock);
    ready.ok[slot] = ok;
    if (!ok)
        (void)snprintf(ready.reasons[slot], READY_REASON_MAX, "%s",
                       reason ? reason : "not_ready: no reason given");
    pthread_mutex_unlock(&ready.lock);
}

void ready_beat(unsigned slot) {
    if (slot < READY_SLOTS)
        atomic_store_explicit(&beats_ms[slot], monotonic_ms(), memory_order_relaxed);
}

void ready_rest(unsigned slot) {
    if (slot < READY_SLOTS)
        atomic_store_explicit(&beats_ms[slot], 0, memory_order_relaxed);
}

bool ready_all(void) {
    bool all = true;
    pthread_mutex_lock(&ready.lock);
    for (unsigned slot = 0; slot < ready.count; slot++)
        all = all && ready.ok[slot];
    all = all && ready.count;
    pthread_mutex_unlock(&ready.lock);
    return all;
}

bool ready_alive(int64_t silence_max_ms) {
    int64_t now = monotonic_ms();
    for (unsigned slot = 0; slot < READY_SLOTS; slot++) {
        int64_t beat = atomic_load_explicit(&beats_ms[slot], memory_order_relaxed);
        if (beat && now - beat > silence_max_ms)
            return false;
    }
    return true;
}

/* Has an earlier slot given the same reason? Called with the lock. */
static bool reason_told(unsigned slot) {
    for (unsigned earlier = 0; earlier < slot; earlier++)
        if (!ready.ok[earlier] && strcmp(ready.reasons[earlier], ready.reasons[slot]) == 0)
            return true;
    return false;
}

size_t ready_write(char *buffer, size_t room) {
    char reasons[8192];
    size_t used = 0;
    bool all;
    pthread_mutex_lock(&ready.lock);
    all = ready.count != 0;
    for (unsigned slot = 0; slot < ready.count; slot++) {
        if (ready.ok[slot])
            continue;
        all = false;
        if (reason_told(slot) || sizeof(reasons) - used < READY_REASON_MAX * 6 + 3)
            continue;
        if (used)
            reasons[used++] = ',';
        reasons[used++] = '"';
        used += log_escape(reasons + used, READY_REASON_MAX * 6, text_of(ready.reasons[slot]));
        reasons[used++] = '"';
    }
    pthread_mutex_unlock(&ready.lock);
    int size = snprintf(buffer, room, "{\"ready\":%s,\"reasons\":[%.*s]}\n", all ? "true" : "false",
                        (int)used, reasons);
    return size < 0 ? 0 : (size_t)size < room ? (size_t)size : room ? room - 1 : 0;
}
