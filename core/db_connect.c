/* How a connection is made, and what an SQLSTATE asks of the caller. */
#include "core/db_connect.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define OPTIONS_BYTES 1024

/* Ours first: what the connection string says wins. The server notices a client that vanished as the client
 * notices a server that did: a silent owner of locks must not keep them. */
static const char session_options[] =
    "-c client_min_messages=warning -c TimeZone=UTC -c DateStyle=ISO -c search_path=public -c jit=off "
    "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3 -c "
    "tcp_user_timeout=25000 "
    "-c client_connection_check_interval=5s";

/* ---- errors ---- */

enum outcome db_sqlstate_outcome(const char *state) {
    static const struct {
        const char class_code[3];
        enum outcome outcome;
    } classes[] = {
        {"08", RETRY}, {"22", POISON}, {"23", POISON}, {"25", RETRY}, {"26", RETRY}, {"40", RETRY},
        {"53", RETRY}, {"55", RETRY},  {"57", RETRY},  {"58", RETRY}, {"XX", RETRY},
    };
    for (size_t i = 0; i < sizeof(classes) / sizeof(*classes); i++) {
        if (strncmp(state, classes[i].class_code, 2) == 0) {
            return classes[i].outcome;
        }
    }
    return FATAL;
}

void db_err_sqlstate(struct err *err, const char *state) {
    if (err) {
        snprintf(err->sqlstate, sizeof(err->sqlstate), "%s", state);
    }
}

bool db_says_no_memory(const char *message) {
    static const char said[] = "out of memory";
    return strncmp(message, said, sizeof(said) - 1) == 0;
}

/* ---- connecting ---- */

/* Our options, then those of the connection string, which would else replace ours. */
static enum outcome options_join(const char *conninfo, char options[OPTIONS_BYTES], struct err *err) {
    char *message = NULL;
    PQconninfoOption *parsed = PQconninfoParse(conninfo, &message);
    bool no_memory = !message || db_says_no_memory(message);
    PQfreemem(message); /* it may quote a password */
    if (!parsed && no_memory) {
        return err_set(err, RETRY, ENOMEM, "PostgreSQL: out of memory");
    }
    if (!parsed) {
        return err_set(err, FATAL, 0, "the PostgreSQL connection string cannot be read");
    }
    int size = snprintf(options, OPTIONS_BYTES, "%s", session_options);
    for (PQconninfoOption *option = parsed; option->keyword; option++) {
        if (strcmp(option->keyword, "options") == 0 && option->val) {
            size += snprintf(options + size, OPTIONS_BYTES - (size_t)size, " %s", option->val);
        }
    }
    PQconninfoFree(parsed);
    if (size >= OPTIONS_BYTES) {
        return err_set(err, FATAL, 0, "the options in the PostgreSQL connection string are too long");
    }
    return OK;
}

/* "SEVERITY:  28P01: message", as libpq words a server's refusal when asked to be verbose; "" when there is
 * none. */
static void connect_sqlstate(const char *message, char state[6]) {
    state[0] = '\0';
    for (const char *at = strstr(message, ":  "); at; at = strstr(at + 3, ":  ")) {
        if (strspn(at + 3, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 5 && at[8] == ':') {
            snprintf(state, 6, "%.5s", at + 3);
        }
    }
}

static enum outcome connect_failed(PGconn *connection, struct err *err) {
    char state[6];
    connect_sqlstate(PQerrorMessage(connection), state);
    enum outcome outcome = state[0] ? db_sqlstate_outcome(state) : RETRY;
    if (PQconnectionNeedsPassword(connection)) {
        outcome = FATAL;
    }
    /* Location lines, which verbosity adds, follow the message. */
    const char *message = PQerrorMessage(connection);
    err_set(err, outcome, 0, "PostgreSQL: %.*s", (int)strcspn(message, "\n"), message);
    db_err_sqlstate(err, state);
    return outcome;
}

enum outcome db_connect(PGconn **connection, const char *conninfo, const char *application, struct err *err) {
    char options[OPTIONS_BYTES];
    *connection = NULL;
    enum outcome outcome = options_join(conninfo, options, err);
    if (outcome != OK) {
        return outcome;
    }
    /* A later keyword replaces an earlier one, and dbname stands for all that the connection string says. */
    const char *keywords[] = {
        "connect_timeout", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout",
        "dbname",          "options",         "application_name",    "client_encoding",  NULL};
    const char *values[] = {"5", "10", "5", "3", "25000", conninfo, options, application, "UTF8", NULL};
    *connection = PQconnectdbParams(keywords, values, 1);
    if (*connection && PQconnectionNeedsPassword(*connection)) {
        /* libpq passes over a password file that it has no memory to read: only twice is it not there. */
        PQfinish(*connection);
        *connection = PQconnectdbParams(keywords, values, 1);
    }
    if (!*connection) {
        return err_set(err, RETRY, ENOMEM, "PostgreSQL: out of memory");
    }
    if (PQstatus(*connection) != CONNECTION_OK && strstr(PQerrorMessage(*connection), ":  ")) {
        /* The server answered and refused. libpq tells why by SQLSTATE only when asked before it happens. */
        PQsetErrorVerbosity(*connection, PQERRORS_VERBOSE);
        PQreset(*connection);
    }
    return PQstatus(*connection) == CONNECTION_OK ? OK : connect_failed(*connection, err);
}
