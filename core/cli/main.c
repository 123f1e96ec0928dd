/* The table of commands of `kundregister`, and which of them runs. */
#include "core/cli/command.h"
#include "core/stop.h"

#include <signal.h>
#include <string.h>

#define REASON_OPTION                                                                                        \
    { .name = "reason", .value = "TEXT", .help = "why; it stands in the audit", .needed = true }
#define LIMIT_OPTION                                                                                         \
    { .name = "limit", .value = "N", .help = "at most so many, the newest first (100)" }

const struct command commands[] = {
    {.name = "status",
     .operands = "",
     .run = command_status,
     .summary = "how far everything is and what needs attention",
     .help = "Shows where each partition of the inputs stands and how much of it waits, what the relay has "
             "not carried\n"
             "out yet, dead letters by reason and parked events. Exit code 1 when something needs attention: "
             "a parked\n"
             "partition, a partition without a daemon, an unpublishable output, a horizon older than 10 s."},
    {.name = "doctor",
     .operands = "",
     .run = command_doctor,
     .summary = "whether this installation can keep its promises",
     .help = "Examines configuration, Kafka, register and vault: reachability, settings that the promises "
             "rest on,\n"
             "schema versions, topics and how long they keep, clocks, keys, the active policy. Each finding "
             "says what\n"
             "to do. Exit code 1 when there is an error.",
     .options = {{.name = "dev", .help = "one PostgreSQL cluster for register and vault is tolerated"},
                 {.name = "deep",
                  .help = "look also whether every person's key ring is in the vault and opens"}}},
    {.name = "customer show",
     .operands = "ID",
     .fewest = 1,
     .most = 1,
     .run = command_customer_show,
     .summary = "everything that the register holds of a person",
     .help = "Prints every category with its values, purpose, legal basis and end. The read is audited "
             "before anything\n"
             "is shown. ID is a customer's, or recipient:ID of a consignee who is no customer. Opens sealed "
             "data as clerk.",
     .options = {REASON_OPTION}},
    {.name = "customer find",
     .operands = "[-]",
     .fewest = 0,
     .most = 1,
     .run = command_customer_find,
     .summary = "whose e-mail address or phone number this is",
     .help = "Looks the address up by its keyed hash. What stands on a command line can be seen by others on "
             "the\n"
             "machine: with -, the address is read from standard input, `customer find --email - --reason "
             "...` too.\n"
             "Exit code 1 when nobody has it.",
     .options = {{.name = "email",
                  .value = "ADDRESS",
                  .help = "an e-mail address, or - to read it from standard input"},
                 {.name = "phone",
                  .value = "NUMBER",
                  .help = "as +358401234567, or - to read it from standard input"},
                 REASON_OPTION}},
    {.name = "customer erasure",
     .operands = "ID",
     .fewest = 1,
     .most = 1,
     .run = command_customer_erasure,
     .summary = "the erasure certificate of a person",
     .help =
         "Prints what was erased when, what is kept until when and why, what waits for which event, which "
         "recipients\n"
         "were told and what they answered, and until when remnants may exist: in topics, as they are set "
         "in Kafka now,\n"
         "in backups of the vault, with recipients. Opens nothing personal. ID is a customer's or "
         "recipient:ID.\n"
         "Audited. Exit code 1 when no erasure of this person is known.",
     .options = {{.name = "reason", .value = "TEXT", .help = "why; it stands in the audit"}}},
    {.name = "request list",
     .operands = "",
     .run = command_request_list,
     .summary = "what data subjects asked for and when it is due",
     .help = "Lists requests that are not done, those that are due first coming first: id, state, due date, "
             "whether it\n"
             "is a case that nobody is tied to yet. No persons.",
     .options = {{.name = "all", .help = "those that are done, too"}}},
    {.name = "request show",
     .operands = "ID",
     .fewest = 1,
     .most = 1,
     .run = command_request_show,
     .summary = "one request, and of a case whose address it came from",
     .help = "Prints when it was received and identified, how far it is, and of a case (it came with an "
             "e-mail address or\n"
             "phone number) the persons in the register who have that address. Audited.",
     .options = {REASON_OPTION}},
    {.name = "request tie",
     .operands = "ID",
     .fewest = 1,
     .most = 1,
     .run = command_request_tie,
     .summary = "say whose case it is",
     .help = "Ties a case to a person, who is then erased as if the request had named him. The command goes, "
             "sealed, into\n"
             "the journal register.command.v1 and takes effect when the consumer reads it there; giving the "
             "same one again\n"
             "changes nothing. Needs the reference key and the key-encryption key. Audited.",
     .options =
         {{.name = "person", .value = "ID", .help = "a customer's id, or recipient:ID", .needed = true},
          REASON_OPTION}},
    {.name = "disclosures",
     .operands = "ID",
     .fewest = 1,
     .most = 1,
     .run = command_disclosures,
     .summary = "who received what of a person, and how far that is",
     .help = "Prints the ledger: each recipient by name, which fields, why, when, and whether the disclosure "
             "is decided,\n"
             "handed over, published, withheld, unpublishable or acknowledged; then the notices sent to "
             "recipients and what they "
             "answered. ID is a\n"
             "customer's or recipient:ID. Audited. Exit code 1 when there is nothing.",
     .options = {{.name = "reason", .value = "TEXT", .help = "why; it stands in the audit", .needed = true}}},
    {.name = "policy check",
     .operands = "[FILE]",
     .most = 1,
     .run = command_policy_check,
     .summary = "every mistake in a policy file",
     .help = "Prints each mistake with its JSON path, or the policy's digest when there is none. Without "
             "FILE, the one\n"
             "that the configuration names. Needs no server."},
    {.name = "policy activate",
     .operands = "[FILE]",
     .most = 1,
     .run = command_policy_activate,
     .summary = "make a policy the one that the daemons decide by",
     .help = "Checks the file, stores it in the register under its digest and makes it the only active one. "
             "Daemons run\n"
             "under the active policy only. Audited.",
     .options = {{.name = "reason", .value = "TEXT", .help = "why; it stands in the audit"}}},
    {.name = "policy show",
     .operands = "",
     .run = command_policy_show,
     .summary = "which policies were ever active",
     .help = "Lists number, digest, version and time of each policy that the register holds; --body prints "
             "the active\n"
             "one's file as it was.",
     .options = {{.name = "body", .help = "print the active policy itself"}}},
    {.name = "dead-letter list",
     .operands = "",
     .run = command_dead_letter_list,
     .summary = "records that could not be taken in",
     .help = "Lists where each stands and why. Never what was in it: read that from the topic, who may.",
     .options = {{.name = "reason", .value = "REASON", .help = "only of this reason, as not_utf8"},
                 {.name = "topic", .value = "TOPIC", .help = "only of this topic"},
                 LIMIT_OPTION}},
    {.name = "dead-letter show",
     .operands = "TOPIC/PARTITION/OFFSET",
     .fewest = 1,
     .most = 1,
     .run = command_dead_letter_show,
     .summary = "one dead letter",
     .help =
         "Prints pointer, reason, detail and the keyed hash of the record. Exit code 1 when there is none."},
    {.name = "dump",
     .operands = "",
     .run = command_dump,
     .summary = "the register's state as canonical JSON lines",
     .help = "Prints everything that the register holds in a fixed order, one JSON line each, sealed values "
             "as keyed\n"
             "digests: two registers with equal dumps hold the same. From one snapshot, beside live work. "
             "Audited.",
     .options = {{.name = "open", .help = "the values themselves, not digests; as clerk"},
                 {.name = "notices", .help = "notices to recipients too"},
                 {.name = "reason",
                  .value = "TEXT",
                  .help = "why, needed with --open; it stands in the audit"}}},
    {.name = "audit",
     .operands = "",
     .run = command_audit,
     .summary = "who did or read what by hand",
     .help = "Lists the audit, the newest first.",
     .options = {{.name = "subject", .value = "ID", .help = "only about this person, partition or policy"},
                 LIMIT_OPTION}},
    {.name = "consumer run",
     .operands = "[OPTIONS]",
     .run = command_consumer_run,
     .program = true,
     .summary = "take events in (runs kundregister-consumer)",
     .help = "Becomes kundregister-consumer, the program beside this one, with the same options."},
    {.name = "consumer position list",
     .operands = "",
     .run = command_position_list,
     .summary = "where each partition of the inputs stands",
     .help = "Lists next offset, claim and why a partition is parked."},
    {.name = "consumer position accept",
     .operands = "TOPIC PARTITION",
     .fewest = 2,
     .most = 2,
     .run = command_position_accept,
     .summary = "read on in a parked partition",
     .help = "A partition is parked when the log is not the one that was read: records between are gone "
             "(retention, a\n"
             "topic made anew), or the last record read is another (see `position list`). Accepting says "
             "that this is known and that what is\n"
             "lost is lost: another log is read from its start; what was parked for a row or key that could "
             "not be read\n"
             "is tried again where it stands. A running consumer goes on within seconds. Audited.",
     .options = {REASON_OPTION}},
    {.name = "consumer position reset",
     .operands = "[TOPIC [PARTITION]]",
     .most = 2,
     .run = command_position_reset,
     .summary = "read partitions again from their log's start",
     .help = "Sets the position of one partition, a topic or all of them back to the log's start. What was "
             "taken in\n"
             "already changes nothing when it comes again. Refused while a consumer runs. Audited.",
     .options = {REASON_OPTION}},
    {.name = "producer run",
     .operands = "[OPTIONS]",
     .run = command_producer_run,
     .program = true,
     .summary = "carry the outbox to Kafka (runs kundregister-producer)",
     .help = "Becomes kundregister-producer, the program beside this one, with the same options."},
    {.name = "producer reconcile",
     .operands = "[OPTIONS]",
     .run = command_producer_reconcile,
     .program = true,
     .summary = "agree with Kafka on what was published",
     .help = "Becomes `kundregister-producer reconcile`: reads the output topics, marks what is there as "
             "published and\n"
             "sets the relay's position. The way out when the relay refuses to start."},
    {.name = "restore reconcile",
     .operands = "--reason TEXT [OPTIONS]",
     .run = command_restore_reconcile,
     .program = true,
     .summary = "erase again what a restored backup brought back",
     .help =
         "Becomes `kundregister-consumer reconcile`, the way out when a consumer refuses to start because "
         "register or\n"
         "vault are older than what is remembered of erasures. Topic, vault and register are brought "
         "together, and\n"
         "every erasure that one of them had lost is done again; every customer's permission is told again.\n"
         "After a register was restored it is run in any case. Consumers must be stopped. Audited."},
    {.name = "config check",
     .operands = "",
     .run = command_config_check,
     .summary = "every mistake in the configuration",
     .help =
         "Reads the configuration as the programs do and prints each mistake and warning. Needs no server."},
    {.name = "config sample",
     .operands = "",
     .run = command_config_sample,
     .summary = "a commented configuration with all settings",
     .help = "Prints each setting with its range and default."},
    {.name = "migrate",
     .operands = "",
     .run = command_migrate,
     .summary = "make or update the schemas of register and vault",
     .help = "Runs what is missing, each step in one transaction, as the owner's role in both clusters; then "
             "register\n"
             "and vault learn each other's identity. Harmless when there is nothing to do. Refuses a schema "
             "that is\n"
             "newer than this program."},
    {.name = NULL}};

