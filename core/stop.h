/* The end of a daemon: SIGTERM and SIGINT ask for it, SIGHUP asks to read again what may be read again. The
 * handlers set flags; loops look at them between two steps. Callable from any thread unless said otherwise.
 */
#ifndef KR_STOP_H
#define KR_STOP_H

#include "core/err.h"
#include <stdbool.h>
#include <stdint.h>

/* Installs the handlers and ignores SIGPIPE. At start, before threads. A second SIGTERM or SIGINT, a second
 * or more after the first, ends the process at once with exit code 128 + signal: safe as kill -9 is. (Sooner
 * it is taken for the same request: timeout(1) sends each signal twice.) */
void stop_install(void);
/* How long draining may take after the first request. At start. */
void stop_set_drain(int64_t drain_ms);

bool stop_requested(void);
/* Asks for the end as a signal would: for a loop that met a fatal error, and for --until-caught-up. */
void stop_request(void);
/* What is left of the drain time: INT64_MAX while nobody asked for the end, 0 when it is over. */
int64_t stop_drain_left_ms(void);
/* True once for each SIGHUP (several that came in between count as one). */
bool stop_reload_requested(void);
/* Sleeps, but at most 20 ms beyond a request to stop. False when the end was asked for. */
bool stop_sleep_ms(int64_t sleep_ms);

/* No core file and no ptrace by others: both would carry keys and opened personal data. At start. */
enum outcome stop_no_core_dumps(struct err *err) MUST_CHECK;

#endif
