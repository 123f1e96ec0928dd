/* The configuration: collects texts from file, environment and command line, then checks and types them. */
#include "core/config_table.h"

#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define VALUES_MAX 400
#define LINE_BYTES_MAX 4096
#define SECRET_BYTES_MAX 4096
#define ENVIRONMENT_PREFIX "KUNDREGISTER_"

extern char **environ;

/* One text as it was given. A later one for the same key replaces the earlier. */
struct config_value {
    char *section, *key, *value;
    char where[160]; /* for complaints */
    bool from_file;  /* from the INI file: there a second one is a mistake */
};

struct config_values {
    struct config_value at[VALUES_MAX];
    size_t count;
};

struct reading {
    struct config *config;
    const struct config_options *options;
    FILE *file;
    int line;
    int mistakes;
    bool skipping; /* the rest of a line that was too long */
};

/* ---- complaints ---- */

static void complain(struct reading *reading, enum config_grade grade, const char *where, const char *format,
                     ...) PRINTF_LIKE(4, 5);
static void complain(struct reading *reading, enum config_grade grade, const char *where, const char *format,
                     ...) {
    char message[256];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    if (grade == CONFIG_WRONG)
        reading->mistakes++;
    if (reading->options->complain)
        reading->options->complain(reading->options->context, grade, where, message);
}

/* ---- the tables ---- */

static const struct setting *find_setting(const char *section, const char *key) {
    for (size_t i = 0; i < config_setting_count; i++)
        if (strcmp(config_settings[i].section, section) == 0 && strcmp(config_settings[i].key, key) == 0)
            return &config_settings[i];
    return NULL;
}

static bool is_kafka_section(const char *section) {
    for (size_t i = 0; i < CONFIG_KAFKA_SECTIONS; i++)
        if (strcmp(config_kafka_sections[i].name, section) == 0)
            return true;
    return false;
}

static bool is_section(const char *section) {
    for (size_t i = 0; i < config_setting_count; i++)
        if (strcmp(config_settings[i].section, section) == 0)
            return true;
    return is_kafka_section(section);
}

/* ---- values ---- */

static void wipe(char *text) {
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

/* The first line of a file; NULL after a complaint. */
static char *read_secret(struct reading *reading, const char *where, const char *path) {
    char *secret = NULL;
    char buffer[SECRET_BYTES_MAX + 1];
    ssize_t size;
    struct stat status;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0 || fstat(file, &status) != 0 || !S_ISREG(status.st_mode)) {
        complain(reading, CONFIG_WRONG, where, "its file cannot be read: %s",
                 file < 0 ? strerrordesc_np(errno) : "not an ordinary file");
        goto out;
    }
    if (status.st_mode & (S_IRGRP | S_IWGRP | S_IROTH | S_IWOTH))
        complain(reading, CONFIG_WARNING, where, "its file is open to group or others: chmod 600");
    size = read(file, buffer, sizeof(buffer));
    if (size < 0) {
        complain(reading, CONFIG_WRONG, where, "its file cannot be read: %s", strerrordesc_np(errno));
        goto out;
    }
    if ((size_t)size > SECRET_BYTES_MAX || memchr(buffer, '\0', (size_t)size)) {
        complain(reading, CONFIG_WRONG, where, "its file is no text of at most %d bytes", SECRET_BYTES_MAX);
        goto out;
    }
    buffer[size] = '\0';
    buffer[strcspn(buffer, "\r\n")] = '\0';
    if (!buffer[0])
        complain(reading, CONFIG_WRONG, where, "its file is empty");
    else if (!(secret = strdup(buffer)))
        complain(reading, CONFIG_WRONG, where, "no memory");
out:
    explicit_bzero(buffer, sizeof(buffer));
    if (file >= 0)
        close(file);
    return secret;
}

static struct config_value *find_value(const struct config_values *values, const char *section,
                                       const char *key) {
    for (size_t i = 0; i < values->count; i++)
        if (strcmp(values->at[i].section, section) == 0 && strcmp(values->at[i].key, key) == 0)
            return (struct config_value *)&values->at[i];
    return NULL;
}

