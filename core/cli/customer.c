/* `customer find`: whose address or number this is, by keyed hash. `customer show` stands in customer_show.c.
 */
#include "core/cli/cells.h"
#include "core/cli/command.h"
#include "queries.h"
#include <string.h>
#include <unistd.h>

#define ADDRESS_BYTES 512

/* The option's value, or one line of standard input when it is "-". False after a complaint. */
static bool take_address(const char *value, char buffer[ADDRESS_BYTES]) {
    if (strcmp(value, "-") != 0) {
        size_t size = strlen(value);
        if (size >= ADDRESS_BYTES)
            return false;
        memcpy(buffer, value, size + 1);
        return true;
    }
    if (isatty(STDIN_FILENO))
        fputs("address: ", stderr);
    if (!fgets(buffer, ADDRESS_BYTES, stdin))
        return false;
    buffer[strcspn(buffer, "\r\n")] = '\0';
    return buffer[0] != '\0';
}

/* +358 40 123-4567 as people write it to E.164. */
static bool tidy_phone(char *number) {
    char *to = number;
    for (const char *at = number; *at; at++) {
        if (!strchr(" -()", *at))
            *to++ = *at;
    }
    *to = '\0';
    size_t digits = number[0] == '+' ? strspn(number + 1, "0123456789") : 0;
    return digits >= 5 && digits <= 15 && !number[1 + digits];
}

static int hash_address(struct session *session, const char *kind, char *address, uint8_t hash[32]) {
    uint8_t digest_key[32] = {0}, key[32] = {0};
    int code = session_key(session, session->config.keys.digest_file, "keys.digest.file", digest_key);
    if (code != EXIT_FINE)
        return code;
    lookup_key_derive(digest_key, key);
    if (strcmp(kind, "email") == 0) {
        if (!lookup_hash_email(key, text_of(address), &session->arena, hash))
            code = session_refuse(session, EXIT_REFUSED, "out of memory");
    } else {
        lookup_hash_phone(key, text_of(address), hash);
    }
    secret_wipe(digest_key, sizeof(digest_key));
    secret_wipe(key, sizeof(key));
    return code;
}

static int print_found(struct session *session, struct db *vault, const char *kind, const uint8_t hash[32]) {
    struct db_result *result = NULL;
    struct db_params *params = db_params_new(&session->arena, query_cli_lookup.params);
    if (!params)
        return session_refuse(session, EXIT_REFUSED, "out of memory");
    db_param_bytes(params, (struct text){(const char *)hash, 32});
    db_param_text(params, text_of(kind));
    int code = session_run(session, vault, &query_cli_lookup, params, &result);
    if (code != EXIT_FINE)
        return code;
    size_t rows = db_rows(result);
    output_table(session->output, "found", NULL, "Nobody in the register has or had this address.");
    for (size_t row = 0; row < rows; row++) {
        output_row(session->output);
        output_text(session->output, "person", db_text(result, row, 0));
        output_int(session->output, "generation", db_int(result, row, 1));
        output_string(session->output, "by", kind);
        output_time(session->output, "named_first", db_time(result, row, 2));
    }
    output_table_end(session->output);
    db_result_release(result);
    return session_print(session, rows ? EXIT_FINE : EXIT_FINDING);
}

int command_customer_find(struct session *session, const struct arguments *arguments) {
    struct db *reg = NULL, *vault = NULL;
    uint8_t hash[32];
    char address[ADDRESS_BYTES];
    const char *email = argument(arguments, "email"), *phone = argument(arguments, "phone");
    const char *kind = email ? "email" : "phone";
    bool from_input = arguments->count == 1 && strcmp(arguments->operands[0], "-") == 0;
    if (from_input && !email && !phone)
        email = phone = "-";
    else if (!email == !phone || arguments->count > 0)
        return session_refuse(session, EXIT_USAGE, "give one of --email ADDRESS, --phone NUMBER and -");
    if (!take_address(email ? email : phone, address))
        return session_refuse(session, EXIT_USAGE, "there is no address to look for, or it is too long");
    if (from_input)
        kind = strchr(address, '@') ? "email" : "phone";
    if (strcmp(kind, "phone") == 0 && !tidy_phone(address))
        return session_refuse(session, EXIT_USAGE, "write the number with its country, as +358401234567");
    int code = session_open(session, CLUSTER_REGISTER, ROLE_CLERK, &reg);
    if (code == EXIT_FINE)
        code = session_open(session, CLUSTER_VAULT, ROLE_CLERK, &vault);
    if (code == EXIT_FINE)
        code = session_schema(session, vault, CLUSTER_VAULT);
    if (code == EXIT_FINE)
        code = hash_address(session, kind, address, hash);
    secret_wipe(address, sizeof(address));
    /* The address is no subject: the audit holds no personal data beyond who it was about, which is not known
     * yet. */
    if (code == EXIT_FINE)
        code = session_audit(session, reg, "customer find", NULL, argument(arguments, "reason"), kind);
    return code == EXIT_FINE ? print_found(session, vault, kind, hash) : code;
}
