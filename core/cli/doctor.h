/* What the examinations of `doctor` share: the findings, and the order of examining. */
#ifndef KR_DOCTOR_H
#define KR_DOCTOR_H

#include "core/cli/doctor_kafka.h"
#include "core/cli/session.h"

enum grade { GRADE_OK, GRADE_WARNING, GRADE_ERROR, GRADES };

struct finding {
    enum grade grade;
    const char *about; /* "register", "topics", ... */
    struct text sentence;
    struct text way_out; /* absent when all is well */
};

struct doctor {
    struct session *session;
    bool dev, deep;
    struct db *reg, *vault; /* as operator; NULL: cannot be reached or refused */
    struct policy *policy;  /* the active one, or else the file's; NULL: none */
    bool unreachable;       /* some server could not be reached */
    size_t counts[GRADES];
    struct {
        struct finding *at;
        size_t count, room;
    } findings;
};

/* way_out NULL: none is needed. */
void doctor_find(struct doctor *doctor, enum grade grade, const char *about, const char *way_out,
                 const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Reachability, settings, schemas, clocks, keys and the policy: doctor_servers.c. */
void doctor_servers(struct doctor *doctor);
/* Kafka and its topics: doctor_topics.c. */
void doctor_topics(struct doctor *doctor);
/* Every key ring: doctor.c. */
void doctor_rings(struct doctor *doctor);

#endif
