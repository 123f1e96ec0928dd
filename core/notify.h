/* Tells systemd how the service is (sd_notify(3): datagrams to $NOTIFY_SOCKET). Without that variable every
 * call does nothing; a failure is ignored, for the work must go on. Callable from any thread after
 * notify_init. */
#ifndef KR_NOTIFY_H
#define KR_NOTIFY_H

#include <stdint.h>

/* Reads the environment. At start, before threads. */
void notify_init(void);
/* READY=1, also the end of a reload. */
void notify_ready(void);
/* RELOADING=1, to be followed by notify_ready. */
void notify_reloading(void);
void notify_stopping(void);
/* One line for `systemctl status`, without personal data; at most 200 bytes are sent. */
void notify_status(const char *sentence);
/* WATCHDOG=1: to be called when the loops are seen alive, each notify_watchdog_ms. */
void notify_watchdog(void);
/* Half of WatchdogSec=, 0 when the unit asks for none. */
int64_t notify_watchdog_ms(void);

#endif
