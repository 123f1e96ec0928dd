/* What the vault keeps of an erased person, as JSON. */
#include "consumer/erase.h"
#include "core/decide/pack.h"
#include "core/json_read.h"
#include "core/term.h"
#include <errno.h>
#include <stdlib.h>

static enum outcome unpacked(struct arena *arena, struct text merge, struct person *person, struct err *err) {
    *person = (struct person){.generation = GENERATION_FIRST};
    enum outcome outcome = text_present(merge) ? unpack_person(merge, arena, person, err) : OK;
    return outcome == FATAL ? POISON : outcome;
}

static enum outcome full(struct err *err) {
    return err_set(err, RETRY, ENOMEM, "the erasures do not fit the batch's memory");
}

enum outcome erase_hashes(struct arena *arena, struct text merge, struct text **hashes, size_t *count,
                          size_t *room, struct err *err) {
    struct person person;
    enum outcome outcome = unpacked(arena, merge, &person, err);
    for (size_t i = 0; outcome == OK && i < person.facts.addresses.count; i++) {
        struct text *hash = arena_grow(arena, (void **)hashes, count, room, sizeof **hashes);
        if (!hash)
            return full(err);
        *hash = person.facts.addresses.at[i].hash;
    }
    return outcome;
}

static void put_time(struct json_writer *writer, int64_t instant_us) {
    char buffer[28];
    instant_write(instant_us, buffer);
    json_string(writer, buffer);
}

/* One element a cut and category. What waits is delivery; all else goes at the act. */
static void put_cut(struct json_writer *writer, const struct erase_cut *cut) {
    const char *at = cut->categories.at, *end = at + cut->categories.size;
    while (at < end) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        struct text category = {at, (size_t)((comma ? comma : end) - at)};
        json_object(writer);
        json_key(writer, "category");
        json_text(writer, category);
        json_key(writer, "cause");
        json_text(writer, cut->cause);
        json_key(writer, "complete");
        json_bool(writer, cut->complete || !text_is(category, "delivery"));
        json_key(writer, "cut");
        put_time(writer, cut->cut_us);
        if (cut->generation != GENERATION_FIRST) {
            json_key(writer, "generation");
            put_time(writer, cut->generation);
        }
        json_object_end(writer);
        at = comma ? comma + 1 : end;
    }
}

static int by_hash(const void *key, const void *item) {
    return text_compare(*(const struct text *)key, ((const struct erase_address *)item)->hash);
}

/* What arms the hash, as far as it is known by now: his objections, his withdrawals. */
static enum outcome arms_of(struct arena *arena, struct text person, const struct erase_address *row,
                            struct address_entry *arms, struct err *err) {
    struct address address = {.hash = row->hash};
    enum outcome outcome = unpack_address(row->merge, arena, &address, err);
    for (size_t i = 0; outcome == OK && i < address.entries.count; i++)
        if (text_equal(address.entries.at[i].person, person))
            *arms = address.entries.at[i];
    return outcome == FATAL ? POISON : outcome;
}

static void put_fact(struct json_writer *writer, const struct address_fact *fact, int64_t erased_us,
                     const struct address_entry *arms) {
    json_object(writer);
    json_key(writer, "hash");
    json_text(writer, fact->hash);
    json_key(writer, "kind");
    json_string(writer, fact->field == EMAIL ? "email" : "phone");
    if (arms->objected_first_us != TIME_NONE) {
        json_key(writer, "objected");
        json_array(writer);
        put_time(writer, arms->objected_first_us);
        if (arms->objected_last_us != arms->objected_first_us)
            put_time(writer, arms->objected_last_us);
        json_array_end(writer);
    }
    json_key(writer, "times");
    json_array(writer);
    for (size_t i = 0; i < fact->times.count && fact->times.at[i] <= erased_us; i++)
        put_time(writer, fact->times.at[i]);
    json_array_end(writer);
    if (arms->withdrawn_us != TIME_NONE) {
        json_key(writer, "withdrawn");
        put_time(writer, arms->withdrawn_us);
    }
    json_object_end(writer);
}

static const char *const told_keys[] = {"hash", "kind", "objected", "times", "withdrawn"};

