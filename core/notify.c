/* Tells systemd how the service is, by the documented protocol alone. */
#include "core/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static struct sockaddr_un notify_address;
static socklen_t notify_address_size; /* 0 = nobody listens */
static int64_t notify_every_ms;

static int64_t number_of(const char *text) {
    char *end;
    errno = 0;
    long long value = text && *text ? strtoll(text, &end, 10) : 0;
    return !text || !*text || errno || *end || value < 0 ? 0 : value;
}

void notify_init(void) {
    const char *path = getenv("NOTIFY_SOCKET");
    size_t size = path ? strlen(path) : 0;
    notify_address_size = 0;
    notify_every_ms = 0;
    if (size < 2 || size >= sizeof(notify_address.sun_path) || (path[0] != '/' && path[0] != '@'))
        return;
    memset(&notify_address, 0, sizeof(notify_address));
    notify_address.sun_family = AF_UNIX;
    memcpy(notify_address.sun_path, path, size);
    if (path[0] == '@')
        notify_address.sun_path[0] = '\0'; /* the abstract namespace */
    notify_address_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
    const char *pid = getenv("WATCHDOG_PID");
    if (!pid || number_of(pid) == getpid())
        notify_every_ms = number_of(getenv("WATCHDOG_USEC")) / 2000;
}

static void send_state(const char *state) {
    if (!notify_address_size)
        return;
    int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0)
        return;
    (void)sendto(descriptor, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT,
                 (const struct sockaddr *)&notify_address, notify_address_size);
    close(descriptor);
}

void notify_ready(void) {
    send_state("READY=1");
}

void notify_reloading(void) {
    char state[64];
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    (void)snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%lld",
                   (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
    send_state(state);
}

void notify_stopping(void) {
    send_state("STOPPING=1");
}

void notify_status(const char *sentence) {
    char state[208];
    (void)snprintf(state, sizeof(state), "STATUS=%.200s", sentence);
    for (char *at = state; *at; at++)
        if (*at == '\n')
            *at = ' '; /* a newline would begin another assignment */
    send_state(state);
}

void notify_watchdog(void) {
    send_state("WATCHDOG=1");
}

int64_t notify_watchdog_ms(void) {
    return notify_every_ms;
}