/* Stores one text under its plain key: takes `value`. */
static void store(struct reading *reading, const char *section, const char *key, char *value,
                  const char *where, bool from_file) {
    struct config_values *values = reading->config->values;
    struct config_value *at = find_value(values, section, key);
    if (at && from_file && at->from_file) {
        complain(reading, CONFIG_WRONG, where, "given twice: also %s", at->where);
        wipe(value);
        return;
    }
    if (at) {
        wipe(at->value);
        at->value = value;
    } else if (values->count == VALUES_MAX) {
        complain(reading, CONFIG_WRONG, where, "more than %d settings", VALUES_MAX);
        wipe(value);
        return;
    } else {
        at = &values->at[values->count++];
        *at = (struct config_value){.section = strdup(section), .key = strdup(key), .value = value};
    }
    at->from_file = from_file;
    (void)snprintf(at->where, sizeof(at->where), "%s", where);
    if (!at->section || !at->key) {
        complain(reading, CONFIG_WRONG, where, "no memory");
        wipe(value);
        free(at->section);
        free(at->key);
        values->count--;
    }
}

/* One text as given, perhaps naming a file that holds it. */
static void take(struct reading *reading, const char *section, const char *key, const char *value,
                 const char *where, bool from_file) {
    char plain[128];
    const char suffix[] = ".file";
    size_t size = strlen(key);
    const struct setting *setting = find_setting(section, key);
    bool kafka = is_kafka_section(section);
    char *copy;

    if (!setting && size > sizeof(suffix) - 1 && size < sizeof(plain) &&
        strcmp(key + size - (sizeof(suffix) - 1), suffix) == 0) {
        size -= sizeof(suffix) - 1;
        memcpy(plain, key, size);
        plain[size] = '\0';
        setting = find_setting(section, plain);
        if (kafka || (setting && setting->type == SETTING_SECRET)) {
            copy = read_secret(reading, where, value);
            if (copy)
                store(reading, section, plain, copy, where, from_file);
            return;
        }
        setting = NULL;
    }
    if (!setting && !kafka) {
        complain(reading, CONFIG_WRONG, where, is_section(section) ? "no such setting" : "no such section");
        return;
    }
    copy = strdup(value);
    if (copy)
        store(reading, section, key, copy, where, from_file);
    else
        complain(reading, CONFIG_WRONG, where, "no memory");
}

/* ---- the file ---- */

/* libinih's fgets: counts lines, and makes a complaint of what would otherwise be cut in silence. */
static char *read_line(char *buffer, int room, void *context) {
    struct reading *reading = context;
    while (fgets(buffer, room, reading->file)) {
        size_t size = strlen(buffer);
        bool whole = size && buffer[size - 1] == '\n', rest = reading->skipping;
        if (!rest)
            reading->line++;
        reading->skipping = !whole && !feof(reading->file);
        if (!reading->skipping && !rest)
            return buffer;
        if (!rest) {
            char where[32];
            (void)snprintf(where, sizeof(where), "line %d", reading->line);
            complain(reading, CONFIG_WRONG, where, "longer than %d bytes, or with a NUL", room - 2);
        }
    }
    return NULL;
}

static int take_line(void *context, const char *section, const char *name, const char *value) {
    struct reading *reading = context;
    char where[160];
    (void)snprintf(where, sizeof(where), "%.60s.%.60s (line %d)", section, name, reading->line);
    take(reading, section, name, value ? value : "", where, true);
    return 1;
}

static void read_file(struct reading *reading, const char *path) {
    reading->file = fopen(path, "re");
    if (!reading->file) {
        complain(reading, CONFIG_WRONG, "", "the configuration file cannot be read: %s",
                 strerrordesc_np(errno));
        return;
    }
    /* A password may hold " ;", a connection string is long, and an indented line is no continuation. */
    ini_allow_inline_comments = false;
    ini_allow_multiline = false;
    ini_use_stack = false;
    ini_max_line = ini_initial_alloc = LINE_BYTES_MAX;
    int result = ini_parse_stream(read_line, reading, take_line, reading);
    if (result > 0)
        complain(reading, CONFIG_WRONG, "", "line %d is neither [section], key = value nor a comment",
                 result);
    else if (result < 0)
        complain(reading, CONFIG_WRONG, "", "no memory");
    fclose(reading->file);
    reading->file = NULL;
}

