/* Positions of the partitions that the group gave this worker.
 *
 *   PENDING ──claimed──► VERIFYING ──same record──► ACTIVE
 *      ▲                    │                          │
 *      │                    └──another record──► PARKED (also: gap, out of range, wrong cluster, missing key)
 *      └─────────── epoch or connection lost ──────────┘    PARKED ──accepted by an operator──► PENDING
 *
 * A partition without a fingerprint, or whose fingerprint's record has expired while nothing after it is
 * missing, goes from PENDING to ACTIVE at once. */
#include "consumer/assignment.h"
#include "core/killpoint.h"
#include "core/log.h"
#include "core/metrics.h"
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define BACKOFF_FIRST_US 20000
#define BACKOFF_MOST_US 5000000
#define PARKED_LOOK_US 3000000

const char *const partition_state_names[PARTITION_STATES] = {"pending", "verifying", "active", "parked"};

static int64_t now_us(const struct assignment *assignment) {
    return assignment->clock->monotonic_us(assignment->clock_context);
}

void assignment_init(struct assignment *assignment) {
    assignment->partitions = NULL;
    assignment->count = 0;
    assignment->last_found = NULL;
    assignment->cluster_id = TEXT_ABSENT;
    assignment->broker = ANSWER_UNASKED;
    assignment->changed = false;
}

static void forget(struct assignment *assignment, struct partition *partition) {
    metrics_change(METRIC_PARTITIONS_ASSIGNED, -1);
    if (partition->state == PARTITION_PARKED)
        metrics_change(METRIC_PARTITIONS_PARKED, -1);
    if (assignment->last_found == partition)
        assignment->last_found = NULL;
    free(partition);
}

void assignment_release(struct assignment *assignment) {
    for (size_t i = 0; i < assignment->count; i++)
        forget(assignment, assignment->partitions[i]);
    free(assignment->partitions);
    assignment_init(assignment);
}

struct partition *assignment_find(struct assignment *assignment, struct text topic, int32_t partition) {
    struct partition *last = assignment->last_found;
    if (last && last->partition == partition && text_equal(last->topic, topic))
        return last;
    for (size_t i = 0; i < assignment->count; i++) {
        struct partition *at = assignment->partitions[i];
        if (at->partition == partition && text_equal(at->topic, topic))
            return assignment->last_found = at;
    }
    return NULL;
}

bool partition_init(struct partition *partition, struct text topic, int32_t number) {
    *partition = (struct partition){
        .partition = number, .decided_us = TIME_NONE, .end_met = -1, .fingerprint.offset = -1};
    if (topic.size >= sizeof partition->topic_name)
        return false;
    memcpy(partition->topic_name, topic.at, topic.size);
    partition->topic = (struct text){partition->topic_name, topic.size};
    partition->label = metrics_topic(topic);
    return true;
}

static struct partition *assignment_add(struct assignment *assignment, struct text topic, int32_t number) {
    struct partition *partition = malloc(sizeof *partition);
    struct partition **wider =
        realloc(assignment->partitions, (assignment->count + 1) * sizeof(*assignment->partitions));
    if (wider)
        assignment->partitions = wider;
    if (!partition || !wider || !partition_init(partition, topic, number)) {
        free(partition);
        return NULL;
    }
    assignment->partitions[assignment->count++] = partition;
    metrics_change(METRIC_PARTITIONS_ASSIGNED, 1);
    return partition;
}

static void set_state(struct assignment *assignment, struct partition *partition,
                      enum partition_state state) {
    if (partition->state == state)
        return;
    if (partition->state == PARTITION_PARKED || state == PARTITION_PARKED)
        metrics_change(METRIC_PARTITIONS_PARKED, state == PARTITION_PARKED ? 1 : -1);
    log_write(LOG_DEBUG, "partition_state", "A partition's state changed.",
              LOG_TEXT("topic", partition->topic), LOG_INT("partition", partition->partition),
              LOG_STRING("from", partition_state_names[partition->state]),
              LOG_STRING("to", partition_state_names[state]), LOG_INT("next", partition->next));
    bool was_read = partition->state == PARTITION_VERIFYING || partition->state == PARTITION_ACTIVE;
    bool is_read = state == PARTITION_VERIFYING || state == PARTITION_ACTIVE;
    if (was_read != is_read)
        assignment->changed = true;
    partition->state = state;
}

