/* The daemons' small HTTP server: /healthz, /readyz, /metrics. One thread of libmicrohttpd's own; loopback
 * unless configured otherwise; nothing there is personal data. */
#ifndef KR_HTTP_H
#define KR_HTTP_H

#include "core/err.h"
#include <stdint.h>

struct http;

#define HTTP_ANY_PORT (-1)

/* Listens on a numeric IPv4 or IPv6 address. HTTP_ANY_PORT takes a free port. /healthz turns 503 when a loop
 * (core/ready.h) is silent longer than silence_max_ms. NULL with FATAL: the address cannot be used. */
struct http *http_new(const char *address, int port, int64_t silence_max_ms, struct err *err);
/* The same for a daemon, which tells the log its port. A port that another process has is no reason not to
 * start: a free one is taken instead, with a warning. */
struct http *http_serve(const char *address, int port, int64_t silence_max_ms, struct err *err);
/* The port it listens on. */
int http_port(const struct http *http);
/* Ends open requests and the thread. NULL is fine. */
void http_free(struct http *http);

#endif
