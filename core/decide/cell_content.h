/* The content of cells: canonical JSON (RFC 8785) written from events, and taken apart again without being
 * parsed. What is read here was written here and then sealed: it is canonical already, so that a member can
 * be cut out as it stands and put into another document unchanged. PURE. */
#ifndef KR_DECIDE_CELL_CONTENT_H
#define KR_DECIDE_CELL_CONTENT_H

#include "core/event.h"
#include "core/json_write.h"
#include "core/policy.h"
#include "core/text.h"

/* A flat contact, its values as JSON: indexed by enum policy_field, the contact's fields and pickup_point. */
#define FLAT_FIELDS (FIELD_PICKUP_POINT + 1)
struct flat {
    struct text json[FLAT_FIELDS]; /* absent: no value */
};
/* Those fields in the order in which canonical JSON has them. */
extern const enum policy_field flat_order[FLAT_FIELDS];

/* Cuts a flat contact into its values; an absent content has none. */
void flat_read(struct text content, struct flat *flat);
/* Writes the object of those of its fields that are in `fields`; with_nulls: also those without value, as
 * null. */
void flat_write(struct json_writer *writer, const struct flat *flat, field_set fields, bool with_nulls);
/* Writes an event's contact (pickup_point may be absent), only the named fields that have a value. */
void contact_write(struct json_writer *writer, const struct contact *contact, struct text pickup_point,
                   field_set fields);

/* The member's value as JSON, or TEXT_ABSENT. */
struct text content_member(struct text object, const char *name);
/* Several at once: values[i] is that of names[i]. */
void content_members(struct text object, const char *const *names, struct text *values, size_t count);
/* The array's next item as JSON. *position starts at 0; false after the last. */
bool content_item(struct text array, size_t *position, struct text *item);

#endif
