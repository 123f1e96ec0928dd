/* The daemons' small HTTP server: a table of three pages. */
#include "core/http.h"

#include "core/log.h"
#include "core/metrics.h"
#include "core/ready.h"
#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HTTP_CONNECTIONS_MAX 32
#define HTTP_IDLE_S 10
#define HTTP_MEMORY_BYTES 16384 /* a connection's; longer requests are refused by the library */
#define HTTP_READY_BYTES 9000

struct http {
    struct MHD_Daemon *daemon;
    int64_t silence_max_ms;
    int port;
};

struct page {
    unsigned status;
    char *body; /* malloc'ed */
    size_t size;
};

static bool page_health(const struct http *http, struct page *page) {
    bool alive = ready_alive(http->silence_max_ms);
    page->status = alive ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
    page->body = strdup(alive ? "{\"alive\":true}\n" : "{\"alive\":false}\n");
    page->size = page->body ? strlen(page->body) : 0;
    return page->body != NULL;
}

static bool page_ready(const struct http *http, struct page *page) {
    (void)http;
    page->status = ready_all() ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
    page->body = malloc(HTTP_READY_BYTES);
    if (page->body)
        page->size = ready_write(page->body, HTTP_READY_BYTES);
    return page->body != NULL;
}

static bool page_metrics(const struct http *http, struct page *page) {
    (void)http;
    FILE *out = open_memstream(&page->body, &page->size);
    if (!out)
        return false;
    metrics_write(out);
    page->status = MHD_HTTP_OK;
    return fclose(out) == 0;
}

static const struct {
    const char *url, *content_type;
    bool (*write)(const struct http *http, struct page *page);
} pages[] = {
    {"/healthz", "application/json", page_health},
    {"/readyz", "application/json", page_ready},
    {"/metrics", "text/plain; version=0.0.4; charset=utf-8", page_metrics},
};

static enum MHD_Result answer(struct MHD_Connection *connection, struct page *page,
                              const char *content_type) {
    struct MHD_Response *response =
        MHD_create_response_from_buffer(page->size, page->body, MHD_RESPMEM_MUST_FREE);
    if (!response) {
        free(page->body);
        return MHD_NO;
    }
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (page->status == MHD_HTTP_METHOD_NOT_ALLOWED)
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    enum MHD_Result result = MHD_queue_response(connection, page->status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result answer_plainly(struct MHD_Connection *connection, unsigned status,
                                      const char *sentence) {
    struct page page = {.status = status, .body = strdup(sentence), .size = strlen(sentence)};
    return page.body ? answer(connection, &page, "text/plain; charset=utf-8") : MHD_NO;
}

static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **request) {
    static char seen; /* its address marks a request whose headers were read */
    (void)version, (void)upload;
    if (!*request) {
        *request = &seen;
        return MHD_YES;
    }
    if (*upload_size) {
        *upload_size = 0; /* a body is read and thrown away */
        return MHD_YES;
    }
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return answer_plainly(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
    for (size_t i = 0; i < sizeof(pages) / sizeof(*pages); i++) {
        struct page page = {0};
        if (strcmp(url, pages[i].url) != 0)
            continue;
        if (pages[i].write(context, &page))
            return answer(connection, &page, pages[i].content_type);
        free(page.body);
        return MHD_NO;
    }
    return answer_plainly(connection, MHD_HTTP_NOT_FOUND, "there are /healthz, /readyz and /metrics\n");
}

/* The library would tell stderr, which carries JSON lines only. */
static void keep_silent(void *context, const char *format, va_list arguments) {
    (void)context, (void)format, (void)arguments;
}

struct http *http_new(const char *address, int port, int64_t silence_max_ms, struct err *err) {
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    unsigned flags = MHD_USE_AUTO_INTERNAL_THREAD | MHD_USE_ERROR_LOG;
    const struct sockaddr *at = (const struct sockaddr *)&v4;
    uint16_t wanted = htons((uint16_t)(port == HTTP_ANY_PORT ? 0 : port));

    struct http *http = calloc(1, sizeof(*http));
    if (!http) {
        (void)err_set(err, FATAL, errno, "no memory for the HTTP server");
        return NULL;
    }
    http->silence_max_ms = silence_max_ms;
    v4.sin_port = v6.sin6_port = wanted;
    if (inet_pton(AF_INET6, address, &v6.sin6_addr) == 1) {
        flags |= MHD_USE_IPv6;
        at = (const struct sockaddr *)&v6;
    } else if (inet_pton(AF_INET, address, &v4.sin_addr) != 1) {
        (void)err_set(err, FATAL, 0, "http.address is no numeric IPv4 or IPv6 address");
        free(http);
        return NULL;
    }
    http->daemon =
        MHD_start_daemon(flags, 0, NULL, NULL, handle, http, MHD_OPTION_EXTERNAL_LOGGER, keep_silent, NULL,
                         MHD_OPTION_SOCK_ADDR, at, MHD_OPTION_CONNECTION_LIMIT, HTTP_CONNECTIONS_MAX,
                         MHD_OPTION_CONNECTION_TIMEOUT, HTTP_IDLE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                         (size_t)HTTP_MEMORY_BYTES, MHD_OPTION_END);
    if (!http->daemon) {
        (void)err_set(err, FATAL, errno, "cannot listen on %s port %d: %s", address, port,
                      strerrordesc_np(errno));
        free(http);
        return NULL;
    }
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_BIND_PORT);
    http->port = info ? info->port : port;
    return http;
}

struct http *http_serve(const char *address, int port, int64_t silence_max_ms, struct err *err) {
    struct http *http = http_new(address, port, silence_max_ms, err);
    if (!http && err->code == EADDRINUSE && port != HTTP_ANY_PORT) {
        http = http_new(address, HTTP_ANY_PORT, silence_max_ms, err);
        if (http)
            log_write(LOG_WARNING, "http_port_taken",
                      "The configured port is another process's; a free one is taken.",
                      LOG_INT("configured", port), LOG_INT("port", http_port(http)));
    }
    if (http)
        log_write(LOG_INFO, "http", "Health and metrics are served.", LOG_INT("port", http_port(http)));
    return http;
}

int http_port(const struct http *http) {
    return http->port;
}

void http_free(struct http *http) {
    if (!http)
        return;
    MHD_stop_daemon(http->daemon);
    free(http);
}
