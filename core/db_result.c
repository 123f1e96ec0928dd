/* Rows out of PostgreSQL's binary format. A struct db_result is libpq's PGresult under our name. */
#include "core/db.h"

#include "core/term.h"

#include <assert.h>
#include <endian.h>
#include <libpq-fe.h>
#include <string.h>

#define UNIX_TO_POSTGRES_US INT64_C(946684800000000) /* 2000-01-01 */
#define UNIX_TO_POSTGRES_DAYS 10957

static const PGresult *result_of(const struct db_result *result) {
    return (const PGresult *)result;
}

size_t db_rows(const struct db_result *result) {
    return result ? (size_t)PQntuples(result_of(result)) : 0;
}
int64_t db_affected(const struct db_result *result) {
    /* libpq takes a result that is not const here, and does not change it. */
    const char *digits = PQcmdTuples((PGresult *)(uintptr_t)result_of(result));
    int64_t count = 0;
    for (; *digits >= '0' && *digits <= '9'; digits++) {
        count = count * 10 + (*digits - '0');
    }
    return count;
}
bool db_is_null(const struct db_result *result, size_t row, int column) {
    return PQgetisnull(result_of(result), (int)row, column);
}
struct text db_text(const struct db_result *result, size_t row, int column) {
    if (db_is_null(result, row, column)) {
        return TEXT_ABSENT;
    }
    return (struct text){PQgetvalue(result_of(result), (int)row, column),
                         (size_t)PQgetlength(result_of(result), (int)row, column)};
}
int64_t db_int(const struct db_result *result, size_t row, int column) {
    struct text value = db_text(result, row, column);
    uint16_t two;
    uint32_t four;
    uint64_t eight;
    switch (value.size) {
    case 0:
        return 0; /* null: ask db_is_null first where it may be */
    case sizeof(two):
        memcpy(&two, value.at, sizeof(two));
        return (int16_t)be16toh(two);
    case sizeof(four):
        memcpy(&four, value.at, sizeof(four));
        return (int32_t)be32toh(four);
    default:
        assert(value.size == sizeof(eight));
        memcpy(&eight, value.at, sizeof(eight));
        return (int64_t)be64toh(eight);
    }
}
bool db_bool(const struct db_result *result, size_t row, int column) {
    struct text value = db_text(result, row, column);
    return value.size == 1 && value.at[0];
}
int64_t db_time(const struct db_result *result, size_t row, int column) {
    if (db_is_null(result, row, column)) {
        return -1;
    }
    int64_t value = db_int(result, row, column);
    if (value == INT64_MAX || value == INT64_MIN) {
        return value; /* infinity */
    }
    return value + UNIX_TO_POSTGRES_US;
}
int32_t db_date(const struct db_result *result, size_t row, int column) {
    if (db_is_null(result, row, column)) {
        return DATE_NONE;
    }
    int64_t value = db_int(result, row, column);
    if (value == INT32_MAX || value == INT32_MIN) {
        return (int32_t)value; /* infinity */
    }
    return (int32_t)(value + UNIX_TO_POSTGRES_DAYS);
}
void db_result_release(struct db_result *result) {
    PQclear((PGresult *)result);
}
