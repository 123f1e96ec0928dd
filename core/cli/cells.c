/* Opens sealed cells for designated employees and auditors. */
#include "core/cli/cells.h"

#include "core/clock.h"
#include "core/vault.h"

#define RINGS_HELD 4096
#define RINGS_SECONDS 60

int cells_open(struct cells *cells, struct session *session, struct db *reg, enum role role) {
    struct db *vault = NULL;
    uint8_t kek[32] = {0};
    *cells = (struct cells){0};
    int code = session_open(session, CLUSTER_VAULT, role, &vault);
    if (code == EXIT_FINE)
        code = session_schema(session, vault, CLUSTER_VAULT);
    if (code == EXIT_FINE)
        code = session_key(session, session->config.keys.kek_file, "keys.kek.file", kek);
    if (code == EXIT_FINE && vault_check(vault, reg, kek, cells->vault_id, &session->err) != OK)
        code = session_failed(session, &session->err);
    if (code == EXIT_FINE) {
        cells->keyring = keyring_new(&vault_postgres, vault, kek, cells->vault_id, RINGS_HELD, RINGS_SECONDS);
        if (!cells->keyring)
            code = session_refuse(session, EXIT_REFUSED, "out of memory");
    }
    secret_wipe(kek, sizeof(kek));
    return code;
}

void cells_close(struct cells *cells) {
    if (cells->keyring)
        keyring_free(cells->keyring);
    *cells = (struct cells){0};
}

static enum outcome fetch_rings(struct cells *cells, struct arena *arena, const struct sealed *sealed,
                                size_t count, struct err *err) {
    struct key_want *wants = ARENA_ARRAY(arena, struct key_want, count ? count : 1);
    size_t wanted = 0;
    if (!wants)
        return err_set(err, FATAL, 0, "out of memory");
    for (size_t i = 0; i < count; i++) {
        if (text_present(sealed[i].bytes))
            wants[wanted++] = (struct key_want){.person = sealed[i].person,
                                                .generation = sealed[i].generation,
                                                .category = sealed[i].category};
    }
    if (wanted == 0)
        return OK;
    return keyring_load(cells->keyring, arena, wants, wanted, clock_system.monotonic_us(NULL) / 1000000, err);
}

static enum outcome read_one(struct cells *cells, struct arena *arena, struct sealed *sealed,
                             struct err *err) {
    struct seal_key key;
    if (!keyring_sealed_key(cells->keyring, sealed->person, sealed->generation, sealed->category,
                            sealed->bytes, &key))
        return err_set(err, FATAL, 0,
                       "the vault has no key for a cell of %s.%s: it is damaged or was restored; see "
                       "`kundregister doctor --deep`",
                       sealed->place.table, sealed->place.column);
    enum outcome outcome = open_cell(&key, &sealed->place, sealed->bytes, arena, &sealed->plain, err);
    secret_wipe(&key, sizeof(key));
    return outcome;
}

enum outcome cells_read(struct cells *cells, struct arena *arena, struct sealed *sealed, size_t count,
                        size_t *failed, struct err *err) {
    enum outcome outcome = fetch_rings(cells, arena, sealed, count, err);
    if (failed)
        *failed = count;
    for (size_t i = 0; outcome == OK && i < count; i++) {
        if (!text_present(sealed[i].bytes))
            continue;
        outcome = read_one(cells, arena, &sealed[i], err);
        if (outcome != OK && failed)
            *failed = i;
    }
    return outcome;
}