/* 20 ms, doubled each time up to 5 s, then between half of it and the whole: workers that wait for the same
 * thing shall not all come at once. */
static int64_t backoff_us(struct partition *partition) {
    int64_t most = BACKOFF_FIRST_US;
    for (unsigned i = 0; i < partition->attempts && most < BACKOFF_MOST_US; i++)
        most *= 2;
    most = most < BACKOFF_MOST_US ? most : BACKOFF_MOST_US;
    partition->attempts++;
    return most / 2 + (int64_t)randombytes_uniform((uint32_t)(most / 2 + 1));
}

void assignment_lost(struct assignment *assignment, struct partition *partition) {
    if (partition->state == PARTITION_PARKED)
        return;
    set_state(assignment, partition, PARTITION_PENDING);
    assignment->changed = true;
    partition->retry_at_us = now_us(assignment) + backoff_us(partition);
}

void assignment_all_lost(struct assignment *assignment) {
    for (size_t i = 0; i < assignment->count; i++)
        assignment_lost(assignment, assignment->partitions[i]);
}

enum outcome assignment_replace(struct assignment *assignment, struct arena *arena, struct err *err) {
    struct topic_place *places;
    size_t count;
    enum outcome outcome = assignment->topic_ops->assigned(assignment->topics, arena, &places, &count, err);
    if (outcome != OK)
        return outcome;
    struct partition **old = assignment->partitions;
    size_t old_count = assignment->count;
    assignment->partitions = NULL;
    assignment->count = 0;
    assignment->last_found = NULL;
    for (size_t i = 0; i < count && outcome == OK; i++) {
        struct partition *added = assignment_add(assignment, places[i].topic, places[i].partition);
        if (!added)
            outcome = err_set(err, FATAL, 0, "no memory for the partitions of a rebalance");
        for (size_t j = 0; added && j < old_count; j++)
            if (old[j]->partition == added->partition && text_equal(old[j]->topic, added->topic)) {
                added->end_known = old[j]->end_known;
                added->end = old[j]->end;
            }
    }
    for (size_t j = 0; j < old_count; j++)
        forget(assignment, old[j]);
    free(old);
    assignment->changed = true;
    log_write(LOG_INFO, "assigned", "The group gave this worker its partitions.",
              LOG_INT("partitions", count), LOG_TEXT("worker", assignment->owner));
    return outcome;
}

enum outcome assignment_park(struct assignment *assignment, struct partition *partition, const char *reason,
                             struct err *err) {
    enum outcome outcome = assignment->reg_ops->park(assignment->reg, partition->topic, partition->partition,
                                                     partition->epoch, text_of(reason), err);
    if (outcome != OK) {
        assignment_lost(assignment, partition);
        return outcome == FENCED ? OK : outcome;
    }
    snprintf(partition->parked, sizeof partition->parked, "%s", reason);
    partition->retry_at_us = now_us(assignment) + PARKED_LOOK_US;
    set_state(assignment, partition, PARTITION_PARKED);
    log_write(LOG_ERROR, "partition_parked",
              "A partition is read no further; see `kundregister consumer position list`, and once it is "
              "understood, "
              "`kundregister consumer position accept TOPIC PARTITION`.",
              LOG_TEXT("topic", partition->topic), LOG_INT("partition", partition->partition),
              LOG_STRING("reason", reason), LOG_INT("next", partition->next));
    return OK;
}

/* ---- claims ---- */

/* What is wrong with a claimed position, given the log's first and next offset; NULL when nothing is. */
static const char *misfit(const struct partition *partition, int64_t low, int64_t high) {
    if (partition->wrong_cluster)
        return "wrong_cluster";
    if (low > partition->next)
        return "gap";
    if (high < partition->next)
        return "out_of_range";
    return NULL;
}

