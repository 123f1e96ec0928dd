/* Whatever the configuration's file, environment and command line hold, config_read returns; it complains
 * just when it refuses; numbers lie in their ranges; nothing that was given is quoted; and read twice it is
 * the same. The first byte chooses who reads, the rest is the file, then after a zero byte the environment,
 * then after another the command line, both by lines. */
#include "tests/fuzz/common.h"

#include "core/config_table.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define LINES_MOST 16
#define SECRET "hunter2-never-told"

extern char **environ;

struct heard {
    size_t wrong, warnings;
};

static void hear(void *context, enum config_grade grade, const char *where, const char *message) {
    struct heard *heard = context;
    hold(where && message && *message, "a complaint says something");
    hold(!strstr(where, SECRET) && !strstr(message, SECRET), "no complaint quotes a value");
    heard->wrong += grade == CONFIG_WRONG;
    heard->warnings += grade == CONFIG_WARNING;
}

/* Up to the next zero byte; moves *rest behind it. */
static struct text part_of(struct text *rest) {
    const char *end = rest->size ? memchr(rest->at, '\0', rest->size) : NULL;
    struct text part = {rest->at, end ? (size_t)(end - rest->at) : rest->size};
    size_t taken = part.size + (end != NULL);
    rest->at += taken, rest->size -= taken;
    return part;
}

/* The lines of a part as strings, each with `before` in front; ended by NULL. */
static void lines_of(struct text part, const char *before, char *lines[LINES_MOST + 2]) {
    size_t count = 0;
    while (part.size && count < LINES_MOST) {
        const char *end = memchr(part.at, '\n', part.size);
        size_t size = end ? (size_t)(end - part.at) : part.size;
        hold(asprintf(&lines[count], "%s%.*s", before, (int)size, part.at) >= 0, "there is memory");
        count++;
        size += end != NULL;
        part.at += size, part.size -= size;
    }
    lines[count] = NULL;
}

static void lines_free(char **lines) {
    for (; *lines; lines++)
        free(*lines);
}

static void check_numbers(const struct config *config) {
    for (size_t i = 0; i < config_setting_count; i++) {
        const struct setting *setting = &config_settings[i];
        const char *at = (const char *)config + setting->offset;
        int64_t number = setting->type == SETTING_INT ? *(const int64_t *)at : setting->min;
        hold(number >= setting->min && (setting->type != SETTING_INT || number <= setting->max),
             "a number lies in its range");
        const char *text = setting->type == SETTING_TEXT ? *(const char *const *)at : NULL;
        hold(!text || (*text && (!setting->max || strlen(text) <= (size_t)setting->max)),
             "a text has its length");
    }
    hold(config->log_level < LOG_LEVELS, "the log has a level");
}

static bool same_text(const char *one, const char *two) {
    return one && two ? strcmp(one, two) == 0 : one == two;
}

static void check_same(const struct config *one, const struct config *two, unsigned programs) {
    for (size_t i = 0; i < config_setting_count; i++) {
        const struct setting *setting = &config_settings[i];
        const char *a = (const char *)one + setting->offset, *b = (const char *)two + setting->offset;
        hold(setting->type == SETTING_INT     ? *(const int64_t *)a == *(const int64_t *)b
             : setting->type == SETTING_LEVEL ? *(const enum log_level *)a == *(const enum log_level *)b
                                              : same_text(*(const char *const *)a, *(const char *const *)b),
             "read twice a setting is the same");
    }
    for (unsigned program = CONFIG_CONSUMER; program <= CONFIG_OPERATOR; program <<= 1) {
        const char *key, *value;
        if (!(programs & program))
            continue;
        for (size_t at = 0; config_kafka_next(one, (enum config_program)program, &at, &key, &value);)
            hold(config_kafka_value(one, (enum config_program)program, key) &&
                     same_text(config_kafka_value(one, (enum config_program)program, key),
                               config_kafka_value(two, (enum config_program)program, key)),
                 "read twice a property is the same");
    }
}

static void read_both(const struct config_options *options) {
    struct config one, two;
    struct heard heard = {0}, again = {0};
    struct config_options other = *options;
    struct err err = {.text = ""};
    other.context = &heard;
    enum outcome outcome = config_read(&one, &other, &err);
    hold(outcome == OK || outcome == FATAL, "it is taken or refused");
    hold((outcome == OK) == (heard.wrong == 0), "it complains just when it refuses");
    hold(!strstr(err.text, SECRET), "no error quotes a value");
    other.context = &again;
    hold(config_read(&two, &other, &err) == outcome && again.wrong == heard.wrong &&
             again.warnings == heard.warnings,
         "read twice it is judged alike");
    if (outcome == OK) {
        check_numbers(&one);
        check_same(&one, &two, options->programs);
    }
    config_release(&one);
    config_release(&two);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static int file = -1;
    static char path[32];
    static char planted_text[] = "KUNDREGISTER_REGISTER_OWNER=" SECRET,
                planted_number[] = "KUNDREGISTER_CONSUMER_WORKERS=" SECRET;
    if (!size || memmem(data, size, SECRET, sizeof SECRET - 1))
        return 0; /* the fuzzer sees what is looked for, and would call a setting so */
    if (file < 0) {
        file = memfd_create("fuzz_config", MFD_CLOEXEC);
        snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    }
    struct text rest = after_first(data, size);
    struct text ini = part_of(&rest), environment = part_of(&rest), command_line = part_of(&rest);
    hold(ftruncate(file, 0) == 0 && pwrite(file, ini.at, ini.size, 0) == (ssize_t)ini.size,
         "the file can be written");
    char *variables[LINES_MOST + 2], *overrides[LINES_MOST + 2], **before = environ;
    lines_of(environment, "KUNDREGISTER_", variables);
    lines_of(command_line, "", overrides);
    char *all[LINES_MOST + 4];
    size_t count = 0;
    for (; variables[count]; count++)
        all[count] = variables[count];
    if (data[0] & 8)
        all[count++] = planted_text;
    if (data[0] & 16)
        all[count++] = planted_number;
    all[count] = NULL;
    const struct config_options options = {
        .path = path, .programs = data[0] % 8, .overrides = (const char *const *)overrides, .complain = hear};
    environ = all;
    read_both(&options);
    environ = before;
    lines_free(variables);
    lines_free(overrides);
    return 0;
}
