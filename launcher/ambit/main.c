/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ambit, the command line: a table of commands.  The executable is static and
 * initialises nothing it does not need (no locale, no user database), so that
 * starting it costs well under a millisecond.
 */
#include "command.h"
#include "pool.h"
#include "say.h"

#include <ambit/node.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static const struct command commands[] = {
	{ "run", cmd_run,
	  "--profile NAME|FILE [--task ID] [--name N] [--detach] [--json] "
	  "[--quiet] [--] [COMMAND [ARG...]]",
	  "starts an agent inside the bounds of its profile" },
	{ "ps", cmd_ps, "[--all] [--json]", "lists agents" },
	{ "inspect", cmd_inspect, "AGENT [--json]",
	  "shows everything about one agent" },
	{ "cut", cmd_cut,
	  "AGENT... | --profile P | --all --reason TEXT [--json]",
	  "cuts agents off from everything while they run on" },
	{ "reload", cmd_reload,
	  "AGENT... | --profile P | --all --reason TEXT [--json]",
	  "withdraws the endpoints that left the profiles of running agents" },
	{ "kill", cmd_kill,
	  "AGENT... | --profile P | --all --reason TEXT [--json]",
	  "ends agents at once" },
	{ "retire", cmd_retire, "AGENT... | --profile P --reason TEXT [--json]",
	  "ends agents gracefully; a retired profile launches no more" },
	{ "reinstate", cmd_reinstate, "--profile P --reason TEXT [--json]",
	  "lets a retired profile launch again" },
	{ "profile", cmd_sibling, "check|show|explain|syscalls FILE",
	  "checks a profile and tells what it allows" },
	{ "audit", cmd_sibling, "tail|show|verify|export",
	  "reads and verifies the audit log" },
	{ "doctor", cmd_doctor, "[--json]",
	  "tells which bounds were proven on this machine, and how" },
	{ "node", cmd_node, "start | settle | stop [--reason TEXT]",
	  "starts and stops the node of this machine" },
};
#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static void usage(FILE *to)
{
	fputs("usage: ambit COMMAND ...\n\n", to);
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].help);
	fputs("\nambit COMMAND --help shows its arguments; ambit(1) has the "
	      "rest.\n", to);
}

static int unknown(const char *name)
{
	char known[256] = "the commands are ";
	size_t used = strlen(known);

	for (size_t i = 0; i < COMMAND_COUNT; i++)
		used += (size_t)snprintf(known + used, sizeof(known) - used,
					 "%s%s", i ? ", " : "",
					 commands[i].name);
	return say_refusal(AMBIT_EXIT_USAGE, name, known, "no such command");
}

/* A caller may have closed any of them; the next open file, a socket perhaps,
 * must not become the agent's stdout. */
static int complete_stdio(void)
{
	for (int fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			return -1;
	return 0;
}

int main(int argc, char **argv)
{
	if (complete_stdio())
		return AMBIT_EXIT_FAILED;
	pool_serve_json();
	/* Keys are the node's own words: no randomness is needed for them. */
	json_object_seed(1);
	if (argc < 2) {
		usage(stderr);
		return AMBIT_EXIT_USAGE;
	}
	const char *name = argv[1];
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 ||
	    strcmp(name, "help") == 0) {
		/* help COMMAND is COMMAND --help. */
		char help[] = "--help", *words[] = { help, NULL };
		for (size_t i = 0; argc > 2 && i < COMMAND_COUNT; i++)
			if (strcmp(argv[2], commands[i].name) == 0)
				return commands[i].run(&commands[i], 1, words);
		usage(stdout);
		return say_finish(0);
	}
	if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0 ||
	    strcmp(name, "version") == 0) {
		puts("ambit " AMBIT_VERSION);
		return say_finish(0);
	}
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		if (strcmp(name, commands[i].name) == 0)
			return commands[i].run(&commands[i], argc - 2, argv + 2);
	return unknown(name);
}
