/* `doctor`: whether this installation can keep its promises, finding by finding with the way out. */
#include "core/cli/doctor.h"
#include "core/cli/command.h"
#include "core/cli/walk.h"
#include <stdarg.h>
#include <string.h>

#define NAMED_MOST 20 /* persons named one by one before only their number is told */

static const char *const grade_names[GRADES] = {"ok", "warning", "error"};

void doctor_find(struct doctor *doctor, enum grade grade, const char *about, const char *way_out,
                 const char *format, ...) {
    char buffer[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(buffer, sizeof(buffer), format, arguments);
    va_end(arguments);
    doctor->counts[grade]++;
    struct finding *finding = ARENA_PUSH(&doctor->session->arena, &doctor->findings);
    if (!finding)
        return;
    *finding = (struct finding){.grade = grade, .about = about};
    finding->sentence = arena_text(&doctor->session->arena, text_of(buffer));
    finding->way_out = way_out ? arena_text(&doctor->session->arena, text_of(way_out)) : TEXT_ABSENT;
}

/* ---- configuration ---- */

static void take_complaint(void *context, enum config_grade grade, const char *where, const char *message) {
    doctor_find(context, grade == CONFIG_WRONG ? GRADE_ERROR : GRADE_WARNING, "configuration",
                "kundregister config check", "%s%s%s", where, *where ? ": " : "", message);
}

static bool read_configuration(struct doctor *doctor) {
    struct session *session = doctor->session;
    struct config_options options = {.path = session->config_path,
                                     .programs = CONFIG_CONSUMER | CONFIG_PRODUCER | CONFIG_OPERATOR,
                                     .complain = take_complaint,
                                     .context = doctor};
    session->configured = true;
    log_program("kundregister");
    log_set_level(LOG_ERROR);
    if (config_read(&session->config, &options, &session->err) == OK) {
        doctor_find(doctor, GRADE_OK, "configuration", NULL, "The configuration can be read and is whole.");
        return true;
    }
    doctor_find(doctor, GRADE_ERROR, "configuration", "kundregister config check", "%s", session->err.text);
    return false;
}

/* ---- every ring ---- */

struct ring_search {
    struct doctor *doctor;
    size_t missing;
    char last[200]; /* one person's cells come after each other */
};

static void take_unopened(void *context, const struct sealed *sealed, const char *why) {
    struct ring_search *search = context;
    char name[200];
    snprintf(name, sizeof(name), "%.*s", TEXT_ARGS(sealed->person));
    if (strcmp(name, search->last) == 0)
        return;
    memcpy(search->last, name, sizeof(name));
    if (search->missing++ < NAMED_MOST)
        doctor_find(search->doctor, GRADE_ERROR, "rings",
                    "restore the vault from its newest backup; without the key the data is lost for good",
                    "%s, generation %lld: %s", name, (long long)sealed->generation, why);
}

void doctor_rings(struct doctor *doctor) {
    struct session *session = doctor->session;
    struct ring_search search = {.doctor = doctor};
    struct cells cells = {0};
    struct walk walk = {
        .session = session, .cells = &cells, .notices = true, .unopened = take_unopened, .context = &search};
    int code = session_open(session, CLUSTER_REGISTER, ROLE_AUDITOR, &walk.reg);
    if (code == EXIT_FINE)
        code =
            session_audit(session, walk.reg, "doctor deep", NULL, NULL, "every cell was opened, none shown");
    if (code == EXIT_FINE)
        code = cells_open(&cells, session, walk.reg, ROLE_AUDITOR);
    if (code == EXIT_FINE)
        code = walk_run(&walk);
    cells_close(&cells);
    if (code != EXIT_FINE)
        doctor_find(doctor, GRADE_ERROR, "rings", "see the message on stderr",
                    "The rings could not all be examined.");
    else if (search.missing > NAMED_MOST)
        doctor_find(doctor, GRADE_ERROR, "rings", NULL, "%zu persons in all have cells that do not open.",
                    search.missing);
    else if (search.missing == 0)
        doctor_find(doctor, GRADE_OK, "rings", NULL,
                    "Every cell of %llu rows opens with a key from the vault.",
                    (unsigned long long)walk.rows);
}

/* ---- the command ---- */

static void put_findings(struct doctor *doctor) {
    struct output *output = doctor->session->output;
    if (doctor->session->json)
        output_table(output, "findings", NULL, NULL);
    for (size_t i = 0; i < doctor->findings.count; i++) {
        const struct finding *finding = &doctor->findings.at[i];
        if (!doctor->session->json) {
            output_note(output, "%-8s %s: %.*s", grade_names[finding->grade], finding->about,
                        TEXT_ARGS(finding->sentence));
            if (text_present(finding->way_out))
                output_note(output, "         way out: %.*s", TEXT_ARGS(finding->way_out));
            continue;
        }
        output_row(output);
        output_string(output, "grade", grade_names[finding->grade]);
        output_string(output, "about", finding->about);
        output_text(output, "finding", finding->sentence);
        output_text(output, "way_out", finding->way_out);
    }
    output_table_end(output);
    output_note(output, "%zu fine, %zu warnings, %zu errors", doctor->counts[GRADE_OK],
                doctor->counts[GRADE_WARNING], doctor->counts[GRADE_ERROR]);
    if (doctor->session->json) {
        output_int(output, "warnings", (int64_t)doctor->counts[GRADE_WARNING]);
        output_int(output, "errors", (int64_t)doctor->counts[GRADE_ERROR]);
    }
}

int command_doctor(struct session *session, const struct arguments *arguments) {
    struct doctor doctor = {.session = session,
                            .dev = argument_given(arguments, "dev"),
                            .deep = argument_given(arguments, "deep")};
    if (read_configuration(&doctor)) {
        doctor_servers(&doctor);
        doctor_topics(&doctor);
        if (doctor.deep)
            doctor_rings(&doctor);
    }
    put_findings(&doctor);
    policy_free(doctor.policy);
    return session_print(session, doctor.counts[GRADE_ERROR] > 0 ? EXIT_FINDING : EXIT_FINE);
}
