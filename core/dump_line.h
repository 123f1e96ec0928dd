/* One aggregate as one line of the dump (SEMANTICS.md, Dump). The same lines prove in tests that two
 * schedules end in the same state. PURE, but for what the caller does to show a cell. */
#ifndef KR_DUMP_LINE_H
#define KR_DUMP_LINE_H

#include "core/decide/state.h"
#include "core/err.h"
#include "core/json_write.h"

/* Gives what stands as a cell's "value", as JSON: a keyed digest in quotes, or the opened content itself.
 * Valid until the next call. */
typedef enum outcome dump_show(void *context, const struct cell *cell, struct text *json);

struct dump {
    struct json_writer *writer;
    dump_show *show;
    void *context;
};

/* Each starts the writer anew and leaves the line in it, without the line feed: json_writer_text. OK, RETRY
 * when memory ran out, or what `show` returned. */
/* A row that is not `absent`. */
enum outcome dump_person(struct dump *dump, const struct person *person) MUST_CHECK;
enum outcome dump_order(struct dump *dump, const struct order *order) MUST_CHECK;
enum outcome dump_shipment(struct dump *dump, const struct shipment *shipment) MUST_CHECK;
enum outcome dump_consent(struct dump *dump, const struct consent *consent) MUST_CHECK;
/* One of the row's permissions. */
enum outcome dump_permission(struct dump *dump, const struct person *person,
                             const struct permission *permission) MUST_CHECK;
/* An entry that is armed. policy NULL: until is not known. */
enum outcome dump_suppression(struct dump *dump, const struct address *address,
                              const struct address_entry *entry, const struct policy *policy) MUST_CHECK;
/* How long such an entry is kept. */
int32_t dump_suppressed_until(const struct address *address, const struct address_entry *entry,
                              const struct policy *policy);
enum outcome dump_request(struct dump *dump, const struct request *request) MUST_CHECK;
/* A tombstone as its row says. */
struct dump_tombstone {
    struct text subject, person, cause;
    struct text categories; /* parted by commas */
    int64_t generation, cut_us;
    bool complete;
};
enum outcome dump_tombstone(struct dump *dump, const struct dump_tombstone *tombstone) MUST_CHECK;

/* How lines are sorted: by kind in the dump's order, then bytewise by their ids. */
int dump_compare_persons(const struct person *a, const struct person *b);
int dump_compare_orders(const struct order *a, const struct order *b);
int dump_compare_shipments(const struct shipment *a, const struct shipment *b);
int dump_compare_consents(const struct consent *a, const struct consent *b);
int dump_compare_permissions(const struct permission *a, const struct permission *b); /* of one row */

#endif
