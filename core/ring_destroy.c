/* Rings without the keys that shall be destroyed. */
#include "core/ring.h"

#include <assert.h>
#include <errno.h>

static bool same_ring(const struct key_doom *doom, const struct ring_row *ring) {
    return doom->generation == ring->generation && text_equal(doom->person, ring->person);
}

size_t ring_doomed(const struct key_doom *dooms, size_t doom_count, struct ring_row *rings) {
    size_t count = 0;
    for (size_t i = 0; i < doom_count; i++) {
        if (count && same_ring(&dooms[i], &rings[count - 1])) {
            continue;
        }
        int order = count ? text_compare(rings[count - 1].person, dooms[i].person) : -1;
        assert(order < 0 || (order == 0 && rings[count - 1].generation < dooms[i].generation));
        rings[count++] = (struct ring_row){.person = dooms[i].person, .generation = dooms[i].generation};
    }
    return count;
}

static enum outcome no_memory(struct err *err) {
    return err_set(err, RETRY, ENOMEM, "the key rings do not fit into the batch's memory");
}

/* One ring. *changed false: it holds nothing that is doomed. */
static enum outcome rewrite(const struct ring_wrapping *wrapping, struct arena *arena, struct ring_row *ring,
                            const struct key_doom *dooms, size_t count, bool *changed, struct err *err) {
    struct ring_keys cells = {0}, transit = {0};
    *changed = false;
    enum outcome outcome =
        ring_unwrap(wrapping->cells_key, RING_CELLS, wrapping->vault_id, ring, ring->blob, &cells);
    if (outcome == OK) {
        outcome = ring_unwrap(wrapping->transit_key, RING_TRANSIT, wrapping->vault_id, ring, ring->transit,
                              &transit);
    }
    if (outcome != OK) {
        outcome =
            outcome == RETRY
                ? no_memory(err)
                : err_set(err, POISON, 0,
                          "a key ring in the vault does not open, so that its keys cannot be destroyed");
        goto out;
    }
    for (size_t i = 0; i < count; i++) {
        *changed |= ring_keys_drop(&cells, dooms[i].category, dooms[i].cells);
        *changed |= ring_keys_drop(&transit, dooms[i].category, dooms[i].transit);
    }
    if (!*changed) {
        goto out;
    }
    ring->blob = ring->transit = TEXT_ABSENT;
    if (!cells.count && !transit.count) {
        goto out;
    }
    ring->blob =
        ring_wrap(wrapping->cells_key, RING_CELLS, wrapping->vault_id, ring, &cells, wrapping->random, arena);
    ring->transit = ring_wrap(wrapping->transit_key, RING_TRANSIT, wrapping->vault_id, ring, &transit,
                              wrapping->random, arena);
    if (!ring->blob.at || !ring->transit.at) {
        outcome = no_memory(err);
    }
out:
    ring_keys_release(&cells);
    ring_keys_release(&transit);
    return outcome;
}

enum outcome ring_destroy(const struct ring_wrapping *wrapping, struct arena *arena,
                          const struct ring_row *fetched, size_t count, const struct key_doom *dooms,
                          size_t doom_count, struct ring_row *rewritten, size_t *rewritten_count,
                          struct err *err) {
    size_t from = 0;
    *rewritten_count = 0;
    for (size_t i = 0; i < count; i++) {
        size_t to = from;
        while (to < doom_count && same_ring(&dooms[to], &fetched[i])) {
            to++;
        }
        bool changed = false;
        rewritten[*rewritten_count] = fetched[i];
        enum outcome outcome = fetched[i].version ? rewrite(wrapping, arena, &rewritten[*rewritten_count],
                                                            dooms + from, to - from, &changed, err)
                                                  : OK;
        if (outcome != OK) {
            return outcome;
        }
        *rewritten_count += changed;
        from = to;
    }
    return OK;
}
