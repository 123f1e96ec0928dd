/* An employee's command as it travels: sealed JSON in base64url, bound to the request that it is about and to
 * its output id, under a ring of its own. register.command.v1 is its journal: kept for ever, so that a
 * rebuilt register has it again. */
#ifndef KR_COMMAND_SEAL_H
#define KR_COMMAND_SEAL_H

#include "core/json_write.h"
#include "core/keyring.h"

#define COMMAND_PERSON "/commands" /* owns the ring; no id begins with a slash */

struct command_tie {
    struct text request_id, person; /* person: "c1" or "recipient:r1" */
};

/* The key that commands are sealed under. The consumer provides it at start; whoever seals only loads it. */
struct key_want command_want(void);
/* The body of the command's output, {"sealed":"..."}, in the arena; absent when the arena is full. output_id:
 * as output_id_write has it. */
struct text command_seal(struct sealer *sealer, const struct seal_key *key, const struct command_tie *tie,
                         struct text output_id, struct json_writer *writer, struct arena *arena);
#define COMMAND_SEALED_MOST 4096 /* characters of base64url */
/* The sealed bytes of a body's base64url, in the buffer; absent when they are none. */
struct text command_bytes(struct text sealed, uint8_t buffer[COMMAND_SEALED_MOST]);
/* Opens them. FATAL: they are not this request's and output's, or say nothing that is known. RETRY: the arena
 * is full. */
enum outcome command_open(const struct seal_key *key, struct text bytes, struct text request_id,
                          struct text output_id, struct arena *arena, struct command_tie *tie,
                          struct err *err) MUST_CHECK;

#endif
