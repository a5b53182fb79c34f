/*
 * layout.h - names that a template and the execs in it share. Private to sandbox/.
 */
#ifndef POSTERN_SANDBOX_LAYOUT_H
#define POSTERN_SANDBOX_LAYOUT_H

/*
 * What is bound over parts of /proc, and over what a policy hides. All of it lies in the template's
 * /run, where the private /run of each exec covers it. The relative names are for the building of
 * the template.
 */
#define MASK_DIR_IN_ROOT   "run/masked.d"
#define MASK_FILE_IN_ROOT  "run/masked"
#define CPUINFO_IN_ROOT    "run/cpuinfo"
#define CPUINFO            "/" CPUINFO_IN_ROOT
#define MASK_DIR           "/" MASK_DIR_IN_ROOT
#define MASK_FILE          "/" MASK_FILE_IN_ROOT
#define EMPTY_DIR_IN_ROOT  "run/empty.d"
#define EMPTY_FILE_IN_ROOT "run/empty"

/* Links into /run, where each exec finds its own. */
#define PASSWD_LINK "../run/passwd"
#define GROUP_LINK  "../run/group"

#endif
