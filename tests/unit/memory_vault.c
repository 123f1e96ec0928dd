/* A vault in memory: rows in an array, committed at once. */
#include "memory_vault.h"

#include <assert.h>
#include <stdlib.h>

static struct text copy_of(struct text text) {
    char *at = malloc(text.size + 1);
    assert(at && text.at);
    memcpy(at, text.at, text.size);
    at[text.size] = '\0'; /* a test may look through it as a string */
    return (struct text){at, text.size};
}

static void drop(struct text *text) {
    free((char *)(uintptr_t)text->at);
    *text = TEXT_ABSENT;
}

static void ring_drop(struct ring_row *row) {
    drop(&row->person);
    drop(&row->blob);
    drop(&row->transit);
}

void memory_vault_init(struct memory_vault *vault) {
    *vault = (struct memory_vault){0};
}

void memory_vault_release(struct memory_vault *vault) {
    for (size_t i = 0; i < vault->ring_count; i++) {
        ring_drop(&vault->rings[i]);
    }
    for (size_t i = 0; i < vault->lookup_count; i++) {
        drop(&vault->lookups[i].person);
    }
    for (size_t i = 0; i < vault->tombstone_count; i++) {
        drop(&vault->tombstones[i].person);
        drop(&vault->tombstones[i].subject);
        drop(&vault->tombstones[i].body);
    }
    free(vault->rings);
    free(vault->lookups);
    free(vault->tombstones);
    *vault = (struct memory_vault){0};
}

void memory_vault_copy(struct memory_vault *to, const struct memory_vault *from) {
    *to = (struct memory_vault){.ring_count = from->ring_count,
                                .lookup_count = from->lookup_count,
                                .tombstone_count = from->tombstone_count,
                                .counter = from->counter};
    to->rings = calloc(from->ring_count + 1, sizeof(*to->rings));
    to->lookups = calloc(from->lookup_count + 1, sizeof(*to->lookups));
    to->tombstones = calloc(from->tombstone_count + 1, sizeof(*to->tombstones));
    assert(to->rings && to->lookups && to->tombstones);
    for (size_t i = 0; i < from->ring_count; i++) {
        struct ring_row *row = &to->rings[i];
        *row = from->rings[i];
        row->person = copy_of(row->person);
        row->blob = copy_of(row->blob);
        row->transit = copy_of(row->transit);
    }
    for (size_t i = 0; i < from->lookup_count; i++) {
        to->lookups[i] = from->lookups[i];
        to->lookups[i].person = copy_of(to->lookups[i].person);
    }
    for (size_t i = 0; i < from->tombstone_count; i++) {
        struct tombstone_row *row = &to->tombstones[i];
        *row = from->tombstones[i];
        row->person = copy_of(row->person);
        row->subject = copy_of(row->subject);
        row->body = copy_of(row->body);
    }
}

struct ring_row *memory_vault_ring(struct memory_vault *vault, struct text person, int64_t generation) {
    for (size_t i = 0; i < vault->ring_count; i++) {
        if (vault->rings[i].generation == generation && text_equal(vault->rings[i].person, person)) {
            return &vault->rings[i];
        }
    }
    return NULL;
}

void memory_vault_destroy(struct memory_vault *vault, struct text person, int64_t generation) {
    struct ring_row *row = memory_vault_ring(vault, person, generation);
    assert(row);
    ring_drop(row);
    *row = vault->rings[--vault->ring_count];
}

static enum outcome away(int *failures, struct err *err) {
    if (*failures == 0) {
        return OK;
    }
    (*failures)--;
    return err_set(err, RETRY, 0, "the vault is away");
}

static enum outcome memory_fetch(void *from, struct arena *arena, struct ring_row *rows, size_t count,
                                 struct err *err) {
    struct memory_vault *vault = from;
    vault->fetches++;
    vault->fetched_rows += count;
    if (away(&vault->fail_fetches, err) != OK) {
        return RETRY;
    }
    for (size_t i = 0; i < count; i++) {
        const struct ring_row *row = memory_vault_ring(vault, rows[i].person, rows[i].generation);
        rows[i].version = row ? row->version : 0;
        rows[i].blob = row ? arena_text(arena, row->blob) : TEXT_ABSENT;
        rows[i].transit = row ? arena_text(arena, row->transit) : TEXT_ABSENT;
        if (row) {
            memcpy(rows[i].key_id, row->key_id, KEY_ID_BYTES);
        }
    }
    return OK;
}

static bool ring_put(struct memory_vault *vault, const struct ring_row *row) {
    struct ring_row *stored = memory_vault_ring(vault, row->person, row->generation);
    if (row->version == 0 ? stored != NULL
                          : !stored || stored->version != row->version ||
                                memcmp(stored->key_id, row->key_id, KEY_ID_BYTES) != 0) {
        return false;
    }
    if (stored) {
        drop(&stored->blob);
        drop(&stored->transit);
    } else {
        vault->rings = reallocarray(vault->rings, vault->ring_count + 1, sizeof(*vault->rings));
        assert(vault->rings);
        stored = &vault->rings[vault->ring_count++];
        *stored = *row;
        stored->person = copy_of(row->person);
    }
    stored->blob = copy_of(row->blob);
    stored->transit = copy_of(row->transit);
    stored->version = row->version + 1;
    return true;
}

