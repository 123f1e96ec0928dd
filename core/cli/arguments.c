/* From argv to a command and its checked arguments. */
#include "core/cli/command.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int index_of(const struct arguments *arguments, const char *name) {
    for (int i = 0; i < OPTIONS_MAX && arguments->options[i].name; i++) {
        if (strcmp(arguments->options[i].name, name) == 0)
            return i;
    }
    return -1;
}

const char *argument(const struct arguments *arguments, const char *name) {
    int at = index_of(arguments, name);
    return at >= 0 ? arguments->values[at] : NULL;
}

bool argument_given(const struct arguments *arguments, const char *name) {
    return argument(arguments, name) != NULL;
}

bool argument_parse(const char *text, long long least, long long most, const char *what, long long *number) {
    char *end = NULL;
    errno = 0;
    long long parsed = strtoll(text, &end, 10);
    if (errno || end == text || *end || parsed < least || parsed > most) {
        fprintf(stderr, "kundregister: %s takes a whole number from %lld to %lld\n", what, least, most);
        return false;
    }
    *number = parsed;
    return true;
}

bool argument_number(const struct arguments *arguments, const char *name, long long least,
                     long long *number) {
    const char *text = argument(arguments, name);
    char what[64];
    snprintf(what, sizeof(what), "--%s", name);
    return !text || argument_parse(text, least, 1000000000, what, number);
}

/* How many words of `name` the arguments begin with: all of them, or 0. */
static int words_match(const char *name, int argc, char **argv) {
    int words = 0;
    while (*name) {
        size_t size = strcspn(name, " ");
        if (words >= argc || strlen(argv[words]) != size || strncmp(argv[words], name, size) != 0)
            return 0;
        words++;
        name += size + (name[size] == ' ');
    }
    return words;
}

const struct command *command_find(int argc, char **argv, int *words) {
    const struct command *found = NULL;
    *words = 0;
    for (const struct command *command = commands; command->name; command++) {
        int matching = words_match(command->name, argc, argv);
        if (matching > *words) {
            *words = matching;
            found = command;
        }
    }
    return found;
}

/* One option at argv[*at]; raises *at when its value stands apart. */
static int parse_option(const struct command *command, int argc, char **argv, int *at,
                        struct session *session, struct arguments *arguments) {
    const char *text = argv[*at] + 2;
    const char *equals = strchr(text, '=');
    char name[32];
    snprintf(name, sizeof(name), "%.*s", equals ? (int)(equals - text) : (int)strlen(text), text);
    if (strcmp(name, "json") == 0 && !equals) {
        session->json = true;
        return EXIT_FINE;
    }
    int row = index_of(arguments, name);
    bool config = strcmp(name, "config") == 0;
    if (row < 0 && !config) {
        fprintf(stderr, "kundregister %s: there is no option --%s; see kundregister %s -h\n", command->name,
                name, command->name);
        return EXIT_USAGE;
    }
    bool takes_value = config || command->options[row].value;
    const char *value = equals ? equals + 1 : "";
    if (!takes_value && equals) {
        fprintf(stderr, "kundregister %s: --%s takes no value\n", command->name, name);
        return EXIT_USAGE;
    }
    if (takes_value && !equals) {
        if (*at + 1 >= argc) {
            fprintf(stderr, "kundregister %s: --%s takes a value\n", command->name, name);
            return EXIT_USAGE;
        }
        value = argv[++*at];
    }
    if (config) {
        session->config_path = value;
    } else {
        arguments->values[row] = value;
    }
    return EXIT_FINE;
}

static int check_whole(const struct command *command, const struct arguments *arguments) {
    for (int i = 0; i < OPTIONS_MAX && command->options[i].name; i++) {
        const char *value = arguments->values[i];
        if (command->options[i].needed && (!value || !*value)) {
            fprintf(stderr, "kundregister %s: --%s %s is needed: %s\n", command->name,
                    command->options[i].name, command->options[i].value, command->options[i].help);
            return EXIT_USAGE;
        }
    }
    if (arguments->count < command->fewest || arguments->count > command->most) {
        fprintf(stderr, "usage: kundregister %s %s\n", command->name, command->operands);
        return EXIT_USAGE;
    }
    return EXIT_FINE;
}

int command_parse(const struct command *command, int argc, char **argv, struct session *session,
                  struct arguments *arguments) {
    bool only_operands = false;
    *arguments = (struct arguments){.options = command->options, .rest = argv};
    if (command->program)
        return EXIT_FINE;
    for (int at = 0; at < argc; at++) {
        const char *text = argv[at];
        if (!only_operands && strcmp(text, "--") == 0) {
            only_operands = true;
        } else if (!only_operands && (strcmp(text, "-h") == 0 || strcmp(text, "--help") == 0)) {
            return -1;
        } else if (!only_operands && strncmp(text, "--", 2) == 0) {
            int code = parse_option(command, argc, argv, &at, session, arguments);
            if (code != EXIT_FINE)
                return code;
        } else if (!only_operands && text[0] == '-' && text[1]) {
            fprintf(stderr, "kundregister %s: options begin with two dashes: %s\n", command->name, text);
            return EXIT_USAGE;
        } else if (arguments->count < OPERANDS_MAX) {
            arguments->operands[arguments->count++] = text;
        } else {
            arguments->count++;
            break;
        }
    }
    return check_whole(command, arguments);
}
