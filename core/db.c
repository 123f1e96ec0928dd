/* The seam to libpq: connections in pipeline mode, statements prepared on first use, SQLSTATE to outcome.
 *
 * The pipeline of one connection is a queue of what was sent and not yet answered: PREPARE, QUERY and SYNC
 * entries.
 *
 * 1. db_send appends (PREPARE) QUERY; db_sync appends SYNC and pushes everything into the socket, reading
 * answers meanwhile, since server and client would else wait for each other once both directions are full.
 * 2. db_next takes the entries off in order. Without BEGIN everything up to a SYNC is one implicit
 * transaction that commits at the SYNC, after the last query was answered: so the answer to SYNC is read
 * together with that last one, and when it fails, the last query has failed.
 * 3. After an error the server skips to the SYNC. A PREPARE that was skipped does not exist; it is forgotten
 *    and sent again at the next use. A statement that a segment still unanswered may or may not have prepared
 *    cannot be relied upon by the next segment, which prepares it again under another name. */
#include "core/db.h"

#include "core/db_connect.h"
#include "core/db_params.h"
#include "core/db_tape.h"

#include <assert.h>
#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define STATEMENT_BYTES 64
#define OLDEST_SERVER 150000

enum entry_kind { ENTRY_PREPARE, ENTRY_QUERY, ENTRY_SYNC };
struct entry {
    enum entry_kind kind;
    bool commit;     /* QUERY: the server answers COMMIT of a failed transaction by rolling back */
    size_t prepared; /* PREPARE: which */
    unsigned serial; /* PREPARE: its name's number */
};
struct prepared {
    const struct query *query;
    unsigned serial;  /* 0: not prepared */
    uint64_t segment; /* in which it was sent */
    bool confirmed;   /* the server said so */
    unsigned *types;
};

struct db {
    PGconn *connection;
    bool broken;
    struct entry *entries; /* sent and unanswered: [head, tail) */
    size_t head, tail, room;
    size_t syncs; /* of them */
    struct prepared *prepared;
    size_t prepared_count, prepared_room;
    unsigned serial;             /* last statement's number */
    uint64_t segment;            /* rises with each SYNC sent */
    enum outcome segment_failed; /* of the segment being read */
    struct err segment_err;
    struct db_tape *tape; /* NULL but in benchmarks */
};

/* ---- errors ---- */

static enum outcome err_gone(struct db *db, struct err *err) {
    db->broken = true;
    return err_set(err, RETRY, 0, "PostgreSQL: the connection is gone");
}

/* The primary message quotes values in the classes of bad data only; there the constraint's name must do. */
static enum outcome err_result(struct db *db, const PGresult *result, struct err *err) {
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    if (PQstatus(db->connection) == CONNECTION_BAD) {
        db->broken = true;
    }
    if (!state) {
        return err_gone(db, err);
    }
    const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    if (severity && (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0)) {
        db->broken = true;
    }
    if (strncmp(state, "26", 2) == 0) {
        db->broken = true; /* something between us and the server forgot our statements */
    }
    enum outcome outcome = db_sqlstate_outcome(state);
    const char *constraint = PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    if (outcome == POISON) {
        err_set(err, POISON, 0, "PostgreSQL refuses the data%s%s", constraint ? ", constraint " : "",
                constraint ? constraint : "");
    } else {
        err_set(err, outcome, 0, "PostgreSQL: %s", message ? message : "error without a message");
    }
    db_err_sqlstate(err, state);
    return outcome;
}

/* ---- connecting ---- */

static void drop_notice(void *unused, const PGresult *result) {
    (void)unused;
    (void)result;
}

static enum outcome settings_check(struct db *db, struct err *err) {
    const char *encoding = PQparameterStatus(db->connection, "server_encoding");
    if (!encoding) { /* every server tells it */
        return err_set(err, RETRY, ENOMEM, "PostgreSQL: out of memory");
    }
    if (strcmp(encoding, "UTF8") != 0) {
        return err_set(err, FATAL, 0, "PostgreSQL: the database's encoding is %s, needed is UTF8", encoding);
    }
    if (PQserverVersion(db->connection) < OLDEST_SERVER) {
        return err_set(err, FATAL, 0, "PostgreSQL: the server is older than version 15");
    }
    PGresult *result =
        PQexec(db->connection, "SELECT current_setting('synchronous_commit'), current_setting('fsync')");
    enum outcome outcome = OK;
    if (PQresultStatus(result) != PGRES_TUPLES_OK) {
        outcome = err_result(db, result, err);
        goto out;
    }
    const char *synchronous = PQgetvalue(result, 0, 0);
    if (strcmp(synchronous, "on") != 0 && strcmp(synchronous, "remote_apply") != 0) {
        outcome = err_set(err, FATAL, 0, "PostgreSQL: synchronous_commit is %s, it must be on", synchronous);
        goto out;
    }
    if (strcmp(PQgetvalue(result, 0, 1), "on") != 0) {
        outcome = err_set(err, FATAL, 0, "PostgreSQL: fsync is off, it must be on");
    }
out:
    PQclear(result);
    return outcome;
}

