/* Whatever the file holds, policy_parse returns, and what it takes it can give back. */
#include "core/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void complain(void *context, const char *path, const char *message) {
    (void)context, (void)path, (void)message;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct err err;
    struct policy *policy = policy_parse((struct text){(const char *)data, size}, complain, NULL, &err);
    policy_free(policy);
    return 0;
}