static void put_again(struct json_writer *writer, const struct json *value) {
    if (value->type != JSON_ARRAY) {
        json_text(writer, value->text);
        return;
    }
    json_array(writer);
    for (const struct json *item = value->first; item; item = item->next)
        json_text(writer, item->text);
    json_array_end(writer);
}

/* Hashes that the vault was told of before and the register knows no more. */
static enum outcome put_told(struct json_writer *writer, struct arena *arena,
                             const struct person_facts *facts, int64_t erased_us, struct text told,
                             struct err *err) {
    struct json *root = NULL;
    enum json_fault fault = text_present(told) ? json_parse(told, 0, arena, &root) : JSON_FINE;
    if (fault == JSON_NO_MEMORY)
        return full(err);
    const struct json *known = json_member(root, "suppression");
    for (const struct json *one = known ? known->first : NULL; one; one = one->next) {
        struct text hash = json_member_text(one, "hash");
        bool again = false;
        for (size_t i = 0; i < facts->addresses.count; i++)
            again |= text_equal(facts->addresses.at[i].hash, hash) && facts->addresses.at[i].times.count &&
                     facts->addresses.at[i].times.at[0] <= erased_us;
        if (again)
            continue;
        json_object(writer);
        for (size_t i = 0; i < sizeof told_keys / sizeof *told_keys; i++) {
            const struct json *member = json_member(one, told_keys[i]);
            if (!member)
                continue;
            json_key(writer, told_keys[i]);
            put_again(writer, member);
        }
        json_object_end(writer);
    }
    return OK;
}

/* The hashes that he had up to his last cut. */
static enum outcome put_suppression(struct json_writer *writer, struct arena *arena, struct text person,
                                    const struct person_facts *facts, int64_t erased_us,
                                    const struct erase_address *addresses, size_t address_count,
                                    struct text told, struct err *err) {
    enum outcome outcome = OK;
    json_key(writer, "suppression");
    json_array(writer);
    for (size_t i = 0; outcome == OK && i < facts->addresses.count; i++) {
        const struct address_fact *fact = &facts->addresses.at[i];
        struct address_entry arms = {
            .objected_first_us = TIME_NONE, .objected_last_us = TIME_NONE, .withdrawn_us = TIME_NONE};
        if (!fact->times.count || fact->times.at[0] > erased_us)
            continue;
        const struct erase_address *row =
            address_count ? bsearch(&fact->hash, addresses, address_count, sizeof *addresses, by_hash) : NULL;
        if (row)
            outcome = arms_of(arena, person, row, &arms, err);
        if (outcome == OK)
            put_fact(writer, fact, erased_us, &arms);
    }
    if (outcome == OK)
        outcome = put_told(writer, arena, facts, erased_us, told, err);
    json_array_end(writer);
    return outcome;
}

enum outcome erase_body(struct json_writer *writer, struct arena *arena, const struct erase_cut *cuts,
                        size_t count, struct text merge, const struct erase_address *addresses,
                        size_t address_count, struct tombstone_row *row, struct err *err) {
    struct person person;
    enum outcome outcome = unpacked(arena, merge, &person, err);
    if (outcome != OK)
        return outcome;
    row->person = cuts[0].person;
    row->subject = cuts[0].subject;
    row->erased_us = TIME_NONE;
    json_writer_reset(writer);
    json_object(writer);
    json_key(writer, "erasures");
    json_array(writer);
    for (size_t i = 0; i < count; i++) {
        if (!cuts[i].valid)
            continue;
        put_cut(writer, &cuts[i]);
        row->erased_us = cuts[i].cut_us > row->erased_us ? cuts[i].cut_us : row->erased_us;
    }
    json_array_end(writer);
    json_key(writer, "subject");
    json_text(writer, row->subject);
    outcome = put_suppression(writer, arena, row->person, &person.facts, row->erased_us, addresses,
                              address_count, row->told, err);
    json_object_end(writer);
    if (outcome != OK)
        return outcome;
    row->body = json_writer_take(writer, arena);
    return text_present(row->body) ? OK : full(err);
}
