/* Errors that tell the caller what to do.
 *
 * Every function that can fail returns `enum outcome` and must be checked; the caller owns the `struct err`
 * that it fills. Only the loops (consumer/consume.c, producer/publish.c, the command line) choose what
 * happens next; everything below them reports. The text never carries personal data and never quotes a
 * payload. After librdkafka's src/rdkafka_error.h. */
#ifndef KR_ERR_H
#define KR_ERR_H

#include <stddef.h>

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))

enum outcome {
    OK = 0,
    RETRY,  /* not now: back off and try again (08, 40, 53, 57, 58, XX; a broker that is away) */
    POISON, /* this one record cannot be taken in (22, 23): isolate it */
    FENCED, /* somebody else holds it: drop the batch, claim again */
    FATAL,  /* exit; the supervisor restarts, or an operator must look */
};

struct err {
    enum outcome kind;
    int code;         /* the library's own code, 0 when there is none */
    char sqlstate[6]; /* "" when not PostgreSQL's */
    char text[256];   /* one line, no personal data */
};

/* Fills err (which may be NULL) and returns kind, so that `return err_set(err, RETRY, 0, "...")` reads well.
 */
enum outcome err_set(struct err *err, enum outcome kind, int code, const char *format, ...) PRINTF_LIKE(4, 5);

/* "retry", "poison", ... for log lines. */
const char *outcome_name(enum outcome outcome);

#endif
