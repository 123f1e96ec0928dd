/* Reads, writes and compares the relay's position. */
#include "producer/position.h"

#include "core/json_read.h"
#include <errno.h>
#include <stdio.h>

static const char hex_digits[] = "0123456789abcdef";

struct text position_write(const struct relay_mark *mark, char buffer[POSITION_VALUE_BYTES]) {
    char hex[2 * ROW_ID_BYTES + 1];
    for (size_t i = 0; i < ROW_ID_BYTES; i++) {
        hex[2 * i] = hex_digits[mark->row_id[i] >> 4];
        hex[2 * i + 1] = hex_digits[mark->row_id[i] & 15];
    }
    hex[2 * ROW_ID_BYTES] = '\0';
    int size =
        snprintf(buffer, POSITION_VALUE_BYTES, "{\"row_id\":\"%s\",\"seq\":%lld}", hex, (long long)mark->seq);
    return (struct text){buffer, (size_t)size};
}

static bool hex_read(struct text text, uint8_t *bytes, size_t count) {
    if (text.size != 2 * count)
        return false;
    for (size_t i = 0; i < 2 * count; i++) {
        const char *digit = text.at[i] ? strchr(hex_digits, text.at[i]) : NULL;
        if (!digit)
            return false;
        uint8_t value = (uint8_t)(digit - hex_digits);
        bytes[i / 2] = (uint8_t)(i % 2 ? bytes[i / 2] | value : value << 4);
    }
    return true;
}

enum outcome position_read(struct text key, struct text value, struct arena *arena, struct relay_mark *mark) {
    struct json *root;
    if (!text_present(key) || key.size == 0 || key.size >= RELAY_TOPIC_BYTES)
        return POISON;
    enum json_fault fault = json_parse(value, 1, arena, &root);
    if (fault != JSON_FINE)
        return fault == JSON_NO_MEMORY ? RETRY : POISON;
    const struct json *seq = json_member(root, "seq");
    if (!seq || seq->type != JSON_INTEGER || seq->integer < 1 ||
        !hex_read(json_member_text(root, "row_id"), mark->row_id, ROW_ID_BYTES))
        return POISON;
    mark->topic = arena_text(arena, key);
    mark->seq = seq->integer;
    return text_present(mark->topic) ? OK : RETRY;
}

static struct relay_mark *marks_find(const struct relay_marks *marks, struct text topic) {
    for (size_t i = 0; i < marks->count; i++)
        if (text_equal(marks->at[i].topic, topic))
            return &marks->at[i];
    return NULL;
}

enum outcome position_merge(struct relay_marks *marks, struct text key, struct text value,
                            struct arena *arena, struct err *err) {
    struct relay_mark *known = marks_find(marks, key);
    if (!text_present(value)) {
        if (known)
            *known = marks->at[--marks->count];
        return OK;
    }
    struct relay_mark mark = {.seq = 0};
    enum outcome outcome = position_read(key, value, arena, &mark);
    if (outcome == POISON)
        return err_set(
            err, FATAL, 0,
            "%s holds a record that the relay did not write; see `kundregister producer reconcile`",
            POSITION_TOPIC);
    if (outcome == OK && !known)
        known = ARENA_PUSH(arena, marks);
    if (!known || outcome != OK)
        return arena->reached ? err_set(err, FATAL, 0, "%s holds too many keys", POSITION_TOPIC)
                              : err_set(err, FATAL, ENOMEM, "no memory for the positions");
    *known = mark;
    return OK;
}

enum outcome position_compare(const struct relay_marks *kafka, const bool *same,
                              const struct relay_marks *mirror, struct err *err) {
    for (size_t i = 0; i < kafka->count; i++)
        if (!same[i])
            return err_set(err, FATAL, 0,
                           "the register was restored or has diverged: Kafka's position on %.*s names row "
                           "%lld, which this "
                           "outbox does not hold; run `kundregister producer reconcile`",
                           TEXT_ARGS(kafka->at[i].topic), (long long)kafka->at[i].seq);
    for (size_t i = 0; i < mirror->count; i++) {
        const struct relay_mark *mark = marks_find(kafka, mirror->at[i].topic);
        if (!mark)
            return err_set(
                err, FATAL, 0,
                "Kafka has lost data: it holds no position on %.*s, of which row %lld was published; run "
                "`kundregister producer reconcile`",
                TEXT_ARGS(mirror->at[i].topic), (long long)mirror->at[i].seq);
        if (mark->seq < mirror->at[i].seq)
            return err_set(err, FATAL, 0,
                           "Kafka has lost data: its position on %.*s is row %lld, behind row %lld that was "
                           "published; run "
                           "`kundregister producer reconcile`",
                           TEXT_ARGS(mark->topic), (long long)mark->seq, (long long)mirror->at[i].seq);
    }
    return OK;
}