enum outcome db_open(struct db **opened, const char *conninfo, const char *application, struct err *err) {
    *opened = NULL;
    struct db *db = calloc(1, sizeof(*db));
    if (!db) {
        return err_set(err, RETRY, ENOMEM, "out of memory");
    }
    enum outcome outcome = db_connect(&db->connection, conninfo, application, err);
    if (outcome != OK) {
        goto out;
    }
    PQsetNoticeReceiver(db->connection, drop_notice, NULL);
    PQsetErrorVerbosity(db->connection, PQERRORS_TERSE);
    outcome = settings_check(db, err);
    if (outcome != OK) {
        goto out;
    }
    if (PQsetnonblocking(db->connection, 1) != 0 || !PQenterPipelineMode(db->connection)) {
        outcome = err_gone(db, err);
        goto out;
    }
    db->tape = db_tape_new(PQuser(db->connection), PQdb(db->connection));
    *opened = db;
    db = NULL;
out:
    db_close(db);
    return outcome;
}

void db_close(struct db *db) {
    if (!db) {
        return;
    }
    PQfinish(db->connection);
    db_tape_free(db->tape);
    for (size_t i = 0; i < db->prepared_count; i++) {
        free(db->prepared[i].types);
    }
    free(db->prepared);
    free(db->entries);
    free(db);
}

int db_backend_pid(const struct db *db) {
    return PQbackendPID(db->connection);
}
bool db_broken(const struct db *db) {
    return db->broken;
}

/* ---- sending ---- */

static bool entry_push(struct db *db, struct entry entry) {
    if (db->head == db->tail) {
        db->head = db->tail = 0;
    }
    if (db->tail == db->room) {
        size_t room = db->room ? db->room * 2 : 64;
        struct entry *larger = reallocarray(db->entries, room, sizeof(*larger));
        if (!larger) {
            return false;
        }
        db->entries = larger;
        db->room = room;
    }
    db->entries[db->tail++] = entry;
    return true;
}

static struct prepared *prepared_find(struct db *db, const struct query *query) {
    for (size_t i = 0; i < db->prepared_count; i++) {
        if (db->prepared[i].query == query) {
            return &db->prepared[i];
        }
    }
    if (db->prepared_count == db->prepared_room) {
        size_t room = db->prepared_room ? db->prepared_room * 2 : 32;
        struct prepared *larger = reallocarray(db->prepared, room, sizeof(*larger));
        if (!larger) {
            return NULL;
        }
        db->prepared = larger;
        db->prepared_room = room;
    }
    unsigned *types = calloc((size_t)query->params + 1, sizeof(*types));
    if (!types) {
        return NULL;
    }
    db->prepared[db->prepared_count] = (struct prepared){.query = query, .types = types};
    return &db->prepared[db->prepared_count++];
}

static void statement_name(const struct prepared *prepared, char name[STATEMENT_BYTES]) {
    snprintf(name, STATEMENT_BYTES, "%.48s.%u", prepared->query->name, prepared->serial);
}

/* Sees to it that the statement exists when this segment is run; false when the connection is gone. */
static bool prepare(struct db *db, struct prepared *prepared, const struct db_params *params) {
    const struct query *query = prepared->query;
    size_t types_bytes = (size_t)query->params * sizeof(*prepared->types);
    if (prepared->serial && (prepared->confirmed || prepared->segment == db->segment)) {
        assert(!types_bytes || memcmp(prepared->types, params->types, types_bytes) == 0);
        return true;
    }
    if (types_bytes) {
        memcpy(prepared->types, params->types, types_bytes);
    }
    prepared->serial = ++db->serial;
    prepared->segment = db->segment;
    prepared->confirmed = false;
    char name[STATEMENT_BYTES];
    statement_name(prepared, name);
    struct entry entry = {
        .kind = ENTRY_PREPARE, .prepared = (size_t)(prepared - db->prepared), .serial = prepared->serial};
    return PQsendPrepare(db->connection, name, query->sql, query->params, prepared->types) &&
           entry_push(db, entry);
}

