/* The seam to libpq: connections by role, prepared queries out of schema/queries, binary arrays in, binary
 * rows out, SQLSTATE to outcome. libpq-fe.h stands behind this header only. A connection belongs to one
 * thread.
 *
 * Queries are files under schema/queries, compiled in: `-- :name type` lines at the top declare the
 * parameters in order, `:name` in the text becomes $n; so each runs in psql with \set as it is. Bulk
 * statements take one array a column and unnest them (the fastest upsert measured: 10 µs of backend time a
 * row).
 *
 * Pipelining: db_send queues without waiting; db_sync ends the round trip; results come back in order with
 * db_next. BEGIN ... COMMIT are ordinary queries in it. After an error the rest up to the sync is skipped by
 * the server and reported as such. */
#ifndef KR_DB_H
#define KR_DB_H

#include "core/arena.h"
#include "core/err.h"
#include "core/text.h"
#include <stdbool.h>
#include <stdint.h>

struct query {
    const char *name; /* of the prepared statement */
    const char *sql;
    int params;
};

struct db;
struct db_result;

/* Connects (blocking, with connect timeout), sets application_name and checks the server's encoding. RETRY
 * when it cannot be reached, FATAL when it refuses the role or the settings promised (synchronous_commit) do
 * not hold. */
enum outcome db_open(struct db **db, const char *conninfo, const char *application,
                     struct err *err) MUST_CHECK;
void db_close(struct db *db);
int db_backend_pid(const struct db *db);
/* The socket is gone or a result broke off: close it and open another. */
bool db_broken(const struct db *db);

/* ---- parameters: built in the arena, binary format ---- */

struct db_params; /* one statement's parameters, in order */
struct db_params *db_params_new(struct arena *arena, int count);
/* Scalars; each call gives the next parameter. */
void db_param_text(struct db_params *params, struct text value); /* absent = NULL */
void db_param_int8(struct db_params *params, int64_t value);
void db_param_int4(struct db_params *params, int32_t value);
void db_param_bool(struct db_params *params, bool value);
void db_param_time(struct db_params *params, int64_t instant_us); /* timestamptz; -1 = NULL */
void db_param_bytes(struct db_params *params, struct text value); /* bytea */

/* Columns: one array parameter of `rows` items each, filled row by row. Order of filling: column by column or
 * interleaved, as you like; every column must be given `rows` items before db_send. */
enum db_type { DB_BOOL, DB_INT2, DB_INT4, DB_INT8, DB_TEXT, DB_BYTEA, DB_TIMESTAMPTZ, DB_DATE, DB_UUID };
struct db_column;
struct db_column *db_column(struct db_params *params, enum db_type type, size_t rows);
void db_put_null(struct db_column *column);
void db_put_bool(struct db_column *column, bool value);
void db_put_int(struct db_column *column, int64_t value); /* INT2, INT4, INT8 */
void db_put_text(struct db_column *column,
                 struct text value); /* TEXT, BYTEA, UUID(16 bytes); absent = NULL */
void db_put_time(struct db_column *column, int64_t instant_us); /* -1 = NULL */
void db_put_date(struct db_column *column, int32_t date);       /* DATE_NONE = NULL */
/* One-dimensional text arrays as an item do not fit unnest: a list goes as one text, joined by the caller. */

/* ---- statements ---- */

/* Queues a query, preparing it on first use on this connection. params NULL when it has none. */
enum outcome db_send(struct db *db, const struct query *query, struct db_params *params,
                     struct err *err) MUST_CHECK;
/* Ends what is queued (Sync) and flushes. */
enum outcome db_sync(struct db *db, struct err *err) MUST_CHECK;
/* The next queued query's result: OK with *result (release it), or the outcome of its failure by SQLSTATE:
 * 22, 23 -> POISON; 40 -> RETRY with err.sqlstate 40001/40P01; 08, 25, 53, 55, 57, 58, XX -> RETRY; 42, 28,
 * 3D, 0A and the like (our own bug or a missing privilege) -> FATAL; connection gone -> RETRY and db_broken.
 * Skipped because of an earlier failure -> the same outcome as that one. Call once per db_send; after the
 * last one of a sync the connection is ready again. Without BEGIN, all up to the sync commit together there,
 * and it is the last result whose OK says that they did. After BEGIN and a failure the transaction stays
 * open: db_abandon. err.text holds the primary message only for FATAL and RETRY classes, never DETAIL. */
enum outcome db_next(struct db *db, struct db_result **result, struct err *err) MUST_CHECK;
/* db_send + db_sync + db_next. *result may be NULL when not wanted. */
enum outcome db_run(struct db *db, const struct query *query, struct db_params *params,
                    struct db_result **result, struct err *err) MUST_CHECK;
/* Whatever SQL text: migrations only, several statements in one implicit transaction. */
enum outcome db_run_script(struct db *db, const char *sql, struct err *err) MUST_CHECK;
/* Waits at most timeout_ms (-1: for ever) until db_next would not block; false when the time is over. To stay
 * responsive in long waits. True as well when the connection is gone. */
bool db_wait(struct db *db, int timeout_ms);
/* Drops what is queued or unread and rolls back an open transaction, after a failure in the middle of a
 * batch. On return the connection is ready again, or db_broken. */
void db_abandon(struct db *db);

/* ---- results: binary; texts point into the result and die with it ---- */

size_t db_rows(const struct db_result *result);
/* Rows that an INSERT, UPDATE or DELETE touched. */
int64_t db_affected(const struct db_result *result);
bool db_is_null(const struct db_result *result, size_t row, int column);
struct text db_text(const struct db_result *result, size_t row,
                    int column);                                        /* TEXT, BYTEA, UUID; absent = NULL */
int64_t db_int(const struct db_result *result, size_t row, int column); /* INT2, INT4, INT8 by its size */
bool db_bool(const struct db_result *result, size_t row, int column);
int64_t db_time(const struct db_result *result, size_t row, int column); /* NULL = -1 */
int32_t db_date(const struct db_result *result, size_t row, int column); /* NULL = DATE_NONE */
void db_result_release(struct db_result *result);

#endif
