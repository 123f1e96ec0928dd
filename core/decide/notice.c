/* What recipients answer to notices. */
#include "core/decide/effect.h"

/* The recipient's own words are kept as long as the ledger that holds the notice. */
static enum outcome keep_ground(struct decision *decision, struct notice *notice, struct text ground) {
    struct json_writer *writer = decision->writer;
    json_writer_reset(writer);
    json_object(writer);
    json_key(writer, "ground");
    json_text(writer, ground);
    json_object_end(writer);
    struct text content = json_writer_take(writer, decision->arena);
    if (!text_present(content))
        return RETRY;
    struct clocks clocks = clocks_none();
    clocks.at_us[CLOCK_DISCLOSED] = clocks.at_us[CLOCK_RECORDED] = notice->caused_us;
    cell_write(&notice->ground, content);
    cell_keep_until(&notice->ground, policy_until(decision->policy, CATEGORY_LEDGER, &clocks, NULL, 0));
    return OK;
}

enum outcome notice_answered(struct decision *decision, const struct event *event,
                             const struct ref_entry *entry) {
    struct notice *notice = state_notice(decision->state, entry->customer_id, entry->object_id);
    if (!notice)
        return RETRY;
    assert(text_present(notice->recipient)); /* a notice's ref is known only with its notice */
    decision->second_facts += second_fact(&notice->answer, &event->version);
    if (version_compare(&event->version, &notice->answer) <= 0)
        return OK;
    notice->answer = event->version;
    notice->outcome = event->as.ack.outcome;
    notice->retained_until = DATE_NONE;
    notice->touched = true;
    TRY(person_touch(decision, notice->person, notice->generation));
    if (event->as.ack.outcome != ACK_RETAINED) {
        cell_drop(&notice->ground);
        return OK;
    }
    bool is_date = date_parse(event->as.ack.until, &notice->retained_until);
    assert(is_date); /* decode has checked it */
    (void)is_date;
    return keep_ground(decision, notice, event->as.ack.ground);
}
