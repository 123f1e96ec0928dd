/* Opens employees' commands. */
#include "consumer/command.h"

#include "core/command_seal.h"

#include <stdio.h>

enum outcome command_provide(struct keyring *keyring, struct arena *arena, int64_t now_s, struct err *err) {
    struct key_want want = command_want();
    enum outcome outcome = keyring_provide(keyring, arena, &want, 1, NULL, 0, now_s, err);
    if (outcome == POISON)
        return err_set(err, FATAL, 0,
                       "the vault's ring of commands does not open: it is damaged, or of another "
                       "key-encryption key");
    return outcome;
}

/* Read anew once when the key is not there: another process may have made the ring. */
static enum outcome find_key(struct load *load, struct text bytes, struct seal_key *key, bool *found,
                             struct err *err) {
    struct key_want want = command_want();
    *found = false;
    for (int tries = 0; tries < 2 && !*found; tries++) {
        enum outcome outcome = keyring_load(load->keyring, load->arena, &want, 1, load->now_s, err);
        if (outcome == POISON && !err->sqlstate[0])
            load->park_reason = "damaged_ring";
        if (outcome != OK)
            return outcome;
        *found = keyring_sealed_key(load->keyring, want.person, want.generation, want.category, bytes, key);
    }
    return OK;
}

enum outcome command_take(struct load *load, struct event *event, struct refusal *refusal, struct err *err) {
    uint8_t buffer[COMMAND_SEALED_MOST];
    struct seal_key key = {0};
    struct command_tie tie = {0};
    bool found = false;
    struct text bytes = command_bytes(event->as.tied.sealed, buffer);
    enum outcome outcome = bytes.at ? find_key(load, bytes, &key, &found, err) : OK;
    if (outcome != OK)
        return outcome;
    outcome = found ? command_open(&key, bytes, event->as.tied.request_id, event->version.id, load->arena,
                                   &tie, err)
                    : FATAL;
    secret_wipe(&key, sizeof key);
    if (outcome == OK) {
        event->as.tied.person = tie.person;
    } else if (outcome == RETRY) {
        load->arena_full = true;
    } else {
        *refusal = (struct refusal){.reason = REASON_NOT_SUPPORTED};
        snprintf(refusal->detail, sizeof refusal->detail, "sealed");
        outcome = OK;
    }
    return outcome;
}
