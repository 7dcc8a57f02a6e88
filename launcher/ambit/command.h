/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a command is: one row of the table in main.c.  Commands are the only code
 * that prints and that chooses the exit status; everything they use returns
 * errors instead.
 */
#ifndef AMBIT_COMMAND_H
#define AMBIT_COMMAND_H

#include <ambit/exit.h>

struct command {
	const char *name;
	/* `argc` and `argv` are what follows the name.  Returns the exit status. */
	int (*run)(const struct command *command, int argc, char **argv);
	const char *arguments;	/* as the usage line shows them */
	const char *help;	/* one line; NULL: internal, not listed */
};

int cmd_run(const struct command *command, int argc, char **argv);
int cmd_ps(const struct command *command, int argc, char **argv);
int cmd_inspect(const struct command *command, int argc, char **argv);
int cmd_reload(const struct command *command, int argc, char **argv);
int cmd_cut(const struct command *command, int argc, char **argv);
int cmd_kill(const struct command *command, int argc, char **argv);
int cmd_retire(const struct command *command, int argc, char **argv);
int cmd_reinstate(const struct command *command, int argc, char **argv);
int cmd_doctor(const struct command *command, int argc, char **argv);
int cmd_node(const struct command *command, int argc, char **argv);
/* Runs the program ambit-NAME that stands beside the node's own. */
int cmd_sibling(const struct command *command, int argc, char **argv);

#endif
