/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options of one command, from a table: "--name VALUE", "--name=VALUE", flags.
 * Strict: an unknown option, one given twice, and an empty value are refused.
 */
#ifndef AMBIT_OPTIONS_H
#define AMBIT_OPTIONS_H

#include "command.h"

#include <stddef.h>

/* One option: exactly one of the two targets is set. */
struct option {
	const char *name;	/* without the dashes */
	int *flag;		/* becomes 1 */
	const char **text;	/* becomes the value; NULL before */
};

struct options {
	const struct command *command;
	const struct option *rows;
	size_t row_count;
	int words_last;		/* the first word ends the options */
	/* What is left, in order; points into argv. */
	char **words;
	int word_count;
};

/* Returns -1 to go on, else the exit status: --help and mistakes were said. */
int options_read(struct options *options, int argc, char **argv);

/* Says "ambit: COMMAND: why (usage: …)".  Returns the exit status. */
int options_wrong(const struct command *command, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
