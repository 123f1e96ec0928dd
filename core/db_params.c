/* Parameters in PostgreSQL's binary format: scalars and one-dimensional arrays, written where they will be
 * sent from (format: src/backend/utils/adt/arrayfuncs.c, array_recv). */
#include "core/db_params.h"

#include "core/term.h"

#include <assert.h>
#include <endian.h>
#include <stdint.h>
#include <string.h>

#define UNIX_TO_POSTGRES_US INT64_C(946684800000000) /* 2000-01-01 */
#define UNIX_TO_POSTGRES_DAYS 10957
#define ARRAY_HEAD_BYTES 20 /* dimensions, has null, item type, items, lower bound */
#define TEXT_GUESS_BYTES 28

struct type_info {
    unsigned item, array; /* object ids */
    int size_bytes;       /* -1: as long as it is */
};
static const struct type_info type_infos[] = {
    [DB_BOOL] = {16, 1000, 1},          [DB_INT2] = {21, 1005, 2},   [DB_INT4] = {23, 1007, 4},
    [DB_INT8] = {20, 1016, 8},          [DB_TEXT] = {25, 1009, -1},  [DB_BYTEA] = {17, 1001, -1},
    [DB_TIMESTAMPTZ] = {1184, 1185, 8}, [DB_DATE] = {1082, 1182, 4}, [DB_UUID] = {2950, 2951, 16},
};

struct db_column {
    struct db_params *params;
    enum db_type type;
    size_t rows, given;
    bool has_null;
    char *buffer;
    size_t used_bytes, room_bytes;
};

static void write_32(char *at, uint32_t value) {
    value = htobe32(value);
    memcpy(at, &value, sizeof(value));
}
static void write_64(char *at, uint64_t value) {
    value = htobe64(value);
    memcpy(at, &value, sizeof(value));
}

struct db_params *db_params_new(struct arena *arena, int count) {
    struct db_params *params = ARENA_NEW(arena, struct db_params);
    if (!params) {
        return NULL;
    }
    size_t items = (size_t)count;
    *params = (struct db_params){
        .arena = arena,
        .count = count,
        .columns = ARENA_ARRAY(arena, struct db_column *, items),
        .values = ARENA_ARRAY(arena, const char *, items),
        .lengths = ARENA_ARRAY(arena, int, items),
        .formats = ARENA_ARRAY(arena, int, items),
        .types = ARENA_ARRAY(arena, unsigned, items),
    };
    bool whole = params->columns && params->values && params->lengths && params->formats && params->types;
    return whole || count == 0 ? params : NULL;
}

/* The next parameter's place; -1 when there are no parameters to fill (the arena was full already). */
static int param_next(struct db_params *params, unsigned type) {
    if (!params) {
        return -1;
    }
    assert(params->given < params->count);
    params->formats[params->given] = 1;
    params->types[params->given] = type;
    return params->given++;
}
static void param_set(struct db_params *params, enum db_type type, const char *value, size_t size_bytes) {
    int i = param_next(params, type_infos[type].item);
    if (i < 0 || !value) {
        return;
    }
    /* A value of no bytes still needs an address: NULL would be SQL's null. */
    char *copy = size_bytes < INT32_MAX ? arena_take(params->arena, size_bytes ? size_bytes : 1) : NULL;
    if (!copy) {
        params->failed = true;
        return;
    }
    memcpy(copy, value, size_bytes);
    params->values[i] = copy;
    params->lengths[i] = (int)size_bytes;
}

void db_param_text(struct db_params *params, struct text value) {
    param_set(params, DB_TEXT, value.at, value.size);
}
void db_param_bytes(struct db_params *params, struct text value) {
    param_set(params, DB_BYTEA, value.at, value.size);
}
void db_param_int8(struct db_params *params, int64_t value) {
    char bytes[8];
    write_64(bytes, (uint64_t)value);
    param_set(params, DB_INT8, bytes, sizeof(bytes));
}
void db_param_int4(struct db_params *params, int32_t value) {
    char bytes[4];
    write_32(bytes, (uint32_t)value);
    param_set(params, DB_INT4, bytes, sizeof(bytes));
}
void db_param_bool(struct db_params *params, bool value) {
    char byte = value;
    param_set(params, DB_BOOL, &byte, 1);
}
void db_param_time(struct db_params *params, int64_t instant_us) {
    char bytes[8];
    write_64(bytes, (uint64_t)(instant_us - UNIX_TO_POSTGRES_US));
    param_set(params, DB_TIMESTAMPTZ, instant_us == -1 ? NULL : bytes, sizeof(bytes));
}

/* ---- columns ---- */

