/* Who sits at the keyboard. */
#include "core/operator.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void operator_name(char *buffer, size_t size) {
    char number[24];
    uid_t user = getuid();
    const struct passwd *entry = getpwuid(user);
    snprintf(number, sizeof(number), "uid %u", (unsigned)user);
    const char *name = entry ? entry->pw_name : number;
    const char *sudo = user == 0 ? getenv("SUDO_USER") : NULL;
    if (sudo && *sudo)
        snprintf(buffer, size, "%s (sudo by %.40s)", name, sudo);
    else
        snprintf(buffer, size, "%s", name);
}
