/* Who sits at the keyboard, for the audit. */
#ifndef KR_OPERATOR_H
#define KR_OPERATOR_H

#include <stddef.h>

/* The operating system's user by number, since names in the environment are anybody's to choose; sudo's own
 * note is added, as a hint. Terminated. */
void operator_name(char *buffer, size_t size);

#endif
