/* `dump`: the register's state as canonical JSON lines, from one snapshot beside live work. */
#include "core/cli/command.h"
#include "core/cli/walk.h"
#include "core/clock.h"

#include <unistd.h>

#define PROGRESS_FIRST_US 2000000
#define PROGRESS_EVERY_US 500000

struct progress {
    int64_t began_us, shown_us;
    bool shows;
};

static bool print_line(void *context, struct text line) {
    (void)context;
    return fwrite(line.at, 1, line.size, stdout) == line.size && putc('\n', stdout) != EOF;
}

/* On a terminal, once it turns out to be long. The estimate is PostgreSQL's, so the end may come earlier or
 * later. */
static void show_progress(void *context, uint64_t rows, uint64_t expected) {
    struct progress *progress = context;
    int64_t now = clock_system.monotonic_us(NULL), gone = now - progress->began_us;
    if (!progress->shows || gone < PROGRESS_FIRST_US || now - progress->shown_us < PROGRESS_EVERY_US)
        return;
    progress->shown_us = now;
    if (expected > rows)
        fprintf(stderr, "\r%llu of about %llu rows, about %lld s left  ", (unsigned long long)rows,
                (unsigned long long)expected,
                (long long)((double)gone / 1e6 / (double)rows * (double)(expected - rows)));
    else
        fprintf(stderr, "\r%llu rows                              ", (unsigned long long)rows);
}

int command_dump(struct session *session, const struct arguments *arguments) {
    struct progress progress = {.began_us = clock_system.monotonic_us(NULL),
                                .shows = isatty(STDERR_FILENO) != 0};
    struct cells cells = {0};
    uint8_t digest_key[32] = {0};
    bool open = argument_given(arguments, "open");
    enum role role = open ? ROLE_CLERK : ROLE_AUDITOR;
    struct walk walk = {.session = session,
                        .cells = &cells,
                        .notices = argument_given(arguments, "notices"),
                        .line = print_line,
                        .progress = show_progress,
                        .context = &progress};
    if (open && !argument_given(arguments, "reason")) {
        fprintf(stderr, "kundregister: --open shows personal data: --reason TEXT is needed with it\n");
        return EXIT_USAGE;
    }
    int code = session_open(session, CLUSTER_REGISTER, role, &walk.reg);
    if (code == EXIT_FINE)
        code = session_schema(session, walk.reg, CLUSTER_REGISTER);
    if (code == EXIT_FINE && !open) {
        code = session_key(session, session->config.keys.digest_file, "keys.digest.file", digest_key);
        walk.digest_key = digest_key;
    }
    if (code == EXIT_FINE)
        code = session_audit(session, walk.reg, open ? "dump open" : "dump", NULL,
                             argument(arguments, "reason"), NULL);
    if (code == EXIT_FINE)
        code = cells_open(&cells, session, walk.reg, role);
    if (code == EXIT_FINE)
        code = walk_run(&walk);
    if (progress.shown_us)
        fputc('\n', stderr);
    if (code == EXIT_FINE && fflush(stdout) != 0)
        code = session_refuse(session, EXIT_OUTPUT, "cannot print the dump");
    cells_close(&cells);
    secret_wipe(digest_key, sizeof(digest_key));
    return code;
}
