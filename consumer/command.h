/* Between stages 2 and 3: an employee's command is opened, so that load and decide see whom it names. */
#ifndef KR_CONSUMER_COMMAND_H
#define KR_CONSUMER_COMMAND_H

#include "consumer/load.h"

/* Once at start: the ring that commands are sealed under is there, so that a clerk, who may only read the
 * vault, finds its key. FATAL when it does not open. */
enum outcome command_provide(struct keyring *keyring, struct arena *arena, int64_t now_s,
                             struct err *err) MUST_CHECK;

/* Fills in event->as.tied of a COMMAND_TIED. One that does not open (sealed under a vault that is lost, moved
 * to another key, damaged) is refused as not_supported, detail "sealed": no partition stops for it, and the
 * journal keeps it. RETRY: the batch is too large (load->arena_full), or the vault is away. POISON with
 * load->park_reason: the ring itself does not open. */
enum outcome command_take(struct load *load, struct event *event, struct refusal *refusal,
                          struct err *err) MUST_CHECK;

#endif
