/* What a statement's parameters look like to core/db.c, which hands them to libpq. Only db.c and db_params.c
 * include this. */
#ifndef KR_DB_PARAMS_H
#define KR_DB_PARAMS_H

#include "core/db.h"

struct db_params {
    struct arena *arena;
    int count, given;
    struct db_column **columns; /* NULL where the parameter is a scalar */
    const char **values;
    int *lengths, *formats;
    unsigned *types; /* object ids, as pg_type.dat has them; the same in every PostgreSQL */
    bool failed;     /* the arena is full */
};

/* Closes the arrays. False when the arena was full. Asserts that every parameter and every item was given. */
bool db_params_finish(struct db_params *params);

#endif
