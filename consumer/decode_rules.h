/* What one field cannot tell: conditional fields (17, 18), and the record against its key, the guest rule and
 * the policy (21 to 26). */
#ifndef KR_DECODE_RULES_H
#define KR_DECODE_RULES_H

#include "core/event.h"
#include "core/json_read.h"
#include "core/policy.h"

/* Fields that others make required, and exactly one of several. Judged on the JSON, whatever its fields are
 * worth. */
void rules_conditional(const struct json *data, enum event_type type, struct refusal *refusal);

/* For an event whose data is valid; event->sender is set. */
void rules_crosswise(const struct json *data, const struct record *record, const struct event *event,
                     const struct policy *policy, struct refusal *refusal);

#endif
