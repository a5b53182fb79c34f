/*
 * doctor.h - what the facts about a host mean to Postern, and what to do. Pure: the same facts give
 * the same findings, wherever they come from.
 */
#ifndef POSTERN_DAEMON_CLI_DOCTOR_H
#define POSTERN_DAEMON_CLI_DOCTOR_H

#include "facts.h"
#include "findings.h"

/* Each adds one finding at least for each thing that was looked at. */
void doctor_judge_kernel(const struct facts *facts, struct findings *out);
void doctor_judge_settings(const struct facts *facts, struct findings *out); /* of /proc/sys */
void doctor_judge_host(const struct facts *facts, struct findings *out);
void doctor_judge_server(const struct facts *facts, struct findings *out);

#endif
