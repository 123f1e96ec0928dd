/* The HTTP server over a real loopback socket; readiness, stop and systemd's notification. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/http.h"
#include "core/metrics.h"
#include "core/notify.h"
#include "core/ready.h"
#include "core/stop.h"
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct http *server;

static int start(void **state) {
    (void)state;
    struct err err = {0};
    ready_init(2);
    metrics_init(METRICS_CONSUMER, "test");
    server = http_new("127.0.0.1", HTTP_ANY_PORT, 50, &err);
    return server ? 0 : -1;
}

static int end(void **state) {
    (void)state;
    http_free(server);
    server = NULL;
    return 0;
}

/* Sends the request and reads to the end; returns the status, the body in `body`. */
static int ask(const char *request, char *body, size_t room) {
    char answer[65536];
    size_t used = 0;
    ssize_t size;
    int status = 0;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)http_port(server))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(descriptor, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(send(descriptor, request, strlen(request), MSG_NOSIGNAL), strlen(request));
    while (used < sizeof(answer) - 1 &&
           (size = recv(descriptor, answer + used, sizeof(answer) - 1 - used, 0)) > 0)
        used += (size_t)size;
    close(descriptor);
    answer[used] = '\0';
    const char *start_of_body = strstr(answer, "\r\n\r\n");
    (void)snprintf(body, room, "%s", start_of_body ? start_of_body + 4 : "");
    return sscanf(answer, "HTTP/1.1 %d", &status) == 1 ? status : 0;
}

static int get(const char *path, char *body, size_t room) {
    char request[200];
    (void)snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path);
    return ask(request, body, room);
}

static void readiness_tells_why(void **state) {
    (void)state;
    char body[65536];
    assert_int_equal(get("/readyz", body, sizeof(body)), 503);
    assert_string_equal(body, "{\"ready\":false,\"reasons\":[\"starting: not all is connected yet\"]}\n");
    ready_set(0, true, NULL);
    ready_set(1, false, "register_away: \"x\" is away");
    assert_int_equal(get("/readyz", body, sizeof(body)), 503);
    assert_string_equal(body, "{\"ready\":false,\"reasons\":[\"register_away: \\\"x\\\" is away\"]}\n");
    ready_set(1, true, NULL);
    assert_int_equal(get("/readyz?x=1", body, sizeof(body)), 200);
    assert_string_equal(body, "{\"ready\":true,\"reasons\":[]}\n");
}

static void health_follows_the_heartbeats(void **state) {
    (void)state;
    char body[1000];
    assert_int_equal(get("/healthz", body, sizeof(body)), 200);
    ready_beat(1);
    struct timespec while_silent = {.tv_nsec = 120000000}; /* more than the 50 ms allowed: that is the case */
    nanosleep(&while_silent, NULL);
    assert_int_equal(get("/healthz", body, sizeof(body)), 503);
    assert_string_equal(body, "{\"alive\":false}\n");
    ready_rest(1);
    assert_int_equal(get("/healthz", body, sizeof(body)), 200);
}

static void metrics_are_served(void **state) {
    (void)state;
    char body[65536];
    assert_int_equal(get("/metrics", body, sizeof(body)), 200);
    assert_non_null(
        strstr(body, "kundregister_build_info{program=\"kundregister-consumer\",version=\"test\"} 1\n"));
    assert_non_null(strstr(body, "process_start_time_seconds "));
}

static void other_requests_are_refused(void **state) {
    (void)state;
    char body[1000], request[20000];
    assert_int_equal(get("/", body, sizeof(body)), 404);
    assert_int_equal(get("/metrics/../etc", body, sizeof(body)), 404);
    assert_int_equal(
        ask("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc", body,
            sizeof(body)),
        405);
    assert_int_equal(
        ask("HEAD /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", body, sizeof(body)), 200);
    assert_string_equal(body, "");
    (void)ask("\x01\x02 nonsense\r\n\r\n", body, sizeof(body));
    (void)snprintf(request, sizeof(request), "GET /%018000d HTTP/1.1\r\nHost: x\r\n\r\n", 1);
    assert_int_not_equal(ask(request, body, sizeof(body)), 200);
    assert_int_equal(get("/healthz", body, sizeof(body)), 200); /* still there */
}