enum outcome db_send(struct db *db, const struct query *query, struct db_params *params, struct err *err) {
    if (db->broken) {
        return err_gone(db, err);
    }
    if (query->params && (!params || !db_params_finish(params))) {
        return err_set(err, RETRY, ENOMEM, "the parameters of %s do not fit into the batch's memory",
                       query->name);
    }
    assert(query->params == (params ? params->count : 0));
    struct prepared *prepared = prepared_find(db, query);
    if (!prepared || !prepare(db, prepared, params)) {
        return err_gone(db, err);
    }
    char name[STATEMENT_BYTES];
    statement_name(prepared, name);
    if (!PQsendQueryPrepared(db->connection, name, query->params, params ? params->values : NULL,
                             params ? params->lengths : NULL, params ? params->formats : NULL, 1) ||
        !entry_push(db,
                    (struct entry){.kind = ENTRY_QUERY, .commit = strncmp(query->sql, "COMMIT", 6) == 0})) {
        return err_gone(db, err);
    }
    db_tape_send(db->tape, query, params);
    return OK;
}

/* Waits on the socket; true when there is something to read. */
static bool socket_wait(struct db *db, bool unsent, int timeout_ms) {
    struct pollfd poll_fd = {.fd = PQsocket(db->connection), .events = POLLIN};
    if (unsent) {
        poll_fd.events |= POLLOUT;
    }
    int ready = poll(&poll_fd, 1, timeout_ms);
    return ready > 0 && (poll_fd.revents & (POLLIN | POLLERR | POLLHUP | POLLNVAL));
}

/* Everything into the socket, reading meanwhile. */
static bool flush(struct db *db) {
    int unsent;
    while ((unsent = PQflush(db->connection)) > 0) {
        if (socket_wait(db, true, -1) && !PQconsumeInput(db->connection)) {
            return false;
        }
    }
    return unsent == 0;
}

enum outcome db_sync(struct db *db, struct err *err) {
    if (db->broken || !PQpipelineSync(db->connection) ||
        !entry_push(db, (struct entry){.kind = ENTRY_SYNC})) {
        return err_gone(db, err);
    }
    db_tape_sync(db->tape);
    db->syncs++;
    db->segment++;
    /* A connection that breaks here may have answered before: db_next tells. */
    (void)flush(db);
    return OK;
}

/* ---- receiving ---- */

static int64_t monotonic_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool db_wait(struct db *db, int timeout_ms) {
    int64_t end_ms = timeout_ms < 0 ? -1 : monotonic_ms() + timeout_ms;
    while (!db->broken) {
        int unsent = PQflush(db->connection);
        if (unsent < 0 || !PQisBusy(db->connection)) {
            return true;
        }
        if (db_says_no_memory(PQerrorMessage(db->connection))) {
            db->broken = true; /* libpq 15 goes on waiting for an answer that it had no memory for */
            return true;
        }
        int64_t left_ms = end_ms < 0 ? -1 : end_ms - monotonic_ms();
        if (end_ms >= 0 && left_ms <= 0) {
            return false;
        }
        if (socket_wait(db, unsent > 0, (int)left_ms) && !PQconsumeInput(db->connection)) {
            return true; /* what was received stands in the buffer; then the loss shows */
        }
    }
    return true;
}

static PGresult *result_read(struct db *db) {
    (void)db_wait(db, -1);
    return db->broken ? NULL : PQgetResult(db->connection);
}

/* The answer to the entry at the head: OK with *result, or its failure, which is the segment's from then on.
 */
