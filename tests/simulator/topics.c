/* The input topics and the consumer group. */
#include "core/command_seal.h"
#include "tests/simulator/sim.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- the log ---- */

void topics_begin(struct sim *sim) {
    for (unsigned topic = 0; topic < STORY_TOPICS; topic++) {
        if (topic == STORY_COMMAND && !sim->story.ties)
            continue;
        unsigned numbers = topic < STORY_MATKAHUOLTO ? sim->story.partitions : 1;
        for (unsigned number = 0; number < numbers; number++) {
            struct sim_partition *partition = &sim->partitions[sim->partition_count++];
            *partition = (struct sim_partition){.topic = topic, .number = (int32_t)number, .owner = 0};
            (void)memory_position_add(&sim->memory, story_topics[topic], (int32_t)number);
        }
    }
    topics_rebalance(sim);
}

static unsigned number_of(const struct sim *sim, const struct story_event *event, struct text key) {
    unsigned sum = 0;
    if (event->topic >= STORY_MATKAHUOLTO)
        return 0;
    for (size_t i = 0; i < key.size; i++)
        sum += (unsigned char)key.at[i];
    return sum % sim->story.partitions;
}

static struct sim_partition *partition_of(struct sim *sim, enum story_topic topic, unsigned number) {
    for (size_t i = 0; i < sim->partition_count; i++)
        if (sim->partitions[i].topic == topic && sim->partitions[i].number == (int32_t)number)
            return &sim->partitions[i];
    abort();
}

/* A carrier answers a notice that it has read, the latest mostly, or one that nobody sent. */
static void answer(struct sim *sim, const struct story_event *event, struct sim_record *record) {
    struct text topic = text_of(story_topics[event->topic]), ref = TEXT_ABSENT;
    char data[256];
    for (size_t i = sim->log.count; i > 0 && !text_present(ref); i--) {
        const struct sim_published *published = &sim->log.at[i - 1];
        const char *recipient = published->topic.at + strlen("disclosure.");
        if (published->topic.size != topic.size + strlen("disclosure.") - strlen("carrier.") ||
            memcmp(published->topic.at, "disclosure.", strlen("disclosure.")) != 0 ||
            memcmp(recipient, topic.at + strlen("carrier."), topic.size - strlen("carrier.")) != 0)
            continue;
        const char *found = memmem(published->body.at, published->body.size, "\"notice_ref\":\"", 14);
        if (found && draw_chance(&sim->schedule, 800))
            ref = (struct text){found + 14, REF_CHARS};
    }
    if (!text_present(ref))
        ref = TEXT("0123456789012345678901234567890123456789012");
    int size =
        snprintf(data, sizeof data, "{\"notice_ref\":\"%.*s\",%.*s}", TEXT_ARGS(ref), TEXT_ARGS(event->data));
    struct story_event whole = *event;
    whole.data = sim_keep(sim, (struct text){data, (size_t)size});
    record->key = sim_keep(sim, ref);
    record->value = story_value(&whole, &sim->memory.kept);
}

/* As a clerk seals it, under the key that consumers provide before there are clerks. */
static void command(struct sim *sim, const struct story_event *event, struct sim_record *record) {
    struct arena *arena = &sim->memory.kept;
    struct keyring *keyring = keyring_new(&memory_vault_ops, &sim->vault, sim_kek, SIM_VAULT_ID, 1, 60);
    struct sealer *sealer = sealer_new();
    struct json_writer *writer = json_writer_new();
    const struct key_want want = command_want();
    const struct command_tie tie = {.request_id = event->key, .person = event->data};
    struct seal_key key;
    struct err err;
    assert(keyring && sealer && writer);
    if (keyring_load(keyring, arena, &want, 1, 0, &err) != OK ||
        !keyring_cell_key(keyring, want.person, want.generation, want.category, want.period, 0, &key))
        abort();
    struct story_event whole = *event;
    whole.data = command_seal(sealer, &key, &tie, event->id, writer, arena);
    assert(text_present(whole.data));
    record->value = story_value(&whole, arena);
    sim->judged[JUDGED_TIES]++;
    json_writer_free(writer);
    sealer_free(sealer);
    keyring_free(keyring);
}

