/* What `producer reconcile` knows of the outbox's rows and of the ids in Kafka, and its verdict on each. One
 * thread. */
#ifndef KR_RECONCILE_ROWS_H
#define KR_RECONCILE_ROWS_H

#include "core/db.h"
#include "producer/reconcile.h"
#include "producer/relay.h"

struct reconcile_topic {
    char name[RELAY_TOPIC_BYTES];
    int64_t mirrored; /* the restored or present mirror's row; 0 = none */
    int64_t position; /* the verdict: all rows up to it count as published; 0 = none */
    uint8_t row_id[ROW_ID_BYTES];
    int64_t found_last; /* the highest row up to `mirrored` that is in Kafka */
    bool found_any;
    bool shortened; /* retention took the topic's beginning */
    bool open;      /* judging: a row was met that must still be published */
};

struct reconcile_row {
    uint8_t output_id[16], row_id[ROW_ID_BYTES];
    int64_t seq;
    uint32_t topic;
    bool found, settled, published;
};

struct reconcile_id {
    uint8_t bytes[16];
};

struct reconcile_rows {
    struct reconcile_topic *topics; /* RELAY_TOPICS_MAX */
    size_t topic_count;
    struct reconcile_row *at; /* by seq once judged */
    size_t count, room;
    struct reconcile_id
        *unknown; /* in Kafka and not in the outbox, since shortly before the mirror was last written */
    size_t unknown_count, unknown_room;
    int64_t since_ms;
};

void reconcile_rows_init(struct reconcile_rows *rows);
void reconcile_rows_release(struct reconcile_rows *rows);
/* The outbox as it is; afterwards sorted by output id. */
enum outcome reconcile_rows_load(struct reconcile_rows *rows, struct db *db, const struct relay_marks *mirror,
                                 struct err *err) MUST_CHECK;
/* The topic of that name, made when new; NULL: too many. */
struct reconcile_topic *reconcile_rows_topic(struct reconcile_rows *rows, struct text name);
/* An id is in Kafka. False: no memory. */
bool reconcile_rows_seen(struct reconcile_rows *rows, const uint8_t id[16], int64_t timestamp_ms);
/* Decides for each row whether it counts as published, and each topic's position. */
void reconcile_rows_judge(struct reconcile_rows *rows, struct reconcile_report *report);
/* Writes all of it in one transaction: publication, ids, mirror, floor, audit. */
enum outcome reconcile_rows_write(struct reconcile_rows *rows, struct db *db, const char *operator,
                                  const struct reconcile_report * report, struct err *err) MUST_CHECK;

/* "xxxxxxxx-xxxx-..." to bytes. */
bool reconcile_id_parse(struct text text, uint8_t id[16]);

#endif
