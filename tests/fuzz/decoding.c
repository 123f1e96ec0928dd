/* A decoder for the targets that decode, and what must hold of whatever it says. */
#include "tests/fuzz/common.h"

#include "consumer/decode.h"
#include "consumer/decode_tables.h"
#include "core/json_read.h"
#include <stdlib.h>
#include <string.h>

static void ignore_complaint(void *context, const char *path, const char *message) {
    (void)context, (void)path, (void)message;
}

static struct decoder *common_decoder(void) {
    static struct decoder decoder;
    static const uint8_t key[DIGEST_KEY_BYTES] = {1};
    struct err err;
    if (!decoder.policy) {
        struct policy *policy =
            policy_read(SOURCE_DIR "/schema/policy/jerone.json", ignore_complaint, NULL, &err);
        hold(policy && decoder_init(&decoder, policy, key) == OK, "the example policy is one");
    }
    return &decoder;
}

/* ---- a refusal names what is ours ---- */

static bool is_field(const struct fields *table, struct text name) {
    for (size_t i = 0; i < table->count; i++)
        if (text_equal(table->at[i].name, name) ||
            (table->at[i].members && is_field(table->at[i].members, name)))
            return true;
    return false;
}

static bool is_any_field(struct text name) {
    for (int type = 0; type < EVENT_INPUT_TYPES; type++)
        if (is_field(&decode_tables[type], name))
            return true;
    return false;
}

static bool detail_is_ours(const char *detail) {
    static const char *const words[] = {"",
                                        "value",
                                        "key or header",
                                        "repeated header",
                                        "id",
                                        "specversion",
                                        "source",
                                        "type",
                                        "sequence",
                                        "content type",
                                        "data",
                                        "time",
                                        "key",
                                        "topic",
                                        "customer_id or token",
                                        "subject"};
    const char *dot = strchr(detail, '.');
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(detail, words[i]) == 0)
            return true;
    for (int type = 0; type < EVENT_INPUT_TYPES; type++)
        if (strcmp(detail, event_infos[type].name) == 0)
            return true;
    if (!dot)
        return is_any_field(text_of(detail));
    return is_any_field((struct text){detail, (size_t)(dot - detail)}) && is_any_field(text_of(dot + 1));
}

/* ---- texts of an event ---- */

static void check_text(struct text text) {
    if (!text_present(text))
        return;
    hold(text_storable(text), "a text of an event can be stored");
    accepted_text(text);
}

static bool is_text(enum kind kind) {
    return kind != KIND_ENUM && kind != KIND_BOOL_OF && kind != KIND_INTEGER && kind != KIND_BOOL &&
           kind != KIND_OBJECT && kind != KIND_CONTACT && kind != KIND_LINES && kind != KIND_DROPPED;
}

/* Everything that the table of its type has put into the struct. */
static void check_fields(const struct fields *table, const void *base) {
    for (size_t i = 0; i < table->count; i++) {
        const struct field *field = &table->at[i];
        const char *at = (const char *)base + (field->kind == KIND_DROPPED ? 0 : field->offset);
        if (is_text(field->kind)) {
            check_text(*(const struct text *)at);
        } else if (field->kind == KIND_OBJECT || field->kind == KIND_CONTACT) {
            check_fields(field->members, at);
        } else if (field->kind == KIND_LINES) {
            const struct line *lines = *(struct line *const *)at;
            size_t count = *(const size_t *)((const char *)base + field->count_offset);
            for (size_t k = 0; k < count; k++)
                check_fields(field->members, &lines[k]);
        } else if (field->kind == KIND_INTEGER) {
            int64_t value = *(const int64_t *)at;
            hold((value >= field->least && value <= field->most) || (!field->required && !value),
                 "an integer of an event is in its range");
        }
    }
}

static void check_event(const struct event *event, const struct record *record) {
    hold(event->type < EVENT_INPUT_TYPES, "an event has a type");
    hold(event->version.time_us >= 0, "an event has a time");
    check_text(event->version.source);
    check_text(event->version.id);
    check_text(event->version.sequence);
    check_text(event->customer_id);
    check_text(event->topic);
    check_text(event->sender);
    check_text(record->key);
    check_fields(&decode_tables[event->type], event);
}

/* ---- decoding ---- */

struct made {
    enum outcome outcome;
    struct event event;
    struct refusal refusal;
    uint32_t unknown_fields;
};

static void decode_into(const struct record *record, struct arena *arena, struct made *made) {
    memset(made, 0, sizeof *made); /* padding too: two are compared byte by byte */
    arena_reset(arena);
    made->outcome =
        decode_record(record, common_decoder(), arena, &made->event, &made->refusal, &made->unknown_fields);
}

static bool same(const struct made *one, const struct made *two) {
    return one->outcome == two->outcome && one->unknown_fields == two->unknown_fields &&
           one->refusal.reason == two->refusal.reason &&
           strcmp(one->refusal.detail, two->refusal.detail) == 0 &&
           memcmp(&one->event, &two->event, sizeof one->event) == 0;
}

/* The limit is drawn from the record itself. */
static void decode_in_little(const struct record *record, const struct made *made) {
    static struct arena little;
    struct made other;
    arena_release(&little);
    arena_init(&little, 64 + record->value.size * 7 % 4096);
    decode_into(record, &little, &other);
    hold(other.outcome == RETRY || (other.outcome == OK && other.refusal.reason == made->refusal.reason &&
                                    strcmp(other.refusal.detail, made->refusal.detail) == 0),
         "in too little memory a record is put off or judged alike");
}

void common_decode(const struct record *record) {
    static struct arena arena;
    struct made made, again;
    if (!arena.limit_bytes)
        arena_init(&arena, (size_t)16 << 20);
    decode_into(record, &arena, &made);
    hold(made.outcome == OK, "there is memory");
    hold(made.refusal.reason < REASON_NOT_YOURS, "decode knows its reasons");
    if (made.refusal.reason == REASON_NONE)
        check_event(&made.event, record);
    else
        hold(detail_is_ours(made.refusal.detail), "a refusal's detail is a name of ours");
    decode_into(record, &arena, &again);
    hold(same(&made, &again), "decoded twice a record is the same");
    decode_in_little(record, &made);
}
