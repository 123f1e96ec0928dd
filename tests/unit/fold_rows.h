/* Load and store of the register in memory: what the fold's files share. */
#ifndef KR_FOLD_ROWS_H
#define KR_FOLD_ROWS_H

#include "tests/unit/fold.h"

struct asked {
    struct need need;
    bool news; /* not loaded yet, or not all of its cells */
};
struct loading {
    struct fold *fold;
    struct state *state;
    LIST(struct asked) asked;
    bool waits; /* the event just asked met something that is not loaded yet */
};
#define MISSED_MOST 16
/* Refs that decide made known without asking for their rows. */
struct missed {
    bool again;
    char refs[MISSED_MOST][REF_CHARS + 1];
    size_t count;
};
/* True when there are such more: nothing may be written. */
bool fold_missed(struct fold *fold, const struct decision *decision, struct missed *missed);

/* To be read in any case, with the first round. */
void fold_ask_ref(struct loading *loading, struct text ref);
/* All that the events need. */
void fold_load(struct loading *loading, const struct event *const *events, size_t count);
/* Writes whatever is touched, and fails the test when a row was not loaded or its guard is not written. */
void fold_store(struct fold *fold, const struct decision *decision);
/* Where the parked event stands under its ref, or the count. */
size_t fold_find_parked(const struct ref_entry *row, const struct event *event);

#endif