static void lookup_put(struct memory_vault *vault, const struct lookup_row *row) {
    for (size_t i = 0; i < vault->lookup_count; i++) {
        struct lookup_row *stored = &vault->lookups[i];
        if (memcmp(stored->hash, row->hash, sizeof(row->hash)) == 0 &&
            stored->generation == row->generation && text_equal(stored->person, row->person)) {
            stored->time_us = row->time_us < stored->time_us ? row->time_us : stored->time_us;
            stored->latest_us = row->time_us > stored->latest_us ? row->time_us : stored->latest_us;
            return;
        }
    }
    vault->lookups = reallocarray(vault->lookups, vault->lookup_count + 1, sizeof(*vault->lookups));
    assert(vault->lookups);
    vault->lookups[vault->lookup_count] = *row;
    vault->lookups[vault->lookup_count].latest_us = row->time_us;
    vault->lookups[vault->lookup_count++].person = copy_of(row->person);
}

static enum outcome memory_put(void *to, struct arena *arena, const struct ring_row *rows, size_t count,
                               bool *done, const struct lookup_row *lookups, size_t lookup_count,
                               struct err *err) {
    struct memory_vault *vault = to;
    (void)arena;
    vault->puts++;
    if (vault->before_put) {
        vault->before_put(vault, vault->context);
    }
    if (away(&vault->fail_puts_before, err) != OK) {
        return RETRY;
    }
    for (size_t i = 0; i < count; i++) {
        assert(
            i == 0 || text_compare(rows[i - 1].person, rows[i].person) < 0 ||
            (text_equal(rows[i - 1].person, rows[i].person) && rows[i - 1].generation < rows[i].generation));
        done[i] = ring_put(vault, &rows[i]);
    }
    for (size_t i = 0; i < lookup_count; i++) {
        lookup_put(vault, &lookups[i]);
    }
    return away(&vault->fail_puts_after, err);
}

static bool is_stored(struct memory_vault *vault, const struct ring_row *row) {
    const struct ring_row *stored = memory_vault_ring(vault, row->person, row->generation);
    return stored && stored->version == row->version &&
           memcmp(stored->key_id, row->key_id, KEY_ID_BYTES) == 0;
}

struct tombstone_row *memory_vault_tombstone(struct memory_vault *vault, struct text subject) {
    for (size_t i = 0; i < vault->tombstone_count; i++) {
        if (text_equal(vault->tombstones[i].subject, subject)) {
            return &vault->tombstones[i];
        }
    }
    return NULL;
}

static enum outcome memory_tombstones(void *from, struct arena *arena, struct tombstone_row *rows,
                                      size_t count, struct err *err) {
    (void)err;
    for (size_t i = 0; i < count; i++) {
        const struct tombstone_row *stored = memory_vault_tombstone(from, rows[i].subject);
        rows[i].told = stored ? arena_text(arena, stored->body) : TEXT_ABSENT;
    }
    return OK;
}

static void tombstone_put(struct memory_vault *vault, const struct tombstone_row *row) {
    struct tombstone_row *stored = memory_vault_tombstone(vault, row->subject);
    for (size_t i = 0; i < vault->lookup_count; i++) {
        struct lookup_row *lookup = &vault->lookups[i];
        if (text_equal(lookup->person, row->person) && lookup->latest_us <= row->erased_us) {
            drop(&lookup->person);
            *lookup = vault->lookups[--vault->lookup_count];
            i--;
        }
    }
    if (stored && stored->read_us > row->read_us) {
        return;
    }
    if (stored) {
        drop(&stored->person);
        drop(&stored->subject);
        drop(&stored->body);
    } else {
        vault->tombstones =
            reallocarray(vault->tombstones, vault->tombstone_count + 1, sizeof(*vault->tombstones));
        assert(vault->tombstones);
        stored = &vault->tombstones[vault->tombstone_count++];
    }
    *stored = *row;
    stored->person = copy_of(row->person);
    stored->subject = copy_of(row->subject);
    stored->body = copy_of(row->body);
}

static enum outcome memory_destroy(void *from, struct arena *arena, const struct ring_row *rows, size_t count,
                                   const struct tombstone_row *tombstones, size_t tombstone_count,
                                   int64_t *counter, bool *missed, struct err *err) {
    struct memory_vault *vault = from;
    (void)arena;
    vault->destroys++;
    *missed = false;
    if (vault->before_put) {
        vault->before_put(vault, vault->context);
    }
    if (away(&vault->fail_destroys_before, err) != OK) {
        return RETRY;
    }
    for (size_t i = 0; i < count; i++) {
        *missed |= !is_stored(vault, &rows[i]);
    }
    if (*missed) {
        return OK;
    }
    for (size_t i = 0; i < count; i++) {
        if (text_present(rows[i].blob)) {
            (void)ring_put(vault, &rows[i]);
        } else {
            memory_vault_destroy(vault, rows[i].person, rows[i].generation);
        }
    }
    for (size_t i = 0; i < tombstone_count; i++) {
        tombstone_put(vault, &tombstones[i]);
    }
    *counter = ++vault->counter;
    return away(&vault->fail_destroys_after, err);
}

const struct vault_ops memory_vault_ops = {
    .fetch = memory_fetch, .put = memory_put, .tombstones = memory_tombstones, .destroy = memory_destroy};
