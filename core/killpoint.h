/* Labelled places to be killed at, for tests: KILL_POINT("relay.after_commit") is nothing unless the program
 * was built with KR_KILL_POINTS (never in a release). Then KUNDREGISTER_KILL_AT="label" or "label:3" kills
 * the process the first or third time that it comes by (SIGKILL, so nothing is tidied up),
 * KUNDREGISTER_STOP_AT stops it there (SIGSTOP, until somebody sends SIGCONT). For a process that runs
 * already, KUNDREGISTER_ORDERS names a file in which one order may appear at any time, "kill label" or "stop
 * label"; it is gone once it is carried out. Labels are "<program's part>.<place>". */
#ifndef KR_KILLPOINT_H
#define KR_KILLPOINT_H

#include <stdbool.h>

#ifdef KR_KILL_POINTS
#define KILL_POINT(label) kill_point(label)
/* The same, but a moment later, inside the call that follows. */
#define KILL_POINT_SOON(label) kill_point_soon(label)
void kill_point(const char *label);
void kill_point_soon(const char *label);
#else
#define KILL_POINT(label) ((void)0)
#define KILL_POINT_SOON(label) ((void)0)
#endif

/* Prints `labels` (ended by NULL) one a line; false, with nothing printed, when they are not compiled in. */
bool kill_point_list(const char *const *labels);

#endif
