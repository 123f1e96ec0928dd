/* Help and the manual page, made of the table of commands. */
#include "core/cli/command.h"

#include <string.h>

static const char exit_codes[] =
    "0   fine\n"
    "1   a finding: something needs attention, is wrong in a file, or was not found\n"
    "2   usage: unknown command or option, a missing or malformed argument\n"
    "69  unavailable: Kafka, the register or the vault cannot be reached; try again later\n"
    "74  the answer could not be printed (disk full, pipe closed)\n"
    "78  refused: configuration, schema version, key or role is not as it must be; trying again will not "
    "help\n";

static const char common_options[] =
    "  --json             one JSON document on stdout (dump is JSON lines anyway)\n"
    "  --config FILE      the configuration (default: $KUNDREGISTER_CONFIG)\n"
    "  -h, --help         this text\n";

void help_overview(FILE *file) {
    fputs("usage: kundregister COMMAND [ARGUMENTS] [--json] [--config FILE]\n\n"
          "The register of customers that forgets: kundregister-consumer takes events in, "
          "kundregister-producer\n"
          "carries disclosures and notices out, this program is for the people who run it.\n\n",
          file);
    for (const struct command *command = commands; command->name; command++)
        fprintf(file, "  %-26s %s\n", command->name, command->summary);
    fputs("\n  help COMMAND               what a command does, and its options (also: COMMAND -h)\n"
          "  help exit-codes            what exit codes mean\n",
          file);
}

static void print_options(FILE *file, const struct command *command) {
    for (int i = 0; i < OPTIONS_MAX && command->options[i].name; i++) {
        const struct option_row *row = &command->options[i];
        char head[64];
        snprintf(head, sizeof(head), "--%s%s%s", row->name, row->value ? " " : "",
                 row->value ? row->value : "");
        fprintf(file, "  %-18s %s%s\n", head, row->help, row->needed ? " (needed)" : "");
    }
}

void help_command(FILE *file, const struct command *command) {
    fprintf(file, "usage: kundregister %s%s%s\n\n%s\n", command->name, *command->operands ? " " : "",
            command->operands, command->help);
    if (command->program)
        return;
    fputs("\noptions:\n", file);
    print_options(file, command);
    fputs(common_options, file);
}

bool help_topic(FILE *file, const char *topic) {
    size_t size = strlen(topic);
    int found = 0;
    if (strcmp(topic, "exit-codes") == 0) {
        fputs(exit_codes, file);
        return true;
    }
    for (const struct command *command = commands; command->name; command++) {
        if (strcmp(command->name, topic) == 0) {
            help_command(file, command);
            return true;
        }
    }
    for (const struct command *command = commands; command->name; command++) {
        if (strncmp(command->name, topic, size) == 0 && command->name[size] == ' ') {
            fprintf(file, "  kundregister %-26s %s\n", command->name, command->summary);
            found++;
        }
    }
    return found > 0;
}

/* Levenshtein distance of two short words. */
static int distance(const char *a, const char *b) {
    int row[64];
    int size = (int)strlen(b);
    if (size > 62 || strlen(a) > 62)
        return 63;
    for (int i = 0; i <= size; i++)
        row[i] = i;
    for (int y = 1; *a; a++, y++) {
        int diagonal = row[0];
        row[0] = y;
        for (int x = 1; x <= size; x++) {
            int replaced = diagonal + (*a != b[x - 1]);
            diagonal = row[x];
            int shorter = row[x] < row[x - 1] ? row[x] + 1 : row[x - 1] + 1;
            row[x] = replaced < shorter ? replaced : shorter;
        }
    }
    return row[size];
}

void help_unknown(FILE *file, int argc, char **argv) {
    char asked[64] = "";
    size_t used = 0;
    for (int i = 0; i < argc && i < 3 && argv[i][0] != '-'; i++) {
        int size = snprintf(asked + used, sizeof(asked) - used, "%s%.30s", used ? " " : "", argv[i]);
        used = used + (size_t)size < sizeof(asked) ? used + (size_t)size : sizeof(asked) - 1;
    }
    fprintf(file, "kundregister: there is no command '%s'\n", asked);
    bool heading = false;
    for (const struct command *command = commands; command->name; command++) {
        size_t first = strcspn(command->name, " ");
        bool same_group = strncmp(command->name, asked, first) == 0 && (asked[first] == ' ' || !asked[first]);
        char word[64];
        snprintf(word, sizeof(word), "%.*s", (int)first, command->name);
        char asked_word[64];
        snprintf(asked_word, sizeof(asked_word), "%.*s", (int)strcspn(asked, " "), asked);
        if (!same_group && distance(asked, command->name) > 3 && distance(asked_word, word) > 2)
            continue;
        fprintf(file, "%s  kundregister %s\n", heading ? "" : "the nearest ones:\n", command->name);
        heading = true;
    }
    fputs("`kundregister help` lists all\n", file);
}

/* ---- the manual page ---- */

/* A dot or quote at a line's start is roff's own; a dash is a minus only when escaped. */
static void roff(FILE *file, const char *text) {
    bool line_start = true;
    for (; *text; text++) {
        if (line_start && (*text == '.' || *text == '\''))
            fputs("\\&", file);
        if (*text == '-' || *text == '\\')
            fputs(*text == '-' ? "\\-" : "\\\\", file);
        else
            fputc(*text, file);
        line_start = *text == '\n';
    }
}

static void manual_command(FILE *file, const struct command *command) {
    fputs(".SS ", file);
    roff(file, command->name);
    fputc(' ', file);
    roff(file, command->operands);
    fputc('\n', file);
    roff(file, command->help);
    fputc('\n', file);
    for (int i = 0; i < OPTIONS_MAX && command->options[i].name; i++) {
        fprintf(file, ".TP\n.B \\-\\-%s %s\n", command->options[i].name,
                command->options[i].value ? command->options[i].value : "");
        roff(file, command->options[i].help);
        fputc('\n', file);
    }
}

void help_manual(FILE *file) {
    fputs(".\\\" Made by: kundregister help --manual\n"
          ".TH KUNDREGISTER 1 \"\" kundregister\n.SH NAME\nkundregister \\- run and question the register of "
          "customers\n"
          ".SH SYNOPSIS\n.B kundregister\n.I COMMAND\n[ARGUMENTS] [\\-\\-json] [\\-\\-config FILE]\n"
          ".SH COMMANDS\n",
          file);
    for (const struct command *command = commands; command->name; command++)
        manual_command(file, command);
    fputs(".SH OPTIONS OF ALL COMMANDS\n.nf\n", file);
    roff(file, common_options);
    fputs(".fi\n.SH EXIT STATUS\n.nf\n", file);
    roff(file, exit_codes);
    fputs(".fi\n.SH ENVIRONMENT\n.TP\n.B KUNDREGISTER_CONFIG\nThe configuration file.\n"
          ".SH SEE ALSO\n.BR kundregister\\-consumer (1),\n.BR kundregister\\-producer (1)\n",
          file);
}