enum outcome assignment_claim(struct assignment *assignment, struct partition *partition, int64_t first,
                              struct arena *arena, struct err *err) {
    struct claim claim = {.topic = partition->topic,
                          .partition = partition->partition,
                          .first = first,
                          .owner = assignment->owner,
                          .cluster_id = assignment->cluster_id};
    struct claimed claimed;
    KILL_POINT("consumer.before_claim");
    enum outcome outcome = assignment->reg_ops->claim(assignment->reg, &claim, arena, &claimed, err);
    KILL_POINT("consumer.after_claim");
    if (outcome != OK)
        return outcome;
    metrics_add(METRIC_CLAIMS, 0, 1);
    partition->epoch = claimed.epoch;
    partition->next = partition->expected = claimed.next;
    partition->decided_us = claimed.decided_us;
    partition->fingerprint = claimed.fingerprint;
    partition->wrong_cluster = !text_equal(claimed.cluster_id, assignment->cluster_id);
    snprintf(partition->parked, sizeof partition->parked, "%.*s", TEXT_ARGS(claimed.parked));
    return OK;
}

static enum outcome claim_partition(struct assignment *assignment, struct partition *partition,
                                    struct arena *arena, struct err *err) {
    int64_t low, high;
    enum outcome outcome = assignment->topic_ops->watermarks(assignment->topics, partition->topic,
                                                             partition->partition, &low, &high, err);
    assignment->broker = outcome == OK ? ANSWER_GIVEN : ANSWER_NONE;
    if (outcome != OK)
        return outcome;
    outcome = assignment_claim(assignment, partition, low, arena, err);
    /* Whoever held it before may have read on since the log's end was asked for; from now on nobody does. */
    if (outcome == OK && high < partition->next)
        outcome = assignment->topic_ops->watermarks(assignment->topics, partition->topic,
                                                    partition->partition, &low, &high, err);
    if (outcome != OK)
        return outcome;
    if (!partition->end_known) {
        partition->end_known = true;
        partition->end = high;
    }
    if (partition->parked[0]) {
        partition->retry_at_us = now_us(assignment) + PARKED_LOOK_US;
        set_state(assignment, partition, PARTITION_PARKED);
        return OK;
    }
    const char *wrong = misfit(partition, low, high);
    if (wrong)
        return assignment_park(assignment, partition, wrong, err);
    /* The fingerprint's record has expired, but nothing after it is missing: nothing to compare with. */
    bool comparable = partition->fingerprint.offset >= low;
    if (comparable)
        partition->expected = partition->fingerprint.offset;
    set_state(assignment, partition, comparable ? PARTITION_VERIFYING : PARTITION_ACTIVE);
    assignment->changed = true;
    return OK;
}

/* Hands the claimed partitions to the client. What is not claimed is not fetched. */
static enum outcome fetch_claimed(struct assignment *assignment, struct arena *arena, struct err *err) {
    struct topic_place *places = ARENA_ARRAY(arena, struct topic_place, assignment->count + 1);
    size_t count = 0;
    if (!places)
        return err_set(err, RETRY, 0, "no memory for the assignment");
    for (size_t i = 0; i < assignment->count; i++) {
        const struct partition *partition = assignment->partitions[i];
        if (partition->state == PARTITION_VERIFYING || partition->state == PARTITION_ACTIVE)
            places[count++] =
                (struct topic_place){partition->topic, partition->partition, partition->expected};
    }
    enum outcome outcome = assignment->topic_ops->assign(assignment->topics, places, count, err);
    if (outcome == OK)
        assignment->changed = false;
    return outcome;
}

static enum outcome learn_cluster(struct assignment *assignment, struct arena *arena, struct err *err) {
    struct text id;
    if (text_present(assignment->cluster_id))
        return OK;
    enum outcome outcome = assignment->topic_ops->cluster_id(assignment->topics, arena, &id, err);
    assignment->broker = outcome == OK ? ANSWER_GIVEN : ANSWER_NONE;
    if (outcome != OK)
        return outcome;
    size_t size =
        id.size < sizeof assignment->cluster_id_bytes ? id.size : sizeof assignment->cluster_id_bytes;
    memcpy(assignment->cluster_id_bytes, id.at, size);
    assignment->cluster_id = (struct text){assignment->cluster_id_bytes, size};
    return OK;
}