void topics_publish(struct sim *sim) {
    size_t nth = sim->published++;
    const struct story_event *event = &sim->story.at[nth];
    if (!(sim->options.events >> event->number & 1))
        return;
    struct sim_record *record = ARENA_NEW(&sim->memory.kept, struct sim_record);
    assert(record);
    *record = (struct sim_record){.event = event,
                                  .key = event->key,
                                  .time_us = event->time_us,
                                  .timestamp_ms = (sim->now_us += 1000) / 1000};
    if (event->answer)
        answer(sim, event, record);
    else if (event->ties)
        command(sim, event, record);
    else
        record->value = story_value(event, &sim->memory.kept);
    struct sim_partition *partition = partition_of(sim, event->topic, number_of(sim, event, record->key));
    record->partition = partition->number;
    record->offset = (int64_t)partition->records.count;
    *ARENA_PUSH(&sim->memory.kept, &partition->records) = record;
    if (sim->options.tells) {
        char line[1024];
        story_tell(event, line, sizeof line);
        sim_tell(sim, "published %s", line);
    }
}

bool topics_read(const struct sim *sim) {
    for (size_t i = 0; i < sim->partition_count; i++) {
        const struct sim_partition *partition = &sim->partitions[i];
        const struct memory_position *position =
            memory_position_of((struct memory_register *)(uintptr_t)&sim->memory,
                               text_of(story_topics[partition->topic]), partition->number);
        if (position->row.next < (int64_t)partition->records.count && !position->parked[0])
            return false;
    }
    return true;
}

/* ---- the group ---- */

static bool takes_part(const struct sim *sim, unsigned slot) {
    const struct process *process = sim->at[slot];
    return process && process->thaw_us <= sim->now_us;
}

void topics_rebalance(struct sim *sim) {
    unsigned members[SIM_WORKERS], count = 0;
    for (unsigned slot = 0; slot < SIM_WORKERS; slot++)
        if (takes_part(sim, slot))
            members[count++] = slot;
    if (!count)
        return;
    for (size_t i = 0; i < sim->partition_count; i++)
        sim->partitions[i].owner = members[draw_below(&sim->schedule, count)];
    for (unsigned i = 0; i < count; i++)
        sim->at[members[i]]->client.reassigned = true;
}

void topics_join(struct sim *sim, unsigned slot) {
    sim->at[slot]->client.reassigned = true;
    for (size_t i = 0; i < sim->partition_count; i++)
        if (!takes_part(sim, sim->partitions[i].owner) && draw_chance(&sim->schedule, 500))
            sim->partitions[i].owner = slot;
    if (draw_chance(&sim->schedule, 500))
        topics_rebalance(sim);
}

/* ---- the client ---- */

static struct topic_polled news_of(const struct sim *sim, size_t at, enum topic_news news, int64_t offset) {
    const struct sim_partition *partition = &sim->partitions[at];
    return (struct topic_polled){.news = news,
                                 .topic = text_of(story_topics[partition->topic]),
                                 .partition = partition->number,
                                 .offset = offset};
}

static bool poll_partition(struct process *process, size_t at, struct topic_polled *polled) {
    struct sim *sim = process->sim;
    struct sim_client *client = &process->client;
    const struct sim_partition *partition = &sim->partitions[at];
    int64_t offset = client->fetch[at];
    if (!client->assigned[at])
        return false;
    if (client->stale && offset >= client->stale && draw_chance(&sim->schedule, 300)) {
        offset -= client->stale; /* of a fetch before the last assign */
        client->stale = 0;
    } else if (offset < (int64_t)partition->records.count) {
        client->fetch[at]++;
    } else {
        if (client->end_told[at])
            return false;
        client->end_told[at] = true;
        *polled = news_of(sim, at, TOPIC_END, offset);
        return true;
    }
    struct sim_record *record = partition->records.at[offset];
    *polled = news_of(sim, at, TOPIC_RECORD, offset);
    polled->size_bytes = record->value.size;
    polled->message = record;
    return true;
}

