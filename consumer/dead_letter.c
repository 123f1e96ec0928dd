/* Dead letters: what the loop adds to those that decide makes. */
#include "consumer/dead_letter.h"
#include "core/outbox_headers.h"
#include <stdio.h>

bool dead_letter_is(const struct output *output) {
    return strcmp(output->type, "register.dead-letter") == 0;
}

struct text dead_letter_headers(const struct output *output, struct arena *arena) {
    return outbox_headers_dead_letter(arena, output->dead.topic, output->dead.partition, output->dead.offset,
                                      output->dead.timestamp_ms);
}

struct refusal dead_letter_refused(const char sqlstate[6]) {
    struct refusal refusal = {.reason = REASON_REFUSED_BY_DATABASE};
    snprintf(refusal.detail, sizeof refusal.detail, "%s", sqlstate);
    return refusal;
}
