/* `consumer run`, `restore reconcile`, `producer run` and `producer reconcile`: becomes the program beside
 * this one, as git runs git-foo. */
#include "core/cli/command.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define ARGUMENTS_MAX 64

/* The directory of this program, links followed, so that a link in some PATH finds the others too. */
static bool sibling(const char *name, char path[PATH_MAX]) {
    char self[PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (size <= 0)
        return false;
    self[size] = '\0';
    char *slash = strrchr(self, '/');
    int written = slash ? snprintf(path, PATH_MAX, "%.*s/%s", (int)(slash - self), self, name) : -1;
    return written > 0 && written < PATH_MAX;
}

static int become(struct session *session, const char *name, const char *first, char **rest) {
    char path[PATH_MAX];
    char program[64], word[16];
    char *argv[ARGUMENTS_MAX + 3];
    int count = 0;
    snprintf(program, sizeof(program), "%s", name);
    argv[count++] = program;
    if (first) {
        snprintf(word, sizeof(word), "%s", first);
        argv[count++] = word;
    }
    for (; *rest; rest++) {
        if (count >= ARGUMENTS_MAX)
            return session_refuse(session, EXIT_USAGE, "too many arguments");
        argv[count++] = *rest;
    }
    argv[count] = NULL;
    signal(SIGPIPE, SIG_DFL);
    if (!sibling(name, path))
        return session_refuse(session, EXIT_REFUSED, "cannot tell where this program lies");
    execv(path, argv);
    return session_refuse(session, EXIT_REFUSED, "cannot run %s beside this program: %s", name,
                          strerror(errno));
}

int command_consumer_run(struct session *session, const struct arguments *arguments) {
    return become(session, "kundregister-consumer", NULL, arguments->rest);
}

int command_restore_reconcile(struct session *session, const struct arguments *arguments) {
    return become(session, "kundregister-consumer", "reconcile", arguments->rest);
}

int command_producer_run(struct session *session, const struct arguments *arguments) {
    return become(session, "kundregister-producer", NULL, arguments->rest);
}

int command_producer_reconcile(struct session *session, const struct arguments *arguments) {
    return become(session, "kundregister-producer", "reconcile", arguments->rest);
}
