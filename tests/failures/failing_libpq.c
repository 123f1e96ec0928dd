/* libpq's calls, wrapped: each fails as it does when memory is short (FAILING_CALL), or finds the connection
 * cut (FAILING_CUT): the socket is shut down just before, so that libpq's own code meets the loss. */
#include "tests/failures/failing.h"

#include <libpq-fe.h>
#include <sys/socket.h>

static void cut(PGconn *connection, const char *what) {
    if (failing_now(FAILING_CUT, what) && PQsocket(connection) >= 0)
        (void)shutdown(PQsocket(connection), SHUT_RDWR);
}

/* WRAP(result, name, (parameters), (arguments), what it gives when it fails): of a connection */
#define WRAP(result, name, parameters, arguments, failure)                                                   \
    result __real_##name parameters;                                                                         \
    result __wrap_##name parameters;                                                                         \
    result __wrap_##name parameters {                                                                        \
        if (failing_now(FAILING_CALL, #name))                                                                \
            return failure;                                                                                  \
        cut(connection, #name);                                                                              \
        return __real_##name arguments;                                                                      \
    }

WRAP(int, PQsendPrepare,
     (PGconn * connection, const char *name, const char *sql, int params, const Oid *types),
     (connection, name, sql, params, types), 0)
WRAP(int, PQsendQueryPrepared,
     (PGconn * connection, const char *name, int params, const char *const *values, const int *lengths,
      const int *formats, int binary),
     (connection, name, params, values, lengths, formats, binary), 0)
WRAP(int, PQpipelineSync, (PGconn * connection), (connection), 0)
WRAP(int, PQflush, (PGconn * connection), (connection), -1)
WRAP(int, PQconsumeInput, (PGconn * connection), (connection), 0)
WRAP(int, PQsetnonblocking, (PGconn * connection, int on), (connection, on), -1)
WRAP(int, PQenterPipelineMode, (PGconn * connection), (connection), 0)

/* Out of memory where a result should be made: an error without fields stands for it. */
static PGresult *lost(PGresult *result) {
    if (!result)
        return NULL; /* the end, which needs no memory */
    PQclear(result);
    return PQmakeEmptyPGresult(NULL, PGRES_FATAL_ERROR);
}

PGresult *__real_PQgetResult(PGconn *connection);
PGresult *__wrap_PQgetResult(PGconn *connection);
PGresult *__wrap_PQgetResult(PGconn *connection) {
    bool fails = failing_now(FAILING_CALL, "PQgetResult");
    cut(connection, "PQgetResult");
    PGresult *result = __real_PQgetResult(connection);
    return fails ? lost(result) : result;
}

PGresult *__real_PQexec(PGconn *connection, const char *sql);
PGresult *__wrap_PQexec(PGconn *connection, const char *sql);
PGresult *__wrap_PQexec(PGconn *connection, const char *sql) {
    bool fails = failing_now(FAILING_CALL, "PQexec");
    cut(connection, "PQexec");
    PGresult *result = __real_PQexec(connection, sql);
    return fails ? lost(result) : result;
}

PGconn *__real_PQconnectdbParams(const char *const *keywords, const char *const *values, int expand);
PGconn *__wrap_PQconnectdbParams(const char *const *keywords, const char *const *values, int expand);
PGconn *__wrap_PQconnectdbParams(const char *const *keywords, const char *const *values, int expand) {
    if (failing_now(FAILING_CALL, "PQconnectdbParams"))
        return NULL;
    PGconn *connection = __real_PQconnectdbParams(keywords, values, expand);
    cut(connection, "PQconnectdbParams");
    return connection;
}

PQconninfoOption *__real_PQconninfoParse(const char *conninfo, char **message);
PQconninfoOption *__wrap_PQconninfoParse(const char *conninfo, char **message);
PQconninfoOption *__wrap_PQconninfoParse(const char *conninfo, char **message) {
    if (!failing_now(FAILING_CALL, "PQconninfoParse"))
        return __real_PQconninfoParse(conninfo, message);
    *message = NULL; /* as it does when there is no memory even for that */
    return NULL;
}
