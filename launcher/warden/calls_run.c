/* SPDX-License-Identifier: Apache-2.0 */
/* The calls that launch, await and signal an agent: see calls.c. */
#include "agents.h"
#include "base/own.h"
#include "control.h"
#include "launch.h"

#include <ambit/exit.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define WORDS 65536	/* arguments, or environment variables, of one call */

/* Points into `list`; free the array only. */
static char **string_list(const json_t *list, unsigned *ret_count)
{
	size_t count = json_array_size(list);
	char **words = count < WORDS ? calloc(count + 1, sizeof(*words)) : NULL;

	for (size_t i = 0; words && i < count; i++) {
		const char *text = json_string_value(json_array_get(list, i));
		if (!text) {
			free(words);
			return NULL;
		}
		words[i] = (char *)(uintptr_t)text;
	}
	*ret_count = (unsigned)count;
	return words;
}

/* Which of the three are terminals; 0 for a descriptor that no agent may get.
 * Sockets keep their creator's cgroup for life, so the caller has to relay
 * them (`ambit run` does).  What was opened as a path (O_PATH) neither reads nor
 * writes, and does not say that it is a terminal, but leads to one. */
static int classify(const int fds[CONTROL_FDS], struct packet_caller *packet)
{
	for (int i = 0; i < CONTROL_FDS; i++) {
		struct stat status;
		packet->stdio[i] = fds[i];
		if (fds[i] < 0 || fstat(fds[i], &status) < 0)
			return 0;
		if (fcntl(fds[i], F_GETFL) & O_PATH)
			return 0;
		packet->is_terminal[i] = isatty(fds[i]);
		if (!S_ISREG(status.st_mode) && !S_ISFIFO(status.st_mode) &&
		    !S_ISCHR(status.st_mode))
			return 0;
	}
	return 1;
}

static void run_launch(struct connection *connection, struct launch *launch)
{
	struct error error = { 0 };

	launch->caller = connection->caller;
	launch->connection = connection;
	/* Nobody relays for a detached agent, and the caller's own terminal is
	 * in no agent's hands (TIOCSTI, reading what is typed). */
	for (int i = 0; i < CONTROL_FDS; i++)
		if (launch->detach && launch->packet.is_terminal[i]) {
			control_refuse(connection, "stdio: a detached agent can't "
				       "have a terminal", "", AMBIT_EXIT_REFUSED);
			return;
		}
	if (launch_begin(connection->warden, launch, &error) < 0) {
		control_refuse(connection, error.text, "", AMBIT_EXIT_REFUSED);
		return;
	}
	struct agent *agent;
	AGENTS_EACH(connection->warden, agent)
		if (agent->waiting == connection)
			connection->agent = agent;
	connection->waits = 0;
}

void calls_run(struct connection *connection, json_t *parameters)
{
	struct launch launch = { .task = "", .name = "" };
	json_t *command = NULL, *environment = NULL;
	int rows = 0, columns = 0;

	if (json_unpack(parameters, "{s:s, s:o, s?o, s?s, s?s, s?b, s?i, s?i !}",
			"profile", &launch.profile, "command", &command,
			"environment", &environment, "task", &launch.task,
			"name", &launch.name, "detach", &launch.detach, "rows",
			&rows, "columns", &columns) < 0) {
		calls_bad_parameter(connection, "profile, command");
		return;
	}
	OWN_MEMORY char **words = string_list(command, &launch.command_count);
	OWN_MEMORY char **variables =
		string_list(environment, &launch.packet.environment_count);
	launch.command = words;
	launch.packet.environment = variables;
	launch.packet.rows = (uint16_t)rows;
	launch.packet.columns = (uint16_t)columns;
	if (!words || !variables)
		calls_bad_parameter(connection, "command, environment");
	else if (!classify(connection->fds, &launch.packet))
		control_refuse(connection, "stdio: a file, a pipe or a terminal "
			       "was expected for each of the three; sockets can't "
			       "be handed to an agent", "", AMBIT_EXIT_REFUSED);
	else
		run_launch(connection, &launch);
}

void calls_wait(struct connection *connection, json_t *parameters)
{
	const char *which;
	int claims = 0;

	if (json_unpack(parameters, "{s:s, s?b !}", "agent", &which, "claim",
			&claims) < 0) {
		calls_bad_parameter(connection, "agent");
		return;
	}
	struct agent *agent = agents_find(connection->warden, which);
	json_t *ended = agent ? NULL : calls_recall(which);
	if (agent && agent->answered) {
		/* Nobody is told any more: what is left is the recorder's. */
		control_reply(connection, json_pack("{s:o}", "agent",
						    calls_agent(agent)), 0);
	} else if (agent) {
		connection->agent = agent;
		connection->waits = 1;
		connection->claims = claims;
		agent->claimed |= claims;
	} else if (ended) {
		control_reply(connection, json_pack("{s:O}", "agent", ended), 0);
	} else {
		calls_find(connection, which);
	}
}

void calls_signal(struct connection *connection, json_t *parameters)
{
	const char *which;
	int number;

	if (json_unpack(parameters, "{s:s, s:i !}", "agent", &which, "signal",
			&number) < 0 || number < 1 || number > 64) {
		calls_bad_parameter(connection, "agent, signal");
		return;
	}
	struct agent *agent = calls_find(connection, which);
	if (!agent)
		return;
	/* Process 1 passes it on; these two would stop or end process 1. */
	if (number == SIGKILL || number == SIGSTOP || agent->pidfd.fd < 0 ||
	    syscall(SYS_pidfd_send_signal, agent->pidfd.fd, number, NULL, 0) < 0)
		control_refuse(connection, "signal: it can't be sent", "",
			       AMBIT_EXIT_FAILED);
	else
		control_reply(connection, NULL, 0);
}
