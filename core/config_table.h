/* The table of settings: shared by config.c, which reads by it, and config_table.c, which holds and prints
 * it. */
#ifndef KR_CONFIG_TABLE_H
#define KR_CONFIG_TABLE_H

#include "core/config.h"

enum setting_type {
    SETTING_TEXT,
    SETTING_SECRET, /* a text that may also stand in a file of its own: key.file */
    SETTING_INT,
    SETTING_LEVEL,
};

struct setting {
    const char *section, *key;
    enum setting_type type;
    size_t offset;        /* in struct config */
    unsigned needed;      /* programs that cannot do without */
    const char *fallback; /* NULL: none */
    int64_t min, max;
    const char *help;
};

extern const struct setting config_settings[];
extern const size_t config_setting_count;

/* Sections handed to librdkafka. */
#define CONFIG_KAFKA_SECTIONS 4
struct kafka_section {
    const char *name;
    unsigned programs;
    const char *help;
};
extern const struct kafka_section config_kafka_sections[CONFIG_KAFKA_SECTIONS];

#endif
