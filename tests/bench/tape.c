/* Plays what core/db_tape.h recorded against a fresh stack, and prints how long PostgreSQL alone takes for
 * it:
 *
 *   tape STACK-DIR TAPE-DIR [SLACK]
 *
 * One thread a connection, through core/db as the programs do: the same statements, parameters, pipelining
 * and awaiting of answers. A connection runs ahead of the others by at most SLACK (8) round trips more than
 * when it was recorded, so that what one wrote is there when another guards it by its version; where an
 * answer has another number of rows nevertheless, it is counted as different. */
#include "core/db_params.h"
#include "core/db_tape.h"
#include <fcntl.h>
#include <glob.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define QUERIES_MAX 256
#define TAPES_MAX 64
#define WAIT_NS 20000

struct tape {
    const char *path, *at, *end;
    struct db *db;
    struct query queries[QUERIES_MAX];
    unsigned *types[QUERIES_MAX];
    pthread_t thread;
    long statements, different;
};

static _Atomic uint64_t ended;
static long slack = 8;
static pthread_barrier_t start;

static void die(const char *what, const char *why) {
    fprintf(stderr, "tape: %s: %s\n", what, why);
    exit(1);
}

static void *no_null(void *memory) {
    if (!memory)
        die("memory", "none is left");
    return memory;
}

/* ---- reading ---- */

static void take(struct tape *tape, void *bytes, size_t size_bytes) {
    if ((size_t)(tape->end - tape->at) < size_bytes)
        die(tape->path, "ends in the middle of a record");
    memcpy(bytes, tape->at, size_bytes);
    tape->at += size_bytes;
}
static uint32_t take_32(struct tape *tape) {
    uint32_t number;
    take(tape, &number, sizeof number);
    return number;
}
static char *take_text(struct tape *tape) {
    uint32_t size_bytes = take_32(tape);
    if ((size_t)(tape->end - tape->at) < size_bytes)
        die(tape->path, "ends in the middle of a text");
    char *text = no_null(strndup(tape->at, size_bytes));
    tape->at += size_bytes;
    return text;
}

static void open_tape(struct tape *tape, const char *stack, const char *path, const int ports[2]) {
    struct stat stat;
    struct err err;
    char magic[sizeof TAPE_MAGIC - 1], conninfo[1024];
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0 || fstat(file, &stat) < 0)
        die(path, "cannot be read");
    tape->path = path;
    tape->at = mmap(NULL, (size_t)stat.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0);
    if (tape->at == MAP_FAILED)
        die(path, "cannot be mapped");
    tape->end = tape->at + stat.st_size;
    close(file);
    take(tape, magic, sizeof magic);
    if (memcmp(magic, TAPE_MAGIC, sizeof magic) != 0)
        die(path, "is no tape");
    char *role = take_text(tape), *database = take_text(tape);
    snprintf(conninfo, sizeof conninfo,
             "host=127.0.0.1 port=%d dbname=%s user=%s passfile=%s/secrets/pgpass-%s",
             ports[strcmp(database, "vault") == 0], database, role, stack, role);
    if (db_open(&tape->db, conninfo, "tape", &err) != OK)
        die(path, err.text);
    free(role);
    free(database);
}

/* ---- playing ---- */

static void define(struct tape *tape) {
    uint32_t number = take_32(tape), params = take_32(tape);
    if (number >= QUERIES_MAX)
        die(tape->path, "defines too many queries");
    tape->types[number] = no_null(calloc(params + 1, sizeof(unsigned)));
    for (uint32_t i = 0; i < params; i++)
        tape->types[number][i] = take_32(tape);
    char *name = take_text(tape);
    tape->queries[number] = (struct query){name, take_text(tape), (int)params};
}

