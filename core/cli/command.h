/* What a command of `kundregister` is: one row of the table in main.c and one function in a file of its own.
 * Options are declared, not parsed, by a command; help, the manual page and the parser all read the same row.
 */
#ifndef KR_COMMAND_H
#define KR_COMMAND_H

#include "core/cli/session.h"
#include <stdbool.h>
#include <stddef.h>

#define OPTIONS_MAX 6
#define OPERANDS_MAX 4

struct option_row {
    const char *name;  /* "reason", for --reason */
    const char *value; /* "TEXT" in help; NULL: a switch */
    const char *help;
    bool needed;
};

/* The command line of one command, checked against its row. Values are borrowed from argv. */
struct arguments {
    const struct option_row *options;
    const char *values[OPTIONS_MAX]; /* of options[i]; "" for a switch that is there; NULL: not given */
    const char *operands[OPERANDS_MAX];
    int count;
    char **rest; /* of a command that is another program: its arguments, as they are */
};

struct command {
    const char *name;     /* "policy check": up to three words */
    const char *operands; /* "FILE", "[TOPIC [PARTITION]]" */
    int fewest, most;     /* operands */
    const char *summary;  /* one line, without a full stop */
    const char *help;     /* paragraphs */
    struct option_row options[OPTIONS_MAX];
    int (*run)(struct session *session, const struct arguments *arguments);
    bool program; /* everything after the name goes to another program */
};

extern const struct command commands[]; /* ended by a row without name */

/* The option's value, or NULL when it was not given. */
const char *argument(const struct arguments *arguments, const char *name);
bool argument_given(const struct arguments *arguments, const char *name);
/* A whole number from `least` on; false after a complaint on stderr. *number stays when the option is
 * missing. */
bool argument_number(const struct arguments *arguments, const char *name, long long least, long long *number);
/* The same of a text given under `what`. */
bool argument_parse(const char *text, long long least, long long most, const char *what, long long *number);

/* Finds the command that argv[0], argv[1], ... name (the longest that fits) and how many words that took. */
const struct command *command_find(int argc, char **argv, int *words);
/* Fills arguments from what follows the name and takes the options that all commands have (--json, --config,
 * --help) off into the session. Returns EXIT_FINE, or EXIT_USAGE after a complaint, or -1: help was asked. */
int command_parse(const struct command *command, int argc, char **argv, struct session *session,
                  struct arguments *arguments);

/* Help: of everything, of a command or a group of commands ("policy"), of exit codes; false when there is
 * none. */
void help_overview(FILE *file);
bool help_topic(FILE *file, const char *topic);
void help_command(FILE *file, const struct command *command);
/* "Unknown command", with the nearest ones. */
void help_unknown(FILE *file, int argc, char **argv);
/* The manual page in roff, made of the same table. */
void help_manual(FILE *file);

/* One function a command, each in the file named after the first word. */
int command_migrate(struct session *session, const struct arguments *arguments);
int command_config_check(struct session *session, const struct arguments *arguments);
int command_config_sample(struct session *session, const struct arguments *arguments);
int command_doctor(struct session *session, const struct arguments *arguments);
int command_status(struct session *session, const struct arguments *arguments);
int command_customer_show(struct session *session, const struct arguments *arguments);
int command_customer_find(struct session *session, const struct arguments *arguments);
int command_customer_erasure(struct session *session, const struct arguments *arguments);
int command_request_list(struct session *session, const struct arguments *arguments);
int command_request_show(struct session *session, const struct arguments *arguments);
int command_request_tie(struct session *session, const struct arguments *arguments);
int command_disclosures(struct session *session, const struct arguments *arguments);
int command_policy_check(struct session *session, const struct arguments *arguments);
int command_policy_activate(struct session *session, const struct arguments *arguments);
int command_policy_show(struct session *session, const struct arguments *arguments);
int command_dead_letter_list(struct session *session, const struct arguments *arguments);
int command_dead_letter_show(struct session *session, const struct arguments *arguments);
int command_dump(struct session *session, const struct arguments *arguments);
int command_audit(struct session *session, const struct arguments *arguments);
int command_position_list(struct session *session, const struct arguments *arguments);
int command_position_accept(struct session *session, const struct arguments *arguments);
int command_position_reset(struct session *session, const struct arguments *arguments);
int command_consumer_run(struct session *session, const struct arguments *arguments);
int command_restore_reconcile(struct session *session, const struct arguments *arguments);
int command_producer_run(struct session *session, const struct arguments *arguments);
int command_producer_reconcile(struct session *session, const struct arguments *arguments);

#endif
