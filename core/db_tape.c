/* Writes down what one connection is asked (see the header); empty unless compiled with KR_TAPE. */
#include "core/db_tape.h"

#ifdef KR_TAPE
#include "core/db_params.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUFFER_BYTES (1 << 20)
#define QUERIES_MAX 256

struct db_tape {
    FILE *file;
    const struct query *queries[QUERIES_MAX]; /* defined so far, by their number */
    uint32_t query_count;
};

static _Atomic uint64_t ended;

static void put(struct db_tape *tape, const void *bytes, size_t size_bytes) {
    if (fwrite(bytes, 1, size_bytes, tape->file) != size_bytes) {
        perror("the tape cannot be written");
        abort();
    }
}
static void put_kind(struct db_tape *tape, enum tape_record kind) {
    uint8_t byte = (uint8_t)kind;
    put(tape, &byte, 1);
}
static void put_32(struct db_tape *tape, uint32_t number) {
    put(tape, &number, sizeof(number));
}
static void put_text(struct db_tape *tape, const char *string) {
    size_t size_bytes = strlen(string);
    put_32(tape, (uint32_t)size_bytes);
    put(tape, string, size_bytes);
}

struct db_tape *db_tape_new(const char *role, const char *database) {
    static _Atomic unsigned number;
    const char *directory = getenv("KUNDREGISTER_TAPE");
    char path[512];
    if (!directory) {
        return NULL;
    }
    struct db_tape *tape = calloc(1, sizeof(*tape));
    snprintf(path, sizeof(path), "%s/%d-%u.tape", directory, (int)getpid(), atomic_fetch_add(&number, 1));
    tape->file = fopen(path, "w");
    if (!tape->file) {
        perror(path);
        abort();
    }
    setvbuf(tape->file, NULL, _IOFBF, BUFFER_BYTES);
    put(tape, TAPE_MAGIC, strlen(TAPE_MAGIC));
    put_text(tape, role);
    put_text(tape, database);
    return tape;
}

void db_tape_free(struct db_tape *tape) {
    if (tape) {
        fclose(tape->file);
        free(tape);
    }
}

static uint32_t query_number(struct db_tape *tape, const struct query *query,
                             const struct db_params *params) {
    for (uint32_t i = 0; i < tape->query_count; i++) {
        if (tape->queries[i] == query) {
            return i;
        }
    }
    if (tape->query_count == QUERIES_MAX) {
        abort();
    }
    tape->queries[tape->query_count] = query;
    put_kind(tape, TAPE_DEFINE);
    put_32(tape, tape->query_count);
    put_32(tape, (uint32_t)query->params);
    for (int i = 0; i < query->params; i++) {
        put_32(tape, params->types[i]);
    }
    put_text(tape, query->name);
    put_text(tape, query->sql);
    return tape->query_count++;
}

void db_tape_send(struct db_tape *tape, const struct query *query, const struct db_params *params) {
    if (!tape) {
        return;
    }
    uint32_t number = query_number(tape, query, params);
    put_kind(tape, TAPE_SEND);
    put_32(tape, number);
    for (int i = 0; i < query->params; i++) {
        put_32(tape, params->values[i] ? (uint32_t)params->lengths[i] : UINT32_MAX);
        if (params->values[i]) {
            put(tape, params->values[i], (size_t)params->lengths[i]);
        }
    }
}

void db_tape_sync(struct db_tape *tape) {
    if (tape) {
        uint64_t so_far = atomic_load(&ended);
        put_kind(tape, TAPE_SYNC);
        put(tape, &so_far, sizeof(so_far));
    }
}

void db_tape_next(struct db_tape *tape, int64_t rows, bool last) {
    if (tape) {
        uint8_t flag = last;
        put_kind(tape, TAPE_NEXT);
        put(tape, &rows, sizeof(rows));
        put(tape, &flag, 1);
        atomic_fetch_add(&ended, last);
    }
}

void db_tape_abandon(struct db_tape *tape) {
    if (tape) {
        put_kind(tape, TAPE_ABANDON);
    }
}
#else
typedef int db_tape_is_not_compiled_in;
#endif
