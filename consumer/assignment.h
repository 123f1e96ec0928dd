/* Positions of the partitions that the group gave this worker: who may be read from where, and what is wrong
 * with the others. A SELECT is never a claim: each partition is claimed in the register (epoch + 1) after
 * each rebalance, lost connection or lost epoch, and only then fetched (SPEC 4). One thread each. */
#ifndef KR_CONSUMER_ASSIGNMENT_H
#define KR_CONSUMER_ASSIGNMENT_H

#include "consumer/seams.h"
#include "core/clock.h"

enum partition_state {
    PARTITION_PENDING,   /* given by the group, to be claimed at retry_at_us */
    PARTITION_VERIFYING, /* claimed; the record at the fingerprint's offset is to be read again and compared
                          */
    PARTITION_ACTIVE,    /* claimed and read */
    PARTITION_PARKED,    /* read no further until an operator accepts; looked at again now and then */
    PARTITION_STATES
};
extern const char *const partition_state_names[PARTITION_STATES];

struct partition {
    char topic_name[250];
    struct text topic; /* points to topic_name */
    int32_t partition;
    enum partition_state state;
    int64_t epoch;
    int64_t next;       /* as committed */
    int64_t expected;   /* below this nothing is taken from the topic */
    int64_t decided_us; /* TIME_NONE = nothing yet */
    struct fingerprint fingerprint;
    int64_t retry_at_us; /* monotonic: not claimed before */
    unsigned attempts;   /* claims in vain since the last commit */
    char parked[32];     /* code of why */
    bool wrong_cluster;  /* the position was made with another Kafka cluster */
    bool end_known;
    int64_t end;     /* of the log when this worker first claimed it: where --until-caught-up ends */
    int64_t end_met; /* the client came to the end there; what stands before it may be no records (markers) */
    unsigned label;  /* metrics_topic() */
    /* of the transaction in hand */
    bool taken;
    struct fingerprint taken_last;
    struct text taken_last_value; /* lies in the kept message */
};

/* What a server did when it was asked. */
enum answer { ANSWER_UNASKED, ANSWER_GIVEN, ANSWER_NONE };

struct assignment {
    /* given */
    const struct topic_ops *topic_ops;
    void *topics;
    const struct register_ops *reg_ops;
    void *reg;
    const struct clock_ops *clock;
    void *clock_context;
    struct text owner; /* "host/instance/worker" */
    /* kept */
    struct partition **partitions; /* a partition never moves while it is held */
    size_t count;
    struct partition *last_found;
    struct text cluster_id; /* absent until known */
    char cluster_id_bytes[64];
    enum answer broker; /* in the last assignment_step */
    bool changed;       /* the fetched set differs from what the states say: assign again */
};

void assignment_init(struct assignment *assignment);
void assignment_release(struct assignment *assignment);

/* NULL when it is not held. */
struct partition *assignment_find(struct assignment *assignment, struct text topic, int32_t partition);
/* An empty PENDING one; false when the topic's name is too long. */
bool partition_init(struct partition *partition, struct text topic, int32_t number);
/* Takes over what the group gave: everything is PENDING. Pointers to partitions held before are invalid. */
enum outcome assignment_replace(struct assignment *assignment, struct arena *arena,
                                struct err *err) MUST_CHECK;
/* Claims what is PENDING and due, then has the topics fetched that are claimed. RETRY: register or broker
 * away. */
enum outcome assignment_step(struct assignment *assignment, struct arena *arena, struct err *err) MUST_CHECK;
/* Claims one partition now, positions only: the calendar's. */
enum outcome assignment_claim(struct assignment *assignment, struct partition *partition, int64_t first,
                              struct arena *arena, struct err *err) MUST_CHECK;

/* Back to PENDING after a lost epoch or connection; claimed again after a jittered backoff. */
void assignment_lost(struct assignment *assignment, struct partition *partition);
void assignment_all_lost(struct assignment *assignment);
/* Judges the first record of a VERIFYING partition: ACTIVE, or parked. hash: of that record. */
enum outcome assignment_verify(struct assignment *assignment, struct partition *partition, int64_t offset,
                               int64_t timestamp_ms, const uint8_t hash[FINGERPRINT_BYTES],
                               struct err *err) MUST_CHECK;
/* Reads this partition no further: written to the register, shown by /readyz. */
enum outcome assignment_park(struct assignment *assignment, struct partition *partition, const char *reason,
                             struct err *err) MUST_CHECK;
/* Every partition is read; else the reason, as /readyz shows it. */
bool assignment_ready(const struct assignment *assignment, char *reason, size_t room);
/* Everything that was there at the start is committed, or parked. */
bool assignment_caught_up(const struct assignment *assignment);
/* Tells the log each parked partition, for nobody will read on; returns how many there are. */
size_t assignment_tell_parked(const struct assignment *assignment);
/* Milliseconds until a claim is due; at most `most`. */
int assignment_wait_ms(const struct assignment *assignment, int most);

#endif
