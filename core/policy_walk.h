/* Walking a policy's JSON: readers of single values, each of which complains with its path and goes on.
 * Inside core/policy*.c only. */
#ifndef KR_POLICY_WALK_H
#define KR_POLICY_WALK_H

#include "core/json_read.h"
#include "core/policy.h"

struct policy_walk {
    struct policy *policy;
    policy_complain *complain;
    void *context;
    int mistakes;
    char path[400];
    size_t path_size;
};

/* ---- complaints and the path ---- */

/* Complains of the value at the path that the walk stands at. */
void walk_complain(struct policy_walk *walk, const char *format, ...) PRINTF_LIKE(2, 3);
/* Complains of something below it: ".clock", "[2]". */
void walk_complain_below(struct policy_walk *walk, const char *below, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* Steps into a member or an item; returns what walk_back takes to step out again. */
size_t walk_into(struct policy_walk *walk, struct text key);
size_t walk_into_item(struct policy_walk *walk, size_t index);
void walk_back(struct policy_walk *walk, size_t mark);

/* ---- objects by table ---- */

/* Reads one value to `into`. */
typedef void walk_reader(struct policy_walk *walk, const struct json *value, void *into);

enum walk_need { WALK_OPTIONAL, WALK_NEEDED };
struct walk_member {
    const char *key;
    enum walk_need need;
    walk_reader *read;
    size_t offset; /* of `into` from the base */
};

/* Reads an object by its table: a member that the table does not name, a needed one that is missing and a
 * value that is no object are mistakes. False when it is no object. */
bool walk_object(struct policy_walk *walk, const struct json *value, const struct walk_member *members,
                 size_t count, void *base);
#define WALK_OBJECT(walk, value, members, base)                                                              \
    walk_object((walk), (value), (members), sizeof(members) / sizeof(*(members)), (base))

/* Steps into each member of a map whose keys are names of the policy's own: at most `room` of them. */
bool walk_map(struct policy_walk *walk, const struct json *value, size_t room,
              void (*each)(struct policy_walk *walk, const struct json *member, void *into), void *into);

/* ---- single values ---- */

walk_reader walk_text;         /* struct text: 1 to 500 bytes */
walk_reader walk_text_or_null; /* struct text, absent for null */
walk_reader walk_bool;         /* bool */
walk_reader walk_term;         /* struct term: longer than nothing */
walk_reader walk_days;         /* the same without hours */
walk_reader walk_country;      /* struct text: ISO 3166-1 alpha-2 */

/* Which of the names (ended by NULL) it is; -1 after a complaint that lists them. */
int walk_choice(struct policy_walk *walk, const struct json *value, const char *const *names);
/* A list of different texts, at least one, out of `names` (ended by NULL; NULL allows any). Returns how many.
 */
size_t walk_list(struct policy_walk *walk, const struct json *value, struct text *into, size_t room,
                 const char *const *names);
/* Is it of that type? Else a complaint. */
bool walk_is(struct policy_walk *walk, const struct json *value, enum json_type type);
/* a-z, 0-9, _ and -, beginning with a letter or digit: what may stand in a topic's name. */
bool walk_name_is_plain(struct text name);
/* True when the term never ends later than the limit, whatever the day that it starts on. */
bool walk_term_within(const struct term *term, const struct term *limit);

/* ---- the parts of the file ---- */

walk_reader policy_read_categories; /* struct policy */
walk_reader policy_read_purposes;
walk_reader policy_read_recipients;
walk_reader policy_read_marketing;
/* What only the whole can tell: names that must exist, fields that must be held. */
void policy_check_whole(struct policy_walk *walk, const struct json *root);

#endif
