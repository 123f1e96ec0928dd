/* Compares a database's schema with the newest migration that is compiled in. */
#include "core/schema.h"

static int newest(const struct migration *migrations) {
    int version = 0;
    for (; migrations->version; migrations++)
        version = migrations->version;
    return version;
}

enum outcome schema_check(struct db *db, const char *which, const struct migration *migrations,
                          struct err *err) {
    int ours = newest(migrations);
    struct db_result *result = NULL;
    enum outcome outcome = db_run(db, &query_schema_version, NULL, &result, err);
    if (outcome == FATAL && strcmp(err->sqlstate, "42P01") == 0)
        outcome = err_set(err, FATAL, 0, "the %s has no schema: run `kundregister migrate`", which);
    int theirs = outcome == OK && !db_is_null(result, 0, 0) ? (int)db_int(result, 0, 0) : 0;
    db_result_release(result);
    if (outcome == OK && theirs < ours)
        return err_set(err, FATAL, 0,
                       "the %s's schema has version %d, this program needs %d: run `kundregister migrate`",
                       which, theirs, ours);
    if (outcome == OK && theirs > ours)
        return err_set(
            err, FATAL, 0,
            "the %s's schema has version %d, newer than this program's %d: install the newer program", which,
            theirs, ours);
    return outcome;
}
