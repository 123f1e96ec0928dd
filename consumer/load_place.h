/* What load.c, which asks and reads, and load_place.c, which makes aggregates of rows, share with each other.
 */
#ifndef KR_CONSUMER_LOAD_PLACE_H
#define KR_CONSUMER_LOAD_PLACE_H

#include "consumer/load.h"

struct load_entry {
    uint64_t hash;
    struct text owner, object;
    enum need_kind kind;
    bool used, loaded;
    unsigned wanted; /* NEED_... bits */
    struct loaded_cell *cells;
};

/* RETRY and POISON, with the reason in load. */
enum outcome load_full(struct load *load, struct err *err);
enum outcome load_damaged(struct load *load, const char *reason, struct err *err);
/* The entry of what was asked for; everything that is read was. */
struct load_entry *load_entry_find(struct load *load, enum need_kind kind, struct text owner,
                                   struct text object);
/* This round's rows into the state. Results as load_batch. */
enum outcome load_place_rows(struct load *load, const struct read_rows *rows, struct err *err) MUST_CHECK;

#endif