struct db_column *db_column(struct db_params *params, enum db_type type, size_t rows) {
    int i = param_next(params, type_infos[type].array);
    if (i < 0) {
        return NULL;
    }
    struct db_column *column = ARENA_NEW(params->arena, struct db_column);
    size_t item_bytes =
        type_infos[type].size_bytes < 0 ? TEXT_GUESS_BYTES : (size_t)type_infos[type].size_bytes;
    char *buffer = NULL;
    size_t room = ARRAY_HEAD_BYTES + rows * (4 + item_bytes);
    if (column && rows < INT32_MAX / (4 + TEXT_GUESS_BYTES)) {
        buffer = arena_take(params->arena, room);
    }
    if (!buffer) {
        params->failed = true;
        return NULL;
    }
    *column = (struct db_column){.params = params,
                                 .type = type,
                                 .rows = rows,
                                 .buffer = buffer,
                                 .used_bytes = rows ? ARRAY_HEAD_BYTES : 12,
                                 .room_bytes = room};
    params->columns[i] = column;
    return column;
}

/* Room for one more item's length and bytes, the length written; NULL when the arena is full. */
static char *column_item(struct db_column *column, size_t size_bytes) {
    if (!column || !column->buffer) {
        return NULL;
    }
    assert(column->given < column->rows);
    column->given++;
    size_t need = column->used_bytes + 4 + size_bytes;
    if (need > column->room_bytes) {
        size_t room = column->room_bytes * 2 > need ? column->room_bytes * 2 : need;
        char *larger = room < INT32_MAX ? arena_take(column->params->arena, room) : NULL;
        if (!larger) {
            column->params->failed = true;
            column->buffer = NULL;
            return NULL;
        }
        memcpy(larger, column->buffer, column->used_bytes);
        column->buffer = larger;
        column->room_bytes = room;
    }
    char *at = column->buffer + column->used_bytes;
    write_32(at, (uint32_t)size_bytes);
    column->used_bytes = need;
    return at + 4;
}

void db_put_null(struct db_column *column) {
    char *at = column_item(column, 0);
    if (at) {
        write_32(at - 4, UINT32_MAX);
        column->has_null = true;
    }
}
void db_put_bool(struct db_column *column, bool value) {
    assert(!column || column->type == DB_BOOL);
    char *at = column_item(column, 1);
    if (at) {
        *at = value;
    }
}
void db_put_int(struct db_column *column, int64_t value) {
    if (!column) {
        return;
    }
    switch (column->type) {
    case DB_INT8: {
        char *at = column_item(column, 8);
        if (at) {
            write_64(at, (uint64_t)value);
        }
        break;
    }
    case DB_INT4: {
        assert(value >= INT32_MIN && value <= INT32_MAX);
        char *at = column_item(column, 4);
        if (at) {
            write_32(at, (uint32_t)value);
        }
        break;
    }
    default: {
        assert(column->type == DB_INT2 && value >= INT16_MIN && value <= INT16_MAX);
        char *at = column_item(column, 2);
        if (at) {
            uint16_t item = htobe16((uint16_t)value);
            memcpy(at, &item, sizeof(item));
        }
    }
    }
}
void db_put_text(struct db_column *column, struct text value) {
    assert(!column || column->type == DB_TEXT || column->type == DB_BYTEA ||
           (column->type == DB_UUID && (!value.at || value.size == 16)));
    if (!value.at) {
        db_put_null(column);
        return;
    }
    char *at = column_item(column, value.size);
    if (at) {
        memcpy(at, value.at, value.size);
    }
}
void db_put_time(struct db_column *column, int64_t instant_us) {
    assert(!column || column->type == DB_TIMESTAMPTZ);
    if (instant_us == -1) {
        db_put_null(column);
        return;
    }
    char *at = column_item(column, 8);
    if (at) {
        write_64(at, (uint64_t)(instant_us - UNIX_TO_POSTGRES_US));
    }
}
void db_put_date(struct db_column *column, int32_t date) {
    assert(!column || column->type == DB_DATE);
    if (date == DATE_NONE) {
        db_put_null(column);
        return;
    }
    char *at = column_item(column, 4);
    if (at) {
        write_32(at, (uint32_t)(date - UNIX_TO_POSTGRES_DAYS));
    }
}

bool db_params_finish(struct db_params *params) {
    if (params->failed) {
        return false;
    }
    assert(params->given == params->count);
    for (int i = 0; i < params->count; i++) {
        struct db_column *column = params->columns[i];
        if (!column) {
            continue;
        }
        assert(column->given == column->rows);
        write_32(column->buffer, column->rows ? 1 : 0);
        write_32(column->buffer + 4, column->has_null);
        write_32(column->buffer + 8, type_infos[column->type].item);
        if (column->rows) {
            write_32(column->buffer + 12, (uint32_t)column->rows);
            write_32(column->buffer + 16, 1);
        }
        params->values[i] = column->buffer;
        params->lengths[i] = (int)column->used_bytes;
    }
    return true;
}