/* The parameters stay where they are on the tape. */
static void play_send(struct tape *tape) {
    uint32_t number = take_32(tape);
    struct query *query = &tape->queries[number < QUERIES_MAX ? number : 0];
    enum { PARAMS_MAX = 64 };
    const char *values[PARAMS_MAX] = {NULL};
    int lengths[PARAMS_MAX] = {0}, formats[PARAMS_MAX];
    struct db_column *columns[PARAMS_MAX] = {NULL};
    struct err err;
    if (query->params > PARAMS_MAX)
        die(query->name, "has too many parameters");
    for (int i = 0; i < query->params; i++) {
        uint32_t size_bytes = take_32(tape);
        formats[i] = 1;
        if (size_bytes == UINT32_MAX)
            continue;
        values[i] = tape->at;
        lengths[i] = (int)size_bytes;
        tape->at += size_bytes;
    }
    struct db_params params = {.count = query->params,
                               .given = query->params,
                               .columns = columns,
                               .values = values,
                               .lengths = lengths,
                               .formats = formats,
                               .types = tape->types[number]};
    if (db_send(tape->db, query, query->params ? &params : NULL, &err) != OK)
        die(query->name, err.text);
    tape->statements++;
}

static void play_sync(struct tape *tape) {
    uint64_t so_far;
    struct err err;
    take(tape, &so_far, sizeof so_far);
    while (atomic_load(&ended) + (uint64_t)slack < so_far) {
        struct timespec nap = {.tv_nsec = WAIT_NS};
        nanosleep(&nap, NULL);
    }
    if (db_sync(tape->db, &err) != OK)
        die(tape->path, err.text);
}

static void play_next(struct tape *tape) {
    int64_t rows;
    uint8_t last;
    struct db_result *result = NULL;
    struct err err;
    take(tape, &rows, sizeof rows);
    take(tape, &last, sizeof last);
    int64_t got = -1;
    if (db_next(tape->db, &result, &err) == OK)
        got = db_rows(result) ? (int64_t)db_rows(result) : db_affected(result);
    if (got != rows)
        tape->different++;
    db_result_release(result);
    atomic_fetch_add(&ended, last);
}

static void *play(void *context) {
    struct tape *tape = context;
    pthread_barrier_wait(&start);
    while (tape->at < tape->end) {
        switch (*tape->at++) {
        case TAPE_DEFINE:
            define(tape);
            break;
        case TAPE_SEND:
            play_send(tape);
            break;
        case TAPE_SYNC:
            play_sync(tape);
            break;
        case TAPE_NEXT:
            play_next(tape);
            break;
        case TAPE_ABANDON:
            db_abandon(tape->db);
            break;
        default:
            die(tape->path, "holds an unknown record");
        }
    }
    return NULL;
}

static int port(const char *stack, const char *name) {
    char path[512], line[512];
    int found = 0;
    snprintf(path, sizeof path, "%s/stack.conf", stack);
    FILE *file = fopen(path, "r");
    if (!file)
        die(path, "cannot be read");
    while (!found && fgets(line, sizeof line, file))
        if (strncmp(line, name, strlen(name)) == 0)
            found = (int)strtol(line + strlen(name), NULL, 10);
    fclose(file);
    return found;
}

static double seconds(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
    static struct tape tapes[TAPES_MAX];
    char pattern[512];
    glob_t found;
    long statements = 0, different = 0;
    if (argc < 3)
        die("usage", "tape STACK-DIR TAPE-DIR [SLACK]");
    if (argc > 3)
        slack = strtol(argv[3], NULL, 10);
    int ports[2] = {port(argv[1], "register_port="), port(argv[1], "vault_port=")};
    snprintf(pattern, sizeof pattern, "%s/*.tape", argv[2]);
    if (glob(pattern, 0, NULL, &found) != 0 || found.gl_pathc > TAPES_MAX)
        die(argv[2], "holds no tapes, or too many");
    pthread_barrier_init(&start, NULL, (unsigned)found.gl_pathc + 1);
    for (size_t i = 0; i < found.gl_pathc; i++)
        open_tape(&tapes[i], argv[1], found.gl_pathv[i], ports);
    for (size_t i = 0; i < found.gl_pathc; i++)
        if (pthread_create(&tapes[i].thread, NULL, play, &tapes[i]) != 0)
            die("thread", "cannot be started");
    pthread_barrier_wait(&start);
    double begun = seconds();
    for (size_t i = 0; i < found.gl_pathc; i++) {
        pthread_join(tapes[i].thread, NULL);
        statements += tapes[i].statements;
        different += tapes[i].different;
        db_close(tapes[i].db);
    }
    printf("{\"seconds\":%.3f,\"connections\":%zu,\"statements\":%ld,\"different\":%ld}\n", seconds() - begun,
           found.gl_pathc, statements, different);
    globfree(&found);
    return 0;
}
