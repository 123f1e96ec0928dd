/* `config check` and `config sample`. */
#include "core/cli/command.h"

static void collect(void *context, enum config_grade grade, const char *where, const char *message) {
    struct output *output = context;
    output_row(output);
    output_string(output, "grade", grade == CONFIG_WRONG ? "error" : "warning");
    output_string(output, "where", *where ? where : NULL);
    output_string(output, "message", message);
}

int command_config_check(struct session *session, const struct arguments *arguments) {
    struct config_options options = {.path = session->config_path,
                                     .programs = CONFIG_CONSUMER | CONFIG_PRODUCER | CONFIG_OPERATOR,
                                     .complain = collect,
                                     .context = session->output};
    (void)arguments;
    output_table(session->output, "complaints", NULL, NULL);
    session->configured = true;
    bool fine = config_read(&session->config, &options, &session->err) == OK;
    output_table_end(session->output);
    output_bool(session->output, "fine", fine);
    if (!fine)
        output_string(session->output, "error", session->err.text);
    return session_print(session, fine ? EXIT_FINE : EXIT_REFUSED);
}

int command_config_sample(struct session *session, const struct arguments *arguments) {
    (void)arguments;
    config_print_sample(stdout);
    return fflush(stdout) == 0 ? EXIT_FINE : session_refuse(session, EXIT_OUTPUT, "cannot print the sample");
}
