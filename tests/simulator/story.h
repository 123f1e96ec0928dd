/* What a seed's shop, carriers and customers say: a few persons, a dozen events, at few instants, so that
 * ties, orphans, late and partial ones are the rule. Every personal value carries its event's number between
 * tildes: whatever is found later tells which event it came from. */
#ifndef KR_SIMULATOR_STORY_H
#define KR_SIMULATOR_STORY_H

#include "core/arena.h"
#include "core/ref.h"
#include "core/err.h"
#include "tests/simulator/draw.h"

#define STORY_MOST 24
#define STORY_POLICIES 5
#define STORY_NOW_US                                                                                         \
    INT64_C(1779267600000000) /* 2026-05-20T09:00:00Z: when the first record is published                    \
                               */

/* The topics that a consumer reads; after the shop's the carriers', then the employees'. */
enum story_topic {
    STORY_CUSTOMER,
    STORY_ORDER,
    STORY_SHIPMENT,
    STORY_RETURN,
    STORY_CONSENT,
    STORY_REQUEST,
    STORY_MATKAHUOLTO,
    STORY_POSTI,
    STORY_LETTERHOUSE,
    STORY_COMMAND,
    STORY_TOPICS
};
extern const char *const story_topics[STORY_TOPICS];

struct story_event {
    enum story_topic topic;
    const char *type; /* NULL: a record that is no event, `data` is its value */
    struct text key, id, data;
    int64_t time_us;
    unsigned source, sequence; /* sequence 0: none */
    unsigned number;           /* in the order of making; a second copy has its first one's */
    bool answer;               /* an acknowledgement: key and data come when it is published */
    bool ties;                 /* a command, sealed when it is published; data: to whom */
    /* for the checks: whom its personal values are about ("c1", "recipient:r1"); absent: nobody */
    struct text person;
};

struct story {
    unsigned policy; /* which of them */
    size_t count;
    struct story_event at[STORY_MOST]; /* in the order of publication */
    unsigned partitions;               /* of each of the shop's topics */
    bool ties;                         /* an employee ties a case */
};

/* Texts lie in the arena. */
void story_draw(struct story *story, uint64_t seed, const struct ref_key *key, struct arena *arena);
/* The record's value. */
struct text story_value(const struct story_event *event, struct arena *arena);
/* One line for a person to read. */
void story_tell(const struct story_event *event, char *buffer, size_t room);

#endif