static void an_unusable_address_is_said(void **state) {
    (void)state;
    struct err err = {0};
    assert_null(http_new("localhost", HTTP_ANY_PORT, 1000, &err));
    assert_int_equal(err.kind, FATAL);
    assert_null(http_new("127.0.0.1", http_port(server), 1000, &err)); /* taken */
    assert_non_null(strstr(err.text, "Address already in use"));
    assert_int_equal(err.code, EADDRINUSE);
    struct http *second =
        http_serve("127.0.0.1", http_port(server), 1000, &err); /* a daemon goes elsewhere */
    assert_non_null(second);
    assert_int_not_equal(http_port(second), http_port(server));
    http_free(second);
    assert_null(http_serve("192.0.2.1", HTTP_ANY_PORT, 1000, &err));
    struct http *v6 = http_new("::1", HTTP_ANY_PORT, 1000, &err);
    http_free(v6); /* may be NULL where the machine has no IPv6 */
}

static void sixty_four_reasons_fit(void **state) {
    (void)state;
    char buffer[9000], reason[READY_REASON_MAX];
    ready_init(64);
    for (unsigned slot = 0; slot < 64; slot++) {
        memset(reason, '\x01', sizeof(reason) - 1);
        (void)snprintf(reason, 10, "%u", slot);
        reason[strlen(reason)] = ' ';
        reason[sizeof(reason) - 1] = '\0';
        ready_set(slot, false, reason);
    }
    size_t size = ready_write(buffer, sizeof(buffer));
    assert_true(size > 5000 && size < sizeof(buffer));
    assert_memory_equal(buffer + size - 4, "\"]}\n", 4);
}

static void systemd_is_told(void **state) {
    (void)state;
    char folder[] = "/tmp/test_notify.XXXXXX", text[300];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    assert_non_null(mkdtemp(folder));
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", folder);
    int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(descriptor, (struct sockaddr *)&address, sizeof(address)), 0);
    unsetenv("NOTIFY_SOCKET");
    notify_init();
    notify_ready(); /* nobody there: nothing happens */
    setenv("NOTIFY_SOCKET", address.sun_path, 1);
    setenv("WATCHDOG_USEC", "30000000", 1);
    notify_init();
    assert_int_equal(notify_watchdog_ms(), 15000);
    notify_ready();
    notify_status("two\nlines");
    notify_stopping();
    static const char *const told[] = {"READY=1", "STATUS=two lines", "STOPPING=1"};
    for (size_t i = 0; i < 3; i++) {
        ssize_t size = recv(descriptor, text, sizeof(text) - 1, 0);
        assert_true(size > 0);
        text[size] = '\0';
        assert_string_equal(text, told[i]);
    }
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    notify_init();
    close(descriptor);
    (void)unlink(address.sun_path);
    (void)rmdir(folder);
}

/* In a process of its own, for it ends by its flags. */
static int child_of_signals(void) {
    struct err err;
    stop_install();
    if (stop_no_core_dumps(&err) != OK)
        return 1;
    stop_set_drain(60000);
    if (stop_requested() || stop_drain_left_ms() != INT64_MAX || stop_reload_requested())
        return 2;
    raise(SIGHUP);
    raise(SIGHUP);
    if (!stop_reload_requested() || stop_reload_requested() || stop_requested())
        return 3;
    if (!stop_sleep_ms(1))
        return 4;
    raise(SIGTERM);
    raise(SIGTERM); /* at once: the same request */
    if (!stop_requested() || stop_sleep_ms(60000))
        return 5;
    int64_t left = stop_drain_left_ms();
    if (left > 60000 || left < 30000)
        return 6;
    stop_set_drain(0);
    if (stop_drain_left_ms() != 0)
        return 7;
    raise(SIGPIPE);
    struct timespec later = {.tv_sec = 1, .tv_nsec = 100000000};
    nanosleep(&later, NULL);
    raise(SIGINT); /* the second request: does not return */
    return 8;
}

static void signals_ask_for_the_end(void **state) {
    (void)state;
    int status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (!child)
        _exit(child_of_signals());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 128 + SIGINT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signals_ask_for_the_end), /* before any thread, for it forks */
        cmocka_unit_test_setup_teardown(readiness_tells_why, start, end),
        cmocka_unit_test_setup_teardown(health_follows_the_heartbeats, start, end),
        cmocka_unit_test_setup_teardown(metrics_are_served, start, end),
        cmocka_unit_test_setup_teardown(other_requests_are_refused, start, end),
        cmocka_unit_test_setup_teardown(an_unusable_address_is_said, start, end),
        cmocka_unit_test(sixty_four_reasons_fit),
        cmocka_unit_test(systemd_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