static enum outcome entry_read(struct db *db, PGresult **result, struct err *err) {
    assert(db->head < db->tail);
    struct entry entry = db->entries[db->head++];
    *result = NULL;
    if (db->broken) {
        return err_gone(db, err);
    }
    PGresult *first = result_read(db);
    ExecStatusType status = PQresultStatus(first);
    enum outcome outcome = OK;
    if (status == PGRES_PIPELINE_ABORTED) {
        outcome = db->segment_failed == OK ? RETRY : db->segment_failed;
        if (err) {
            *err = db->segment_err;
        }
    } else if (!first) {
        outcome = err_gone(db, err);
    } else if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && status != PGRES_PIPELINE_SYNC) {
        outcome = err_result(db, first, &db->segment_err);
        db->segment_failed = outcome;
        if (err) {
            *err = db->segment_err;
        }
    } else if (entry.commit && strcmp(PQcmdStatus(first), "ROLLBACK") == 0) {
        outcome = err_set(err, RETRY, 0, "PostgreSQL: the transaction had failed and was rolled back");
    }
    if (entry.kind == ENTRY_SYNC) {
        if (outcome != OK && !db->broken) {
            /* Commit failed at the sync: its error, then NULL, then the sync itself. */
            PQclear(result_read(db));
            PQclear(result_read(db));
        }
        db->syncs--;
        db->segment_failed = OK;
    } else if (!db->broken) {
        PGresult *end = result_read(db);
        assert(!end || PQstatus(db->connection) == CONNECTION_BAD);
        PQclear(end);
    }
    if (entry.kind == ENTRY_PREPARE && db->prepared[entry.prepared].serial == entry.serial) {
        db->prepared[entry.prepared].confirmed = outcome == OK;
        db->prepared[entry.prepared].serial = outcome == OK ? entry.serial : 0;
    }
    if (outcome != OK) {
        PQclear(first);
        first = NULL;
    }
    *result = first;
    return outcome;
}

static int64_t db_rows_or_affected(const struct db_result *result) {
    return db_rows(result) ? (int64_t)db_rows(result) : db_affected(result);
}

enum outcome db_next(struct db *db, struct db_result **result, struct err *err) {
    PGresult *received = NULL;
    enum entry_kind kind;
    enum outcome outcome;
    *result = NULL;
    do {
        assert(db->syncs > 0 || db->broken);
        if (db->head == db->tail) {
            return err_gone(db, err);
        }
        kind = db->entries[db->head].kind;
        PQclear(received);
        outcome = entry_read(db, &received, err);
    } while (kind != ENTRY_QUERY);
    bool last = db->head < db->tail && db->entries[db->head].kind == ENTRY_SYNC;
    if (last) {
        PGresult *sync = NULL;
        struct err sync_err;
        enum outcome committed = entry_read(db, &sync, &sync_err);
        PQclear(sync);
        if (outcome == OK && committed != OK) {
            outcome = committed;
            if (err) {
                *err = sync_err;
            }
        }
    }
    if (outcome != OK) {
        PQclear(received);
        received = NULL;
    }
    *result = (struct db_result *)received;
    db_tape_next(db->tape, outcome == OK ? db_rows_or_affected(*result) : -1, last);
    return outcome;
}

enum outcome db_run(struct db *db, const struct query *query, struct db_params *params,
                    struct db_result **result, struct err *err) {
    struct db_result *received = NULL;
    if (result) {
        *result = NULL;
    }
    enum outcome outcome = db_send(db, query, params, err);
    if (outcome == OK) {
        outcome = db_sync(db, err);
    }
    if (outcome == OK) {
        outcome = db_next(db, &received, err);
    }
    if (result) {
        *result = received;
    } else {
        db_result_release(received);
    }
    return outcome;
}

static bool script_run(struct db *db, const char *sql, enum outcome *outcome, struct err *err) {
    if (!PQexitPipelineMode(db->connection)) {
        return false;
    }
    PGresult *result = PQexec(db->connection, sql);
    ExecStatusType status = PQresultStatus(result);
    *outcome = OK;
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && status != PGRES_EMPTY_QUERY) {
        *outcome = err_result(db, result, err);
    }
    PQclear(result);
    return db->broken || PQenterPipelineMode(db->connection);
}

enum outcome db_run_script(struct db *db, const char *sql, struct err *err) {
    enum outcome outcome;
    assert(db->head == db->tail);
    if (db->broken || !script_run(db, sql, &outcome, err)) {
        return err_gone(db, err);
    }
    return outcome;
}

void db_abandon(struct db *db) {
    static const struct query rollback = {.name = "rollback", .sql = "ROLLBACK"};
    struct err ignored;
    struct db_tape *tape = db->tape;
    db_tape_abandon(tape);
    db->tape = NULL; /* what follows is part of it */
    if (!db->broken && db->head < db->tail && db->entries[db->tail - 1].kind != ENTRY_SYNC) {
        /* Without BEGIN the sync alone would commit what is queued. */
        (void)!db_send(db, &rollback, NULL, &ignored);
        (void)!db_sync(db, &ignored);
    }
    while (!db->broken && db->head < db->tail) {
        PGresult *result = NULL;
        (void)!entry_read(db, &result, &ignored);
        PQclear(result);
    }
    if (!db->broken && PQtransactionStatus(db->connection) != PQTRANS_IDLE &&
        db_run(db, &rollback, NULL, NULL, &ignored) != OK) {
        db->broken = true;
    }
    db->tape = tape;
}
