/*
 * exec_why.h - why a program that is there could not be executed. Private to sandbox/.
 */
#ifndef POSTERN_SANDBOX_EXEC_WHY_H
#define POSTERN_SANDBOX_EXEC_WHY_H

#include "report.h"

#include <stddef.h>

/*
 * What the file system says of the first of `paths` that exists, after execve(2) has answered
 * `err_num` for it; to be asked with the ids of who tried. WHY_NONE if it says nothing.
 */
enum report_why exec_why(const char *const *paths, size_t n, int err_num);

#endif
