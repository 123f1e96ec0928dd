/* What differs by kind of row when the register is gone through: how it is read, which cells it has, which
 * lines it makes. For walk.c. */
#ifndef KR_WALK_ROWS_H
#define KR_WALK_ROWS_H

#include "core/cli/walk.h"
#include "core/dump_line.h"

#define WALK_CELLS_MOST 3

/* An aggregate as its row says, and its cells before they are opened. */
struct walk_met {
    union {
        struct person person;
        struct order order;
        struct shipment shipment;
        struct notice notice;
        struct consent consent;
        struct address address;
        struct request request;
        struct dump_tombstone tombstone;
    } as;
    struct text
        disclosed; /* of a notice: shipment, service and role of each disclosure, in control characters */
    struct cell *cell[WALK_CELLS_MOST];
    size_t cells;
};

struct walk_kind {
    const struct query *declare, *fetch;
    enum outcome (*take)(struct walk *walk, const struct db_result *result, size_t row, struct walk_met *met,
                         struct sealed *sealed, struct err *err);
    /* Gives its lines to walk->line. */
    enum outcome (*write)(struct walk *walk, const struct walk_met *met);
    int (*order)(const void *a, const void *b); /* of met, where SQL cannot tell; NULL: as they come */
    bool notices;                               /* only when notices are asked for */
};

/* In the dump's order; ended by one that declares nothing. */
extern const struct walk_kind walk_kinds[];

#endif
