/* The erasing loop's place in a worker's turn, and how its failures show. */
#include "consumer/consume.h"
#include "consumer/settle.h"
#include "core/log.h"
#include "core/metrics.h"

enum outcome consume_erase(struct consumer *consumer, struct err *err) {
    struct erase *erase = &consumer->erase;
    if (!consumer->calendar.mine || !consumer->setup.reg_ops->is_open(consumer->setup.reg)) {
        if (erase->vault_away)
            consumer->away &= ~(unsigned)CONSUME_VAULT_AWAY;
        erase_rest(erase);
        return OK;
    }
    bool was_away = erase->vault_away;
    enum outcome outcome = erase_turn(erase, &consumer->arena, err);
    if (was_away && !erase->vault_away)
        consumer->away &= ~(unsigned)CONSUME_VAULT_AWAY;
    if (outcome != RETRY)
        return outcome;
    bool is_open = consumer->setup.reg_ops->is_open(consumer->setup.reg);
    consumer->away |= !is_open ? CONSUME_REGISTER_AWAY : erase->vault_away ? CONSUME_VAULT_AWAY : 0;
    metrics_add(METRIC_RETRIES, erase->vault_away ? AWAY_VAULT : AWAY_REGISTER, 1);
    log_write(LOG_WARNING, "erasures_wait", "Keys that are to be destroyed wait: something is away.",
              LOG_ERR(err));
    if (!is_open)
        settle_abandon(consumer);
    return OK;
}

void consume_erase_rest(struct consumer *consumer) {
    struct erase *erase = &consumer->erase;
    struct err err;
    if (!consumer->calendar.mine || !erase->ops)
        return;
    erase_rest(erase);
    while (erase_busy(erase) && consumer->calendar.mine && !erase->failures)
        if (consume_erase(consumer, &err) != OK)
            return;
}
