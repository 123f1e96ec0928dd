/* Load and store of the register in memory: what the fold's files share. */
#ifndef KR_FOLD_ROWS_H
#define KR_FOLD_ROWS_H

#include "tests/unit/fold.h"

struct loading {
    struct fold *fold;
    struct state *state;
    bool news;
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

/* A need_touch; its context is a struct loading. */
enum outcome fold_load(void *context, const struct need *need);
/* Writes whatever is touched, and fails the test when a row was not loaded or its guard is not written. */
void fold_store(struct fold *fold, const struct decision *decision);
/* Where the parked event stands under its ref, or the count. */
size_t fold_find_parked(const struct ref_entry *row, const struct event *event);

#endif
