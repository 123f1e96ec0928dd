/* Parts of db.c: how a connection is made, and what an SQLSTATE asks of the caller. Only core/db*.c include
 * this. */
#ifndef KR_DB_CONNECT_H
#define KR_DB_CONNECT_H

#include "core/err.h"
#include <libpq-fe.h>
#include <stdbool.h>

/* Connects with our options. RETRY when the server cannot be reached, FATAL when it refuses. *connection is
 * the caller's in either case; NULL when there was no memory for it. */
enum outcome db_connect(PGconn **connection, const char *conninfo, const char *application,
                        struct err *err) MUST_CHECK;
/* By its class; FATAL for those that are our own bug or a missing privilege. */
enum outcome db_sqlstate_outcome(const char *state);
void db_err_sqlstate(struct err *err, const char *state);
/* libpq's own word, not the server's, which begins with a severity. */
bool db_says_no_memory(const char *message);

#endif
