/* SPDX-License-Identifier: Apache-2.0 */
/* Options from a table: see options.h.  Called once by every command. */
#include "options.h"

#include "say.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int options_wrong(const struct command *command, const char *format, ...)
{
	char why[512], hint[512];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(why, sizeof(why), format, arguments);
	va_end(arguments);
	snprintf(hint, sizeof(hint), "usage: ambit %s%s%s", command->name,
		 *command->arguments ? " " : "", command->arguments);
	return say_refusal(AMBIT_EXIT_USAGE, command->name, hint, "%s", why);
}

static const struct option *find(const struct options *options,
				 const char *name, size_t length)
{
	for (size_t i = 0; i < options->row_count; i++) {
		const struct option *row = &options->rows[i];
		if (strlen(row->name) == length &&
		    memcmp(row->name, name, length) == 0)
			return row;
	}
	return NULL;
}

/* Takes the option argv[*at], and its value if that is the next argument. */
static int take(const struct options *options, int argc, char **argv, int *at)
{
	const struct command *command = options->command;
	const char *argument = argv[*at];
	const char *equals = strchr(argument, '=');
	size_t length = equals ? (size_t)(equals - argument) : strlen(argument);
	const struct option *row = NULL;

	if (length > 2 && argument[1] == '-')
		row = find(options, argument + 2, length - 2);
	if (!row)
		return options_wrong(command, "%.*s: no such option",
				     (int)length, argument);
	if (row->flag) {
		if (equals)
			return options_wrong(command, "--%s takes no value",
					     row->name);
		*row->flag = 1;
		return -1;
	}
	const char *value = equals ? equals + 1 : NULL;
	if (!value && *at + 1 < argc)
		value = argv[++*at];
	if (!value)
		return options_wrong(command, "--%s needs a value", row->name);
	if (!*value)
		return options_wrong(command, "--%s is empty", row->name);
	if (*row->text)
		return options_wrong(command, "--%s is given twice", row->name);
	*row->text = value;
	return -1;
}

int options_read(struct options *options, int argc, char **argv)
{
	int at = 0, words = 0;

	options->words = argv;
	for (; at < argc; at++) {
		const char *argument = argv[at];
		if (strcmp(argument, "--") == 0) {
			at++;
			break;
		}
		if (strcmp(argument, "--help") == 0) {
			printf("usage: ambit %s %s\n%s\n",
			       options->command->name,
			       options->command->arguments,
			       options->command->help);
			return say_finish(0);
		}
		if (argument[0] == '-' && argument[1]) {
			int status = take(options, argc, argv, &at);
			if (status >= 0)
				return status;
			continue;
		}
		if (options->words_last)
			break;
		argv[words++] = argv[at];
	}
	while (at < argc)
		argv[words++] = argv[at++];
	options->word_count = words;
	return -1;
}