/* ---- environment and command line ---- */

/* "kafka.consumer" as "KAFKA_CONSUMER_": its length when `name` begins so, else 0. */
static size_t environment_section(const char *name, const char *section) {
    size_t i = 0;
    for (; section[i]; i++) {
        char upper = section[i] == '.' ? '_' : (char)(section[i] - 'a' + 'A');
        if (name[i] != upper)
            return 0;
    }
    return name[i] == '_' ? i + 1 : 0;
}

static void take_variable(struct reading *reading, const char *name, size_t name_size, const char *value) {
    char key[128], where[160];
    const char *section = NULL;
    size_t skip = 0;
    for (size_t i = 0; i < config_setting_count + CONFIG_KAFKA_SECTIONS; i++) {
        const char *candidate = i < config_setting_count
                                    ? config_settings[i].section
                                    : config_kafka_sections[i - config_setting_count].name;
        size_t size = environment_section(name, candidate);
        if (size > skip) /* the longest: kafka.consumer before kafka */
            skip = size, section = candidate;
    }
    if (!section || skip >= name_size || name_size - skip >= sizeof(key))
        return; /* none of ours: KUNDREGISTER_CONFIG and the like */
    for (size_t i = skip; i < name_size; i++) {
        char letter = name[i];
        key[i - skip] = letter == '_'                    ? '.'
                        : letter >= 'A' && letter <= 'Z' ? (char)(letter - 'A' + 'a')
                                                         : letter;
    }
    key[name_size - skip] = '\0';
    (void)snprintf(where, sizeof(where), ENVIRONMENT_PREFIX "%.*s", (int)name_size, name);
    take(reading, section, key, value, where, false);
}

static void read_environment(struct reading *reading) {
    for (char **variable = environ; variable && *variable; variable++) {
        const char *equals = strchr(*variable, '=');
        const size_t prefix = sizeof(ENVIRONMENT_PREFIX) - 1;
        if (equals && strncmp(*variable, ENVIRONMENT_PREFIX, prefix) == 0 && equals > *variable + prefix)
            take_variable(reading, *variable + prefix, (size_t)(equals - *variable) - prefix, equals + 1);
    }
}

/* "consumer.instance=3": the section ends at the first dot (no override touches librdkafka's). */
static void read_overrides(struct reading *reading) {
    for (const char *const *at = reading->options->overrides; at && *at; at++) {
        char section[32], key[128];
        const char *dot = strchr(*at, '.'), *equals = strchr(*at, '=');
        if (!dot || !equals || dot > equals || (size_t)(dot - *at) >= sizeof(section) ||
            (size_t)(equals - dot) > sizeof(key)) {
            complain(reading, CONFIG_WRONG, "command line", "an override is not section.key=value");
            continue;
        }
        (void)snprintf(section, sizeof(section), "%.*s", (int)(dot - *at), *at);
        (void)snprintf(key, sizeof(key), "%.*s", (int)(equals - dot - 1), dot + 1);
        take(reading, section, key, equals + 1, "command line", false);
    }
}

/* ---- typing ---- */

static void set_int(struct reading *reading, const struct setting *setting, const char *text,
                    const char *where) {
    char *end = NULL;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (!*text || *end || errno || number < setting->min || number > setting->max) {
        complain(reading, CONFIG_WRONG, where, "must be a whole number from %lld to %lld",
                 (long long)setting->min, (long long)setting->max);
        return;
    }
    *(int64_t *)((char *)reading->config + setting->offset) = number;
}

