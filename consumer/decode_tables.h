/* What each event type's data holds: one table of fields a type, as events.json lists them. Constant. */
#ifndef KR_DECODE_TABLES_H
#define KR_DECODE_TABLES_H

#include "core/event.h"

#include <stddef.h>

/* How a field is judged and where it goes. */
enum kind {
    KIND_ID,          /* most: length */
    KIND_CUSTOMER_ID, /* an id that names no recipient */
    KIND_REF,
    KIND_SEALED, /* base64url without padding; most: characters */
    KIND_TEXT,   /* most: code points */
    KIND_COUNTRY,
    KIND_CURRENCY,
    KIND_PHONE,
    KIND_EMAIL,
    KIND_HASH,
    KIND_DATE,
    KIND_CHOICE,  /* one of choices, kept as text */
    KIND_ENUM,    /* one of choices, kept as its index in an unsigned */
    KIND_BOOL_OF, /* one of two choices, kept as bool */
    KIND_INTEGER, /* least to most */
    KIND_BOOL,    /* */
    KIND_OBJECT,  /* members */
    KIND_CONTACT, /* an object whose members may be null where the event may clear them */
    KIND_LINES,   /* an array of 1 to 500 objects */
    KIND_DROPPED, /* an id that is judged and not kept */
};

struct field {
    struct text name;
    enum kind kind;
    bool required;
    size_t offset;       /* in the struct that the table is of */
    size_t flag_offset;  /* of a bool that says the field was there; 0 = none */
    size_t count_offset; /* KIND_LINES */
    int64_t least, most;
    const char *const *choices;
    size_t choice_count;
    const struct fields *members;
};

struct fields {
    const struct field *at;
    size_t count;
};

/* Each table is sorted by name, so that one walk over it writes canonical JSON. */
extern const struct fields decode_tables[EVENT_INPUT_TYPES];

#endif
