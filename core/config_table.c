/* The table of settings: name, range, default and help of each, and the sample file printed from it. */
#include "core/config_table.h"

#include <string.h>

#define AT(member) offsetof(struct config, member)
#define SERVERS "A libpq connection string, as it is. "

const struct setting config_settings[] = {
    {"register", "owner", SETTING_SECRET, AT(register_as.owner), 0, NULL, 0, 0,
     SERVERS "Owns the schema: migrate."},
    {"register", "consumer", SETTING_SECRET, AT(register_as.consumer), CONFIG_CONSUMER, NULL, 0, 0,
     "The consumer's role."},
    {"register", "producer", SETTING_SECRET, AT(register_as.producer), CONFIG_PRODUCER, NULL, 0, 0,
     "The producer's role."},
    {"register", "operator", SETTING_SECRET, AT(register_as.operator), 0, NULL, 0, 0,
     "Operators: no personal data."},
    {"register", "clerk", SETTING_SECRET, AT(register_as.clerk), 0, NULL, 0, 0,
     "Designated employees: open with a reason, each read audited."},
    {"register", "auditor", SETTING_SECRET, AT(register_as.auditor), 0, NULL, 0, 0, "Reads the audit."},
    {"vault", "owner", SETTING_SECRET, AT(vault_as.owner), 0, NULL, 0, 0,
     SERVERS "Another PostgreSQL cluster than the register's."},
    {"vault", "consumer", SETTING_SECRET, AT(vault_as.consumer), CONFIG_CONSUMER, NULL, 0, 0,
     "The consumer's role."},
    {"vault", "producer", SETTING_SECRET, AT(vault_as.producer), CONFIG_PRODUCER, NULL, 0, 0,
     "The producer's role: transit keys only."},
    {"vault", "operator", SETTING_SECRET, AT(vault_as.operator), 0, NULL, 0, 0, "Operators: no key."},
    {"vault", "clerk", SETTING_SECRET, AT(vault_as.clerk), 0, NULL, 0, 0, "Designated employees."},
    {"vault", "auditor", SETTING_SECRET, AT(vault_as.auditor), 0, NULL, 0, 0, "Reads the audit."},
    {"keys", "kek.file", SETTING_TEXT, AT(keys.kek_file), CONFIG_CONSUMER | CONFIG_PRODUCER, NULL, 0, 0,
     "The key-encryption key that wraps each key ring. Keep a copy apart from both databases."},
    {"keys", "digest.file", SETTING_TEXT, AT(keys.digest_file), CONFIG_CONSUMER, NULL, 0, 0,
     "The key of digests in dumps and versions."},
    {"keys", "ref.file", SETTING_TEXT, AT(keys.ref_file), CONFIG_CONSUMER, NULL, 0, 0,
     "The secret of the refs that carriers know."},
    {"policy", "file", SETTING_TEXT, AT(policy_file), 0, NULL, 0, 0,
     "The policy file that `kundregister policy activate` takes."},
    {"consumer", "workers", SETTING_INT, AT(consumer.workers), 0, "2", 1, 64,
     "Threads, each with connections and memory of its own."},
    {"consumer", "instance", SETTING_INT, AT(consumer.instance), 0, "0", 0, 999,
     "Number of this process among those on this host; each its own."},
    {"consumer", "batch.records", SETTING_INT, AT(consumer.batch_records), 0, "500", 1, 20000,
     "Most records in one transaction."},
    {"consumer", "batch.bytes", SETTING_INT, AT(consumer.batch_bytes), 0, "8388608", 1048576, 268435456,
     "Most bytes of records in one transaction."},
    {"consumer", "arena.bytes", SETTING_INT, AT(consumer.arena_bytes), 0, "67108864", 8388608, 4294967296,
     "Bound of one worker's memory for a batch; a larger one is halved."},
    {"consumer", "queue.bytes", SETTING_INT, AT(consumer.queue_bytes), 0, "4194304", 2097152, 1073741824,
     "Records fetched ahead by one worker; too little costs speed (librdkafka waits a second when full)."},
    {"consumer", "linger.ms", SETTING_INT, AT(consumer.linger_ms), 0, "0", 0, 1000,
     "How long a batch may wait for more records."},
    {"consumer", "session.timeout.ms", SETTING_INT, AT(consumer.session_timeout_ms), 0, "6000", 1000, 300000,
     "After it Kafka gives a dead worker's partitions away."},
    {"consumer", "lock.timeout.ms", SETTING_INT, AT(consumer.lock_timeout_ms), 0, "2000", 100, 60000,
     "How long a claim waits before it ends the backend that holds the position."},
    {"consumer", "drain.seconds", SETTING_INT, AT(consumer.drain_seconds), 0, "20", 0, 600,
     "How long SIGTERM lets the batch in hand go on."},
    {"consumer", "cache.rings", SETTING_INT, AT(consumer.cache_rings), 0, "8000", 0, 1000000,
     "Key rings that one worker remembers."},
    {"consumer", "cache.seconds", SETTING_INT, AT(consumer.cache_seconds), 0, "60", 1, 60,
     "For how long; an erased key is forgotten by then."},
    {"consumer", "group", SETTING_TEXT, AT(consumer.group), 0, "kundregister", 1, 200,
     "Kafka's consumer group."},
    {"consumer", "http.address", SETTING_TEXT, AT(consumer.http_address), 0, "127.0.0.1", 1, 64,
     "Numeric address of /healthz, /readyz and /metrics."},
    {"consumer", "http.port", SETTING_INT, AT(consumer.http_port), 0, "0", -1, 65535,
     "0 = off, -1 = any free port (the log names it); so is one that is taken when another process has "
     "this."},
    {"producer", "batch.outputs", SETTING_INT, AT(producer.batch_outputs), 0, "4000", 1, 10000,
     "Most outputs in one Kafka transaction."},
    {"producer", "batch.bytes", SETTING_INT, AT(producer.batch_bytes), 0, "8388608", 1048576, 268435456,
     "Most bytes of outputs in one Kafka transaction."},
    {"producer", "transactional.id", SETTING_TEXT, AT(producer.transactional_id), 0, "kundregister-relay", 1,
     200, "One relay at a time has it; a new one fences the old."},
    {"producer", "poll.ms", SETTING_INT, AT(producer.poll_ms), 0, "5", 1, 1000,
     "How often the outbox is looked at when it was empty."},
    {"producer", "drain.seconds", SETTING_INT, AT(producer.drain_seconds), 0, "20", 0, 600,
     "How long SIGTERM lets the transaction in hand go on."},
    {"producer", "transaction.timeout.ms", SETTING_INT, AT(producer.transaction_timeout_ms), 0, "10000", 1000,
     900000, "After it Kafka aborts a dead relay's transaction."},
    {"producer", "horizon.alarm.seconds", SETTING_INT, AT(producer.horizon_alarm_seconds), 0, "10", 1, 3600,
     "A transaction that holds the relay up longer is named in the log."},
    {"producer", "http.address", SETTING_TEXT, AT(producer.http_address), 0, "127.0.0.1", 1, 64,
     "Numeric address of /healthz, /readyz and /metrics."},
    {"producer", "http.port", SETTING_INT, AT(producer.http_port), 0, "0", -1, 65535,
     "0 = off, -1 = any free port (the log names it); so is one that is taken when another process has "
     "this."},
    {"log", "level", SETTING_LEVEL, AT(log_level), 0, "info", 0, 0, "debug, info, warning or error."},
};
const size_t config_setting_count = sizeof(config_settings) / sizeof(*config_settings);