static void set_level(struct reading *reading, const struct setting *setting, const char *text,
                      const char *where) {
    for (int level = 0; level < LOG_LEVELS; level++)
        if (strcmp(text, log_level_names[level]) == 0) {
            *(enum log_level *)((char *)reading->config + setting->offset) = (enum log_level)level;
            return;
        }
    complain(reading, CONFIG_WRONG, where, "must be debug, info, warning or error");
}

static void set_text(struct reading *reading, const struct setting *setting, const char *text,
                     const char *where) {
    if (!*text)
        complain(reading, CONFIG_WRONG, where, "must not be empty");
    else if (setting->max && (int64_t)strlen(text) > setting->max)
        complain(reading, CONFIG_WRONG, where, "must have at most %lld bytes", (long long)setting->max);
    else
        *(const char **)((char *)reading->config + setting->offset) = text;
}

static void set_all(struct reading *reading) {
    for (size_t i = 0; i < config_setting_count; i++) {
        const struct setting *setting = &config_settings[i];
        const struct config_value *value =
            find_value(reading->config->values, setting->section, setting->key);
        const char *text = value ? value->value : setting->fallback;
        char where[160];
        (void)snprintf(where, sizeof(where), "%s.%s", setting->section, setting->key);
        if (!text) {
            if (setting->needed & reading->options->programs)
                complain(reading, CONFIG_WRONG, where, "is missing");
            continue;
        }
        if (value)
            (void)snprintf(where, sizeof(where), "%s", value->where);
        if (setting->type == SETTING_INT)
            set_int(reading, setting, text, where);
        else if (setting->type == SETTING_LEVEL)
            set_level(reading, setting, text, where);
        else
            set_text(reading, setting, text, where);
    }
    for (unsigned program = CONFIG_CONSUMER; program <= CONFIG_OPERATOR; program <<= 1)
        if ((reading->options->programs & program) &&
            !config_kafka_value(reading->config, (enum config_program)program, "bootstrap.servers"))
            complain(reading, CONFIG_WRONG, "kafka.bootstrap.servers", "is missing");
}

enum outcome config_read(struct config *config, const struct config_options *options, struct err *err) {
    struct reading reading = {.config = config, .options = options};
    const char *path = options->path ? options->path : getenv("KUNDREGISTER_CONFIG");

    memset(config, 0, sizeof(*config));
    config->log_level = LOG_INFO;
    if (!path || !*path)
        return err_set(err, FATAL, 0, "no configuration: give --config FILE or set KUNDREGISTER_CONFIG");
    config->values = calloc(1, sizeof(*config->values));
    if (!config->values)
        return err_set(err, FATAL, errno, "no memory for the configuration");
    read_file(&reading, path);
    read_environment(&reading);
    read_overrides(&reading);
    set_all(&reading);
    if (reading.mistakes)
        return err_set(err, FATAL, 0, "the configuration has %d mistake%s", reading.mistakes,
                       reading.mistakes == 1 ? "" : "s");
    return OK;
}

void config_release(struct config *config) {
    for (size_t i = 0; config->values && i < config->values->count; i++) {
        struct config_value *value = &config->values->at[i];
        free(value->section);
        free(value->key);
        wipe(value->value);
    }
    free(config->values);
    memset(config, 0, sizeof(*config));
}

bool config_kafka_next(const struct config *config, enum config_program program, size_t *at, const char **key,
                       const char **value) {
    size_t count = config->values ? config->values->count : 0;
    /* One walk over all values for each of the program's sections, the common one first. */
    while (count && *at < count * CONFIG_KAFKA_SECTIONS) {
        const struct kafka_section *section = &config_kafka_sections[*at / count];
        const struct config_value *candidate = &config->values->at[*at % count];
        ++*at;
        if ((section->programs & program) && strcmp(candidate->section, section->name) == 0) {
            *key = candidate->key;
            *value = candidate->value;
            return true;
        }
    }
    return false;
}

const char *config_kafka_value(const struct config *config, enum config_program program, const char *key) {
    const char *found = NULL, *candidate, *value;
    for (size_t at = 0; config_kafka_next(config, program, &at, &candidate, &value);)
        if (strcmp(candidate, key) == 0)
            found = value;
    return found;
}
