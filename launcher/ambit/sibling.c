/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `ambit audit …` and `ambit profile …` are programs of their own, beside the
 * node's, the way git has it: the verifier can be shipped alone, and this client
 * links no crypto.
 */
#include "command.h"
#include "node.h"
#include "say.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int cmd_sibling(const struct command *command, int argc, char **argv)
{
	char name[64], path[PATH_MAX];
	struct error error = { 0 };

	snprintf(name, sizeof(name), "ambit-%s", command->name);
	if (node_program(path, name, &error))
		return say_refusal(AMBIT_EXIT_FAILED, command->name, NULL, "%s",
				   error.text);
	char **arguments = calloc((size_t)argc + 2, sizeof(*arguments));
	if (!arguments)
		return say_refusal(AMBIT_EXIT_FAILED, command->name, NULL,
				   "out of memory");
	arguments[0] = name;
	memcpy(arguments + 1, argv, (size_t)argc * sizeof(*argv));
	execv(path, arguments);
	int code = errno;
	free(arguments);
	return say_refusal(AMBIT_EXIT_FAILED, command->name,
			   code == ENOENT ? "it is not installed" : NULL,
			   "%s: %s", path, strerror(code));
}
