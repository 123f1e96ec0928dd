/* What the vault keeps of an erased person, as JSON. */
#include "consumer/erase.h"
#include "core/decide/pack.h"
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
        if (cut->generation != GENERATION_FIRST) {
            json_key(writer, "generation");
            put_time(writer, cut->generation);
        }
        json_key(writer, "category");
        json_text(writer, category);
        json_key(writer, "cut");
        put_time(writer, cut->cut_us);
        json_key(writer, "cause");
        json_text(writer, cut->cause);
        json_key(writer, "complete");
        json_bool(writer, cut->complete || !text_is(category, "delivery"));
        json_object_end(writer);
        at = comma ? comma + 1 : end;
    }
}

static int by_hash(const void *key, const void *item) {
    return text_compare(*(const struct text *)key, ((const struct erase_address *)item)->hash);
}

/* What arms the hash, as far as it is known by now: his objections, his withdrawals. */
static enum outcome put_arms(struct json_writer *writer, struct arena *arena, struct text person,
                             const struct erase_address *row, struct err *err) {
    struct address address = {.hash = row->hash};
    enum outcome outcome = unpack_address(row->merge, arena, &address, err);
    for (size_t i = 0; outcome == OK && i < address.entries.count; i++) {
        const struct address_entry *entry = &address.entries.at[i];
        if (!text_equal(entry->person, person))
            continue;
        if (entry->objected_first_us != TIME_NONE) {
            json_key(writer, "objected");
            json_array(writer);
            put_time(writer, entry->objected_first_us);
            if (entry->objected_last_us != entry->objected_first_us)
                put_time(writer, entry->objected_last_us);
            json_array_end(writer);
        }
        if (entry->withdrawn_us != TIME_NONE) {
            json_key(writer, "withdrawn");
            put_time(writer, entry->withdrawn_us);
        }
    }
    return outcome == FATAL ? POISON : outcome;
}

/* The hashes that he had up to his last cut. */
static enum outcome put_suppression(struct json_writer *writer, struct arena *arena, struct text person,
                                    const struct person_facts *facts, int64_t erased_us,
                                    const struct erase_address *addresses, size_t address_count,
                                    struct err *err) {
    enum outcome outcome = OK;
    json_key(writer, "suppression");
    json_array(writer);
    for (size_t i = 0; outcome == OK && i < facts->addresses.count; i++) {
        const struct address_fact *fact = &facts->addresses.at[i];
        if (!fact->times.count || fact->times.at[0] > erased_us)
            continue;
        json_object(writer);
        json_key(writer, "hash");
        json_text(writer, fact->hash);
        json_key(writer, "kind");
        json_string(writer, fact->field == EMAIL ? "email" : "phone");
        json_key(writer, "times");
        json_array(writer);
        for (size_t k = 0; k < fact->times.count && fact->times.at[k] <= erased_us; k++)
            put_time(writer, fact->times.at[k]);
        json_array_end(writer);
        const struct erase_address *row =
            address_count ? bsearch(&fact->hash, addresses, address_count, sizeof *addresses, by_hash) : NULL;
        if (row)
            outcome = put_arms(writer, arena, person, row, err);
        json_object_end(writer);
    }
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
    json_key(writer, "subject");
    json_text(writer, row->subject);
    json_key(writer, "erasures");
    json_array(writer);
    for (size_t i = 0; i < count; i++) {
        if (!cuts[i].valid)
            continue;
        put_cut(writer, &cuts[i]);
        row->erased_us = cuts[i].cut_us > row->erased_us ? cuts[i].cut_us : row->erased_us;
    }
    json_array_end(writer);
    outcome = put_suppression(writer, arena, row->person, &person.facts, row->erased_us, addresses,
                              address_count, err);
    json_object_end(writer);
    if (outcome != OK)
        return outcome;
    row->body = json_writer_take(writer, arena);
    return text_present(row->body) ? OK : full(err);
}