const struct kafka_section config_kafka_sections[CONFIG_KAFKA_SECTIONS] = {
    {"kafka", CONFIG_CONSUMER | CONFIG_PRODUCER | CONFIG_OPERATOR,
     "librdkafka's properties, of all programs."},
    {"kafka.consumer", CONFIG_CONSUMER, "What the consumer has instead or besides."},
    {"kafka.producer", CONFIG_PRODUCER, "What the producer has instead or besides."},
    {"kafka.operator", CONFIG_OPERATOR, "What the command line has instead or besides."},
};

static void print_setting(FILE *out, const struct setting *setting) {
    fprintf(out, "\n# %s", setting->help);
    if (setting->type == SETTING_INT)
        fprintf(out, " %lld to %lld.", (long long)setting->min, (long long)setting->max);
    if (setting->needed)
        fprintf(out, " Needed by %s.",
                setting->needed == (CONFIG_CONSUMER | CONFIG_PRODUCER) ? "consumer and producer"
                : setting->needed == CONFIG_CONSUMER                   ? "the consumer"
                                                                       : "the producer");
    fprintf(out, "\n#%s = %s\n", setting->key, setting->fallback ? setting->fallback : "");
}

void config_print_sample(FILE *out) {
    static const char *const kafka_samples[CONFIG_KAFKA_SECTIONS] = {
        "#bootstrap.servers = 127.0.0.1:9092\n#security.protocol = SASL_PLAINTEXT\n#sasl.mechanism = PLAIN\n",
        "#sasl.username = kundregister-consumer\n#sasl.password.file = /etc/kundregister/consumer.password\n",
        "#sasl.username = kundregister-producer\n#sasl.password.file = /etc/kundregister/producer.password\n",
        "#sasl.username = kundregister-operator\n#sasl.password.file = /etc/kundregister/operator.password\n",
    };
    fputs("# kundregister: all settings with their defaults. A # or ; begins a comment at the start of a "
          "line.\n"
          "# KEY.file = PATH takes a text from the first line of a file. The environment overrides:\n"
          "# KUNDREGISTER_CONSUMER_WORKERS=4.\n",
          out);
    for (size_t i = 0; i < CONFIG_KAFKA_SECTIONS; i++)
        fprintf(out, "\n[%s]\n# %s\n%s", config_kafka_sections[i].name, config_kafka_sections[i].help,
                kafka_samples[i]);
    for (size_t i = 0; i < config_setting_count; i++) {
        if (!i || strcmp(config_settings[i].section, config_settings[i - 1].section) != 0)
            fprintf(out, "\n[%s]\n", config_settings[i].section);
        print_setting(out, &config_settings[i]);
    }
}
