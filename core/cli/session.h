/* What every command stands on: the configuration, connections each as one PostgreSQL role, the audit, and
 * how a failure becomes an exit code with one sentence on stderr. Connections are opened when first asked for
 * and closed by session_release. One thread. */
#ifndef KR_SESSION_H
#define KR_SESSION_H

#include "core/cli/output.h"
#include "core/config.h"
#include "core/db.h"
#include "core/policy.h"
#include "core/seal.h"
#include <stdbool.h>
#include <stdint.h>

/* `kundregister help exit-codes` explains them. */
enum exit_code {
    EXIT_FINE = 0,
    EXIT_FINDING = 1,
    EXIT_USAGE = 2,
    EXIT_UNREACHABLE = 69, /* EX_UNAVAILABLE */
    EXIT_OUTPUT = 74,      /* EX_IOERR */
    EXIT_REFUSED = 78,     /* EX_CONFIG */
};

enum cluster { CLUSTER_REGISTER, CLUSTER_VAULT, CLUSTERS };
extern const char *const cluster_names[CLUSTERS];
enum role { ROLE_OWNER, ROLE_CONSUMER, ROLE_PRODUCER, ROLE_OPERATOR, ROLE_CLERK, ROLE_AUDITOR, ROLES };
extern const char *const role_names[ROLES]; /* "owner", ...: keys of [register] and [vault] */

struct session {
    const char *program;     /* argv[0] */
    const char *config_path; /* --config, or NULL */
    bool json;
    bool configured;
    struct config config;
    struct arena arena; /* for the whole command */
    struct err err;
    struct db *db[CLUSTERS][ROLES];
    struct output *output;  /* printed by session_print */
    char operator_name[80]; /* the operating system's user; whose it was before sudo */
};

/* False when memory ran out. */
bool session_init(struct session *session, const char *program);
void session_release(struct session *session);

/* Each of these returns EXIT_FINE, or an exit code after saying on stderr what failed and what to do. */

int session_config(struct session *session);
/* The connection stays the session's. */
int session_open(struct session *session, enum cluster cluster, enum role role, struct db **db);
/* The same without a word on stderr, for doctor; the configuration has been read. */
enum outcome session_try(struct session *session, enum cluster cluster, enum role role, struct db **db,
                         struct err *err) MUST_CHECK;
/* Whether the configuration says how to connect as that role. */
bool session_has(const struct session *session, enum cluster cluster, enum role role);
/* A key file of [keys]; `what` for the complaint: "keys.kek.file". */
int session_key(struct session *session, const char *path, const char *what, uint8_t key[32]);
/* Refuses a register or vault of another schema version than this program's. */
int session_schema(struct session *session, struct db *db, enum cluster cluster);
/* Runs it; *result may be NULL. */
int session_run(struct session *session, struct db *db, const struct query *query, struct db_params *params,
                struct db_result **result);
/* Writes who did or is about to do what, and waits until it is durable. Texts may be NULL. Before personal
 * data is shown this must have returned EXIT_FINE. */
int session_audit(struct session *session, struct db *reg, const char *action, const char *subject,
                  const char *reason, const char *detail);
/* The policy under which the daemons decide, as the register holds it. *policy NULL and EXIT_FINE when none
 * is active. policy_free it. */
int session_policy(struct session *session, struct db *reg, struct policy **policy, int *number);

/* Says err on stderr; the exit code that belongs to its kind. */
int session_failed(struct session *session, const struct err *err);
/* Says a sentence of our own on stderr; returns code. */
int session_refuse(struct session *session, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Prints what was collected; `code`, or EXIT_OUTPUT when that fails. */
int session_print(struct session *session, int code);

/* The newest versions that this program knows. */
int session_newest_schema(enum cluster cluster);

#endif
