/* How each loop of a daemon is: ready or not and why, and when it last turned round. Shown by /readyz and
 * /healthz, and by systemd's watchdog. Callable from any thread. */
#ifndef KR_READY_H
#define KR_READY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define READY_SLOTS 72 /* 64 workers and some more */
#define READY_REASON_MAX 200

/* At start: slots 0 to count - 1 are in use and "starting" until they say otherwise. */
void ready_init(unsigned count);
/* ready_set(2, false, "register_away: the register cannot be reached"): a code and a sentence, no personal
 * data; the text is copied. NULL with ok. Cheap when nothing changes. */
void ready_set(unsigned slot, bool ok, const char *reason);
/* The loop of that slot turned round. Once it did, it must go on doing so, or the process counts as sick. */
void ready_beat(unsigned slot);
/* The loop has ended, or is about to wait on purpose: no heartbeat is expected. */
void ready_rest(unsigned slot);

/* All slots are ready. */
bool ready_all(void);
/* No loop is silent longer than that. */
bool ready_alive(int64_t silence_max_ms);
/* {"ready":false,"reasons":["..."]}; each reason once. Returns the length; no NUL. */
size_t ready_write(char *buffer, size_t room);

#endif