static int run_help(int argc, char **argv) {
    char topic[96] = "";
    size_t used = 0;
    if (argc == 0) {
        help_overview(stdout);
        return EXIT_FINE;
    }
    if (strcmp(argv[0], "--manual") == 0) {
        help_manual(stdout);
        return EXIT_FINE;
    }
    for (int i = 0; i < argc && used < sizeof(topic) - 1; i++) {
        snprintf(topic + used, sizeof(topic) - used, "%s%s", used ? " " : "", argv[i]);
        used = strlen(topic);
    }
    if (help_topic(stdout, topic))
        return EXIT_FINE;
    help_unknown(stderr, argc, argv);
    return EXIT_USAGE;
}

static int run(const char *program, int argc, char **argv) {
    struct session session;
    struct arguments arguments;
    int words = 0;
    const struct command *command = command_find(argc, argv, &words);
    if (!command) {
        if (argc == 2 && (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0) &&
            help_topic(stdout, argv[0]))
            return EXIT_FINE;
        help_unknown(stderr, argc, argv);
        return EXIT_USAGE;
    }
    if (!session_init(&session, program)) {
        fputs("kundregister: out of memory\n", stderr);
        return EXIT_REFUSED;
    }
    int code = command_parse(command, argc - words, argv + words, &session, &arguments);
    if (code == -1) {
        help_command(stdout, command);
        code = EXIT_FINE;
    } else if (code == EXIT_FINE) {
        session.output = output_new(&session.arena, session.json);
        /* Keys and opened personal data must not end up in a core file. */
        if (!session.output)
            code = session_refuse(&session, EXIT_REFUSED, "out of memory");
        else if (stop_no_core_dumps(&session.err) != OK)
            code = session_failed(&session, &session.err);
        else
            code = command->run(&session, &arguments);
    }
    session_release(&session);
    return code;
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is an answer that could not be printed, exit code 74 */
    if (argc < 2) {
        help_overview(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "help") == 0)
        return run_help(argc - 2, argv + 2);
    if (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0)
        return run_help(0, NULL);
    if (strcmp(argv[1], "--version") == 0) {
        puts("kundregister " KR_VERSION);
        return EXIT_FINE;
    }
    return run(argv[0], argc - 1, argv + 1);
}
