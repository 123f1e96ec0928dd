/* What `request show` and `request tie` share. */
#ifndef KR_CLI_REQUEST_H
#define KR_CLI_REQUEST_H

#include "core/cli/session.h"
#include "core/decide/state.h"

/* The request as the register has it. An exit code, said on stderr: EXIT_FINDING when there is none. */
int request_read(struct session *session, struct db *reg, const char *id, struct request *request);
/* What was received and counts; NULL while only an identification is known. */
const struct received_fact *request_shown(const struct request *request);
/* Rows of (person, generation, kind, named first) of whoever has or had the address. */
int request_candidates(struct session *session, struct db *vault, struct text hash,
                       struct db_result **result);

#endif
