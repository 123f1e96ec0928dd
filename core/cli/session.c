/* Configuration, connections by role, the audit and exit codes of the command line. */
#include "core/cli/session.h"

#include "core/operator.h"
#include "queries.h"
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

/* Everything a command collects before it prints: an answer of many thousand rows fits, a register does not.
 */
#define SESSION_ARENA_BYTES ((size_t)512 << 20)

const char *const cluster_names[CLUSTERS] = {"register", "vault"};
const char *const role_names[ROLES] = {"owner", "consumer", "producer", "operator", "clerk", "auditor"};

bool session_init(struct session *session, const char *program) {
    *session = (struct session){.program = program};
    arena_init(&session->arena, SESSION_ARENA_BYTES);
    operator_name(session->operator_name, sizeof(session->operator_name));
    session->output = output_new(&session->arena, false);
    return session->output != NULL;
}

void session_release(struct session *session) {
    for (int cluster = 0; cluster < CLUSTERS; cluster++) {
        for (int role = 0; role < ROLES; role++)
            db_close(session->db[cluster][role]);
    }
    if (session->configured)
        config_release(&session->config);
    arena_release(&session->arena);
}

int session_refuse(struct session *session, int code, const char *format, ...) {
    va_list arguments;
    (void)session;
    fputs("kundregister: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    return code;
}

int session_failed(struct session *session, const struct err *err) {
    int code = err->kind == RETRY ? EXIT_UNREACHABLE : err->kind == FATAL ? EXIT_REFUSED : EXIT_FINDING;
    return session_refuse(session, code, "%s%s%s", err->text[0] ? err->text : "failed",
                          err->sqlstate[0] ? ", SQLSTATE " : "", err->sqlstate);
}

static void say_config(void *context, enum config_grade grade, const char *where, const char *message) {
    (void)context;
    fprintf(stderr, "kundregister: configuration: %s%s%s%s\n", grade == CONFIG_WARNING ? "warning: " : "",
            where, *where ? ": " : "", message);
}

int session_config(struct session *session) {
    struct config_options options = {.path = session->config_path, .complain = say_config};
    if (session->configured)
        return EXIT_FINE;
    session->configured = true; /* releasable in either case */
    if (config_read(&session->config, &options, &session->err) != OK)
        return session_failed(session, &session->err);
    log_program("kundregister");
    log_set_level(LOG_ERROR); /* librdkafka's own remarks would stand between what a command prints */
    return EXIT_FINE;
}

static const char *conninfo(const struct session *session, enum cluster cluster, enum role role) {
    const struct config_roles *roles =
        cluster == CLUSTER_REGISTER ? &session->config.register_as : &session->config.vault_as;
    const char *const by_role[ROLES] = {roles->owner, roles->consumer, roles->producer, roles->operator,
                                        roles->clerk, roles->auditor};
    return by_role[role];
}

enum outcome session_try(struct session *session, enum cluster cluster, enum role role, struct db **db,
                         struct err *err) {
    struct db **open = &session->db[cluster][role];
    const char *text = conninfo(session, cluster, role);
    *db = NULL;
    if (!text)
        return err_set(err, FATAL, 0, "the configuration has no %s.%s to connect with",
                       cluster_names[cluster], role_names[role]);
    enum outcome outcome = *open ? OK : db_open(open, text, "kundregister", err);
    if (outcome != OK)
        *open = NULL;
    *db = *open;
    return outcome;
}

bool session_has(const struct session *session, enum cluster cluster, enum role role) {
    return conninfo(session, cluster, role) != NULL;
}

int session_open(struct session *session, enum cluster cluster, enum role role, struct db **db) {
    int code = session_config(session);
    if (code != EXIT_FINE)
        return code;
    if (session_try(session, cluster, role, db, &session->err) != OK) {
        fprintf(stderr, "kundregister: the %s, as %s:\n", cluster_names[cluster], role_names[role]);
        return session_failed(session, &session->err);
    }
    return EXIT_FINE;
}

int session_key(struct session *session, const char *path, const char *what, uint8_t key[32]) {
    if (!path)
        return session_refuse(session, EXIT_REFUSED, "the configuration has no %s", what);
    if (seal_start(&session->err) != OK || secret_read(path, key, &session->err) != OK)
        return session_failed(session, &session->err);
    return EXIT_FINE;
}

int session_run(struct session *session, struct db *db, const struct query *query, struct db_params *params,
                struct db_result **result) {
    struct db_result *unwanted = NULL;
    enum outcome outcome = db_run(db, query, params, result ? result : &unwanted, &session->err);
    if (!result)
        db_result_release(unwanted);
    return outcome == OK ? EXIT_FINE : session_failed(session, &session->err);
}

int session_audit(struct session *session, struct db *reg, const char *action, const char *subject,
                  const char *reason, const char *detail) {
    struct db_params *params = db_params_new(&session->arena, query_cli_audit_write.params);
    if (!params)
        return session_refuse(session, EXIT_REFUSED, "out of memory");
    db_param_text(params, text_of(session->operator_name));
    db_param_text(params, text_of(action));
    db_param_text(params, text_of(subject));
    db_param_text(params, text_of(reason));
    db_param_text(params, text_of(detail));
    return session_run(session, reg, &query_cli_audit_write, params, NULL);
}

int session_newest_schema(enum cluster cluster) {
    int newest = 0;
    const struct migration *at = cluster == CLUSTER_REGISTER ? register_migrations : vault_migrations;
    for (; at->version; at++) {
        if (at->version > newest)
            newest = at->version;
    }
    return newest;
}

int session_schema(struct session *session, struct db *db, enum cluster cluster) {
    struct db_result *result = NULL;
    int code = session_run(session, db, &query_cli_schema_there, NULL, &result);
    bool there = code == EXIT_FINE && db_bool(result, 0, 0);
    db_result_release(result);
    result = NULL;
    if (code != EXIT_FINE)
        return code;
    int64_t version = 0;
    if (there) {
        code = session_run(session, db, &query_cli_schema_version, NULL, &result);
        version = code == EXIT_FINE ? db_int(result, 0, 0) : 0;
        db_result_release(result);
        if (code != EXIT_FINE)
            return code;
    }
    int newest = session_newest_schema(cluster);
    if (version < newest)
        return session_refuse(session, EXIT_REFUSED,
                              "the %s has schema version %lld, this program needs %d: "
                              "run `kundregister migrate`",
                              cluster_names[cluster], (long long)version, newest);
    if (version > newest)
        return session_refuse(session, EXIT_REFUSED,
                              "the %s has schema version %lld, this program knows %d: "
                              "use the newer program",
                              cluster_names[cluster], (long long)version, newest);
    return EXIT_FINE;
}

static void say_policy(void *context, const char *path, const char *message) {
    (void)context;
    fprintf(stderr, "kundregister: the active policy: %s%s%s\n", path, *path ? ": " : "", message);
}

int session_policy(struct session *session, struct db *reg, struct policy **policy, int *number) {
    struct db_result *result = NULL;
    *policy = NULL;
    int code = session_run(session, reg, &query_cli_policy_active, NULL, &result);
    if (code == EXIT_FINE && db_rows(result) > 0) {
        *number = (int)db_int(result, 0, 0);
        *policy = policy_parse(db_text(result, 0, 4), say_policy, NULL, &session->err);
        if (!*policy)
            code = session_failed(session, &session->err);
    }
    db_result_release(result);
    return code;
}

int session_print(struct session *session, int code) {
    errno = 0;
    if (output_print(session->output, stdout))
        return code;
    return session_refuse(session, EXIT_OUTPUT, "cannot print the answer: %s",
                          errno ? strerror(errno) : "out of memory");
}