static enum outcome client_poll(void *context, int timeout_ms, struct topic_polled *polled, struct err *err) {
    struct process *process = context;
    struct sim *sim = process->sim;
    (void)err;
    *polled = (struct topic_polled){.news = TOPIC_NOTHING};
    enum strike struck = process_call(process, __func__);
    if (struck == STRIKE_AWAY) {
        polled->news = TOPIC_AWAY;
        return OK;
    }
    if (struck == STRIKE_DEATH)
        process_die(process);
    if (process->client.reassigned) {
        process->client.reassigned = false;
        memset(process->client.assigned, 0, sizeof process->client.assigned);
        polled->news = TOPIC_REASSIGNED;
        return OK;
    }
    size_t first = draw_below(&sim->schedule, (unsigned)sim->partition_count);
    for (size_t i = 0; i < sim->partition_count; i++)
        if (poll_partition(process, (first + i) % sim->partition_count, polled))
            return OK;
    if (timeout_ms)
        process_sleep(process, timeout_ms * INT64_C(1000));
    return OK;
}

static enum outcome client_view(void *context, void *message, struct arena *arena, struct record *record) {
    static const struct record_header content_type = {TEXT("content-type"),
                                                      TEXT("application/cloudevents+json")};
    const struct sim_record *kept = message;
    (void)context;
    (void)arena;
    *record = (struct record){.topic = text_of(story_topics[kept->event->topic]),
                              .partition = kept->partition,
                              .offset = kept->offset,
                              .timestamp_ms = kept->timestamp_ms,
                              .key = kept->key,
                              .value = kept->value,
                              .headers = &content_type,
                              .header_count = 1};
    return OK;
}

static void client_release(void *context, void *message) {
    (void)context;
    (void)message;
}

static enum outcome away(struct err *err) {
    return err_set(err, RETRY, 0, "Kafka is away");
}

static enum outcome client_assigned(void *context, struct arena *arena, struct topic_place **places,
                                    size_t *count, struct err *err) {
    struct process *process = context;
    const struct sim *sim = process->sim;
    (void)err;
    *places = ARENA_ARRAY(arena, struct topic_place, sim->partition_count);
    assert(*places);
    *count = 0;
    for (size_t i = 0; i < sim->partition_count; i++)
        if (sim->partitions[i].owner == process->slot)
            (*places)[(*count)++] =
                (struct topic_place){.topic = text_of(story_topics[sim->partitions[i].topic]),
                                     .partition = sim->partitions[i].number};
    return OK;
}

static size_t index_of(const struct sim *sim, struct text topic, int32_t number) {
    for (size_t i = 0; i < sim->partition_count; i++)
        if (sim->partitions[i].number == number && text_is(topic, story_topics[sim->partitions[i].topic]))
            return i;
    abort();
}

static enum outcome client_assign(void *context, const struct topic_place *places, size_t count,
                                  struct err *err) {
    struct process *process = context;
    struct sim_client *client = &process->client;
    (void)err;
    memset(client->assigned, 0, sizeof client->assigned);
    memset(client->end_told, 0, sizeof client->end_told);
    for (size_t i = 0; i < count; i++) {
        size_t at = index_of(process->sim, places[i].topic, places[i].partition);
        client->assigned[at] = true;
        client->fetch[at] = places[i].offset;
    }
    client->stale = draw_chance(&process->sim->schedule, 100);
    return OK;
}

static enum outcome client_watermarks(void *context, struct text topic, int32_t number, int64_t *low,
                                      int64_t *high, struct err *err) {
    struct process *process = context;
    enum strike struck = process_call(process, __func__);
    if (struck == STRIKE_DEATH)
        process_die(process);
    if (struck != STRIKE_NONE)
        return away(err);
    *low = 0;
    *high = (int64_t)process->sim->partitions[index_of(process->sim, topic, number)].records.count;
    return OK;
}

static void client_commit(void *context, const struct topic_place *places, size_t count) {
    (void)context;
    (void)places;
    (void)count;
}

static enum outcome client_cluster(void *context, struct arena *arena, struct text *cluster_id,
                                   struct err *err) {
    (void)context;
    (void)err;
    *cluster_id = arena_text(arena, TEXT("simulated"));
    return OK;
}

static enum outcome client_check(void *context, struct err *err) {
    (void)context;
    (void)err;
    return OK;
}

const struct topic_ops topics_ops = {.poll = client_poll,
                                     .view = client_view,
                                     .release = client_release,
                                     .assigned = client_assigned,
                                     .assign = client_assign,
                                     .watermarks = client_watermarks,
                                     .commit = client_commit,
                                     .cluster_id = client_cluster,
                                     .check = client_check};