enum outcome assignment_step(struct assignment *assignment, struct arena *arena, struct err *err) {
    int64_t now = now_us(assignment);
    enum outcome outcome = OK;
    assignment->broker = ANSWER_UNASKED;
    for (size_t i = 0; i < assignment->count && outcome == OK; i++) {
        struct partition *partition = assignment->partitions[i];
        if ((partition->state != PARTITION_PENDING && partition->state != PARTITION_PARKED) ||
            partition->retry_at_us > now)
            continue;
        outcome = assignment->reg_ops->open(assignment->reg, err);
        if (outcome == OK)
            outcome = learn_cluster(assignment, arena, err);
        if (outcome == OK)
            outcome = claim_partition(assignment, partition, arena, err);
        if (outcome != OK)
            partition->retry_at_us = now_us(assignment) + backoff_us(partition);
    }
    if (assignment->changed) {
        struct err later;
        enum outcome fetched = fetch_claimed(assignment, arena, outcome == OK ? err : &later);
        outcome = outcome == OK ? fetched : outcome;
    }
    return outcome;
}

enum outcome assignment_verify(struct assignment *assignment, struct partition *partition, int64_t offset,
                               int64_t timestamp_ms, const uint8_t hash[FINGERPRINT_BYTES], struct err *err) {
    const struct fingerprint *known = &partition->fingerprint;
    if (offset == known->offset && timestamp_ms == known->timestamp_ms &&
        memcmp(hash, known->hash, FINGERPRINT_BYTES) == 0) {
        partition->expected = partition->next;
        set_state(assignment, partition, PARTITION_ACTIVE);
        return OK;
    }
    return assignment_park(assignment, partition, "fingerprint", err);
}

/* ---- how it stands ---- */

bool assignment_ready(const struct assignment *assignment, char *reason, size_t room) {
    const struct partition *waiting = NULL;
    for (size_t i = 0; i < assignment->count; i++) {
        const struct partition *partition = assignment->partitions[i];
        if (partition->state == PARTITION_PARKED) {
            snprintf(reason, room, "parked: %s/%d (%s); way out: kundregister consumer position accept %s %d",
                     partition->topic_name, partition->partition, partition->parked, partition->topic_name,
                     partition->partition);
            return false;
        }
        if (partition->state == PARTITION_PENDING)
            waiting = partition;
    }
    if (waiting)
        snprintf(reason, room, "claiming: %s/%d", waiting->topic_name, waiting->partition);
    return !waiting;
}

bool assignment_caught_up(const struct assignment *assignment) {
    for (size_t i = 0; i < assignment->count; i++) {
        const struct partition *partition = assignment->partitions[i];
        if (partition->state == PARTITION_PARKED)
            continue;
        bool markers_only = partition->end_met >= partition->end && partition->next >= partition->expected;
        if (!partition->end_known || (partition->next < partition->end && !markers_only))
            return false;
    }
    return true;
}

size_t assignment_tell_parked(const struct assignment *assignment) {
    size_t parked = 0;
    for (size_t i = 0; i < assignment->count; i++) {
        const struct partition *partition = assignment->partitions[i];
        if (partition->state != PARTITION_PARKED)
            continue;
        parked++;
        log_write(LOG_ERROR, "not_caught_up", "A parked partition was not read to its end.",
                  LOG_TEXT("topic", partition->topic), LOG_INT("partition", partition->partition),
                  LOG_STRING("reason", partition->parked), LOG_INT("next", partition->next));
    }
    return parked;
}

int assignment_wait_ms(const struct assignment *assignment, int most) {
    int64_t now = now_us(assignment), wait_us = (int64_t)most * 1000;
    for (size_t i = 0; i < assignment->count; i++) {
        const struct partition *partition = assignment->partitions[i];
        if (partition->state != PARTITION_PENDING)
            continue;
        int64_t left = partition->retry_at_us - now;
        wait_us = left < wait_us ? left : wait_us;
    }
    return wait_us > 0 ? (int)((wait_us + 999) / 1000) : 0;
}
